"""``python -m mltemporal.runtime <storage> <job key> <attempt>``: one attempt at a job."""

import sys

from mltemporal.runtime.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
