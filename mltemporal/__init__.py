"""Durable machine-learning jobs from a notebook cell."""
