"""The stand-in cluster, what a launcher asks of it, and objects as the API server writes them."""

from services.kubernetes import IMAGE, standin  # noqa: F401
