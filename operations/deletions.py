"""Deletes the data of people whose ids Meta lists in the alerts that it mails every three weeks.

Source: Meta, "Data Deletion Request Callback" (App settings, Advanced: the list of ids of people who removed the app).
The file has an id in each line, or in the first column of a CSV; the project is chosen as `operations.doctor` does.
"""

import argparse
import csv
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from instagram_connect.errors import StorageError
from instagram_connect.privacy.repository import PrivacyRepository
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from local.errors import LocalSystemError
from local.progress import say
from local.stack import DEFAULT_HOME
from operations.doctor import HEALTHY, SICK, WRONG_USAGE, project

STEP_S = 30


def ids_of(file: Path) -> Iterator[str]:
    """The ids of a list, each once. Raises LocalSystemError for a line that has none; a heading is no such line."""
    seen = set()
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise LocalSystemError(f"{file} cannot be read: {error}.") from None
    for number, row in enumerate(rows, 1):
        text = row[0].strip() if row else ""
        if not text or (number == 1 and not text.isdigit()):
            continue
        if not (text.isascii() and text.isdigit()):
            raise LocalSystemError(f"{file}, line {number}: {text!r} is not an id. Nothing was deleted.")
        if text not in seen:
            seen.add(text)
            yield text


def delete(repository: PrivacyRepository, meta_user_id: str, asked_at: datetime) -> int:
    """Deletes everything of a person; how many accounts that were. Raises StorageError."""
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
    """Delete once; 0 when all is deleted, 1 when storage does not answer, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m operations.deletions", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="the list of ids")
    parser.add_argument(
        "--asked-at",
        type=_moment,
        default=datetime.now(UTC),
        help="connections that were made after that stay, ISO 8601 with an offset (default: now)",
    )
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="of the local system (default: .local)")
    arguments = parser.parse_args(argv)
    try:
        people = list(ids_of(arguments.file))
        wanted = project(arguments.home, os.environ)
        with closing(DataApi(wanted.supabase_url, wanted.secret_key)) as data_api:
            repository = PrivacyRepository(Rpcs(data_api, wanted.database_url), lambda: datetime.now(UTC))
            accounts = sum(delete(repository, person, arguments.asked_at) for person in people)
    except (LocalSystemError, ValueError) as error:
        print(error, file=sys.stderr)
        return WRONG_USAGE
    except StorageError as error:
        print(f"{error.reason}: {error.log_context.get('remedy', error.hint)}", file=sys.stderr)
        print("What was deleted before stays deleted: run the same again.", file=sys.stderr)
        return SICK
    say(f"People: {len(people):,}. Accounts of theirs that were deleted: {accounts:,}.")
    return HEALTHY


if __name__ == "__main__":
    sys.exit(main())
