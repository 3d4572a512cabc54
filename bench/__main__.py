"""`make bench`: measures, prints a table, and writes what was measured to bench/results.json."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench import connecting, healing, refreshing, webhooks
from bench.figures import Figure
from bench.system import measured_system
from local.progress import say

PARTS: Mapping[str, Callable[[dict[str, str]], list[Figure]]] = {
    "connecting": connecting.measure,
    "refreshing": refreshing.measure,
    "webhooks": webhooks.measure,
    "healing": healing.measure,
}
RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    """Run the parts that are asked for, all if none is, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    arguments = parser.parse_args()
    with measured_system() as stack:
        figures = [figure for name in arguments.only for figure in PARTS[name](stack)]
    _show(figures)
    if len(arguments.only) < len(PARTS):
        say("\nNot written: only the whole is.")
        return 0
    RESULTS.write_text(
        json.dumps({"machine": _machine(), "figures": [vars(figure) for figure in figures]}, indent=2) + "\n"
    )
    say(f"\nWritten to {RESULTS.relative_to(Path.cwd())}; docs/benchmarks.md says how to read it.")
    return 0


def _show(figures: list[Figure]) -> None:
    say(f"\n{'':<58} {'measured':>12} {'baseline':>12} {'ratio':>7}")
    for figure in figures:
        baseline = "" if figure.baseline is None else f"{figure.baseline:,.2f}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        say(f"{figure.name:<58} {figure.measured:>12,.2f} {baseline:>12} {ratio:>7}  {figure.unit}")


def _machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    sys.exit(main())
