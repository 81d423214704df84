"""The frozen dataclasses that cross a process border.

Workers, notebooks and jobs of different ages meet, so a new field needs a default, and a
reader ignores the fields that it does not know. `encode` and `decode` are the one JSON form.
"""
