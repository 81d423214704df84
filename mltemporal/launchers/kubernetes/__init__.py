"""Trainings as Kubernetes Jobs, over the official asyncio client."""
