"""The monitor: looks at every part that jobs need, and mends what crashes left.

`checks` says what there is to look at, `mending` what is mended, `schedule` has Temporal do both
again and again; `mltemporal.monitors` is what people call.
"""
