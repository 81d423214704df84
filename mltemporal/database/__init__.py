"""The record of everything: jobs, attempts, points, logs, artifacts, datasets, workers.

`Database.open` gives one object with a part for each concern; rows leave as frozen dataclasses.
"""
