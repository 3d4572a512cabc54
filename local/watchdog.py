"""Stops a home folder's system when the process that started this one ends.

Its standard input is a pipe that nothing is written to. The kernel closes the other end when its holder dies, for
whatever reason, and the read returns.
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
