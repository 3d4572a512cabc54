"""Run the doctor or the deploy gate on a project: find out why storage does not work, and what to do about it."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence

from instagram_connect.doctor.deploy_gate import LADDER_S, last_report
from instagram_connect.doctor.examination import examine
from instagram_connect.doctor.report import Report
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger
from operations.project import HEALTHY, SICK, add_home, exit_code, read_project


def show(report: Report) -> None:
    """Print a report as text."""
    print(f"{report.cause}: {report.sentence}")
    rows = [("who must act", str(report.actor)), ("command", report.command or "nothing to run")]
    rows += [("evidence", evidence) for evidence in report.evidence]
    rows += [("sure", "yes" if report.is_certain else f"no; it would take {report.needed_to_be_sure}")]
    for warning in report.warnings:
        rows += [("warning", f"{warning.cause}: {warning.sentence}")]
        rows += [("", warning.command)] if warning.command else []
    before = None
    for title, text in rows:
        print(f"  {title if title != before else '':<13} {text}")
        before = title


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 if everything works, 1 if something does not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m operations.doctor", description=__doc__)
    parser.add_argument("verb", choices=["examine", "reload"])
    parser.add_argument("--json", action="store_true", help="print the report as JSON and nothing else")
    add_home(parser)
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    project = read_project(arguments.home, os.environ)
    logger.setLevel(logging.CRITICAL)  # the report contains everything
    report = examine(project) if arguments.verb == "examine" else last_report(project, Deadline(LADDER_S))
    if arguments.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        show(report)
    # `examine` fails even if the examination itself fixed the problem; `reload` is run to fix it.
    is_well = report.is_working and (arguments.verb == "reload" or not report.is_mended)
    return HEALTHY if is_well else SICK


if __name__ == "__main__":
    sys.exit(main())
