"""Datasets, code, models and artifacts by content, in a directory or in an S3 bucket."""
