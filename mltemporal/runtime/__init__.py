"""What runs inside a job's own process: loads dataset and code, trains, reports, saves.

``python -m mltemporal.runtime <storage> <job key> <attempt>`` is the whole of it. User code calls
`report`, `track`, `checkpoint`, `log_artifact`, `params` and `should_stop`; outside a job they work too
and only print.
"""

from mltemporal.runtime import checkpoint
from mltemporal.runtime.artifacts import log_artifact
from mltemporal.runtime.control import should_stop
from mltemporal.runtime.params import params
from mltemporal.runtime.reporting import report
from mltemporal.runtime.tracking import track

__all__ = ["checkpoint", "log_artifact", "params", "report", "should_stop", "track"]
