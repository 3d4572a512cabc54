"""The doctor and the deploy gate on the command line, for this machine and for CI.

Without SUPABASE_URL in the environment it is the running local system that is asked, as its stack.json describes it.
With SUPABASE_URL it is that project, and nothing comes from stack.json: SUPABASE_SECRET_KEY has to be there too, and
DATABASE_URL may be. The two sources are never mixed, or one project's key would be tried on another.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from instagram_connect.doctor.deploy_gate import LADDER_S, last_report
from instagram_connect.doctor.examination import examine
from instagram_connect.doctor.project import Project
from instagram_connect.doctor.report import Report
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger
from local.demo import read_stack
from local.errors import LocalSystemError
from local.progress import say
from local.stack import DEFAULT_HOME

HEALTHY, SICK, WRONG_USAGE = 0, 1, 2

_NAMES = ("SUPABASE_URL", "SUPABASE_SECRET_KEY", "DATABASE_URL")


def project(home: Path, environment: Mapping[str, str]) -> Project:
    """The project to examine; raises `LocalSystemError` when it is not described completely."""
    given = {name: environment[name] for name in _NAMES if environment.get(name)}
    if "SUPABASE_URL" not in given:
        if given:
            raise LocalSystemError(f"{' and '.join(given)} without SUPABASE_URL: set it too, or none of them.")
        stack = read_stack(home)
        return Project(stack["supabase_url"], stack["supabase_secret_key"], stack["database_url"])
    if "SUPABASE_SECRET_KEY" not in given:
        raise LocalSystemError("SUPABASE_URL without SUPABASE_SECRET_KEY: set the project's secret key too.")
    return Project(given["SUPABASE_URL"], given["SUPABASE_SECRET_KEY"], given.get("DATABASE_URL"))


def show(report: Report) -> None:
    """Print a report for people."""
    say(f"{report.cause}: {report.sentence}")
    rows = [("who must act", str(report.actor)), ("command", report.command or "nothing to run")]
    rows += [("evidence", evidence) for evidence in report.evidence]
    rows += [("sure", "yes" if report.is_certain else f"no; it would take {report.needed_to_be_sure}")]
    for warning in report.warnings:
        rows += [("warning", f"{warning.cause}: {warning.sentence}")]
        rows += [("", warning.command)] if warning.command else []
    before = None
    for title, text in rows:
        say(f"  {title if title != before else '':<13} {text}")
        before = title


def main() -> int:
    """Run one verb and return its exit code: 0 when everything works, 1 when something does not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m operations.doctor", description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["examine", "reload"])
    parser.add_argument("--json", action="store_true", help="print the report as JSON, and nothing else")
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="of the local system (default: .local)")
    arguments = parser.parse_args()
    logger.setLevel(logging.CRITICAL)  # the report says it all
    try:
        wanted = project(arguments.home, os.environ)
    except LocalSystemError as error:
        print(error, file=sys.stderr)
        return WRONG_USAGE
    report = examine(wanted) if arguments.verb == "examine" else last_report(wanted, Deadline(LADDER_S))
    if arguments.json:
        say(json.dumps(report.as_dict(), indent=2))
    else:
        show(report)
    # What the examination itself has mended was wrong all the same; a reload is there to mend it.
    is_well = report.is_working and (arguments.verb == "reload" or not report.is_mended)
    return HEALTHY if is_well else SICK


if __name__ == "__main__":
    sys.exit(main())
