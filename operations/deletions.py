"""Delete the data of the people whose ids Meta lists in its deletion alerts, which it mails every three weeks.

Source: Meta, "Data Deletion Request Callback" (App settings, Advanced: the list of ids of people who removed the app).
The file has one id per line, or is a CSV file with the ids in its first column.
"""

import argparse
import csv
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from instagram_connect.errors import StorageError
from instagram_connect.privacy.repository import PrivacyRepository
from instagram_connect.runtime.deadline import Deadline
from operations.project import HEALTHY, UsageError, add_home, exit_code, read_project, storage_of

STEP_S = 30


def ids_of(file: Path) -> Iterator[str]:
    """Yield each id of a list once, skipping a heading. Raises UsageError for any other line without an id."""
    seen = set()
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from None
    for number, row in enumerate(rows, 1):
        text = row[0].strip() if row else ""
        if not text or (number == 1 and not text.isdigit()):
            continue
        if not (text.isascii() and text.isdigit()):
            raise UsageError(f"{file}, line {number}: {text!r} is not an id. Nothing was deleted.")
        if text not in seen:
            seen.add(text)
            yield text


def delete(repository: PrivacyRepository, meta_user_id: str, asked_at: datetime) -> int:
    """Delete all data of a person and return the number of deleted accounts. Raises StorageError."""
    code = secrets.token_hex(16)
    while (accounts := repository.delete(meta_user_id, asked_at, code, Deadline(STEP_S))) is None:
        pass
    return accounts


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("needs an offset, for example 2026-11-01T00:00:00+00:00")
    return moment


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 if everything was deleted, 1 if storage failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m operations.deletions", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="the list of ids")
    parser.add_argument(
        "--asked-at",
        type=_moment,
        default=datetime.now(UTC),
        help="keep connections made after this time, ISO 8601 with an offset (default: now)",
    )
    add_home(parser)
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _delete_all(arguments))


def _delete_all(arguments: argparse.Namespace) -> int:
    people = list(ids_of(arguments.file))
    with storage_of(read_project(arguments.home, os.environ)) as rpcs:
        repository = PrivacyRepository(rpcs, lambda: datetime.now(UTC))
        try:
            accounts = sum(delete(repository, person, arguments.asked_at) for person in people)
        except StorageError:
            print("Not everything was deleted. It is safe to run the same command again.", file=sys.stderr)
            raise
    print(f"People in the list: {len(people):,}. Accounts deleted: {accounts:,}.")
    return HEALTHY


if __name__ == "__main__":
    sys.exit(main())
