"""Workflows change safely: builds of the workflow code, how they follow one another, and replay.

A worker belongs to a version of a Temporal Worker Deployment: one deployment for each database, one
version for each build of the workflow code. On a laptop the newest build takes everything over; in a
team, jobs end on the build that they began on, and a person moves new jobs over by `rollout`.
"""
