"""Figures that people take away: curves, a job's life, every run, runs side by side.

Imported only when somebody asks for a figure: matplotlib is slow to load. No function touches
pyplot's state, so a figure is shown once, and never by accident.
"""

from mltemporal.plots.metrics import plot_comparison, plot_metrics
from mltemporal.plots.runs import plot_history
from mltemporal.plots.timeline import plot_timeline

__all__ = ["plot_comparison", "plot_history", "plot_metrics", "plot_timeline"]
