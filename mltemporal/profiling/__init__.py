"""What a table is like, whether it is as expected, and whether another one is still like it."""

from mltemporal.profiling.drift import ColumnDrift, Drift, compare
from mltemporal.profiling.expectations import parse_expectations
from mltemporal.profiling.measuring import profile
from mltemporal.profiling.meeting import broken_expectations
from mltemporal.profiling.profiles import ColumnProfile, Histogram, Profile, Top
from mltemporal.profiling.sketches import ColumnSketch, Sketch, SketchBuilder, merge, sketch

__all__ = [
    "ColumnDrift",
    "ColumnProfile",
    "ColumnSketch",
    "Drift",
    "Histogram",
    "Profile",
    "Sketch",
    "SketchBuilder",
    "Top",
    "broken_expectations",
    "compare",
    "merge",
    "parse_expectations",
    "profile",
    "sketch",
]
