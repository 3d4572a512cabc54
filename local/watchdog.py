"""Stops a home folder's system when the process that started this one is gone.

Its standard input is the reading end of a pipe that nobody writes to. The kernel closes the other end when its holder
dies, however it dies, and that is the signal.
"""

import argparse
import sys
from pathlib import Path

from local.stack import down

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    sys.stdin.buffer.read()
    down(arguments.home)
