"""What runs inside a job's own process: loads dataset and code, trains, reports, saves.

``python -m mltemporal.runtime <storage> <job key> <attempt>`` is the whole of it. User code calls
`report`, `track`, `checkpoint`, `log_artifact`, `params` and `should_stop`; outside a job they work too
and only print.
"""
