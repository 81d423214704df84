"""What a table is like, whether it is as expected, and whether another one is still like it."""

from mltemporal.profiling.expectations import parse_expectations
from mltemporal.profiling.measuring import profile
from mltemporal.profiling.meeting import broken_expectations
from mltemporal.profiling.profiles import ColumnProfile, Histogram, Profile, Top

__all__ = [
    "ColumnProfile",
    "Histogram",
    "Profile",
    "Top",
    "broken_expectations",
    "parse_expectations",
    "profile",
]
