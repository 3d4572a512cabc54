"""Python runs this at its start when this folder is on its path: the clock of that process is off by CLOCK_SKEW_S."""

import os
import sys
from datetime import UTC, datetime, timedelta

# Only for this import: a function must not find the developer's libraries.
sys.path.append(os.environ["TIME_MACHINE_FOLDER"])
import time_machine

sys.path.remove(os.environ["TIME_MACHINE_FOLDER"])
time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(os.environ["CLOCK_SKEW_S"])), tick=True).start()
