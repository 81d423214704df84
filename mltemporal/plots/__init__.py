"""Figures that people take away: curves, a job's life, every run, runs side by side.

Imported only when somebody asks for a figure: matplotlib is slow to load. No function touches
pyplot's state, so a figure is shown once, and never by accident.
"""
