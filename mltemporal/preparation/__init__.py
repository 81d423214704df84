"""Preparing data: steps checked in the kernel, fitted over all rows, applied shard by shard by DuckDB."""
