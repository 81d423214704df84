"""``python -m mltemporal.cli``: the command where its script is not on the PATH."""

import sys

from mltemporal.cli import main

sys.exit(main())
