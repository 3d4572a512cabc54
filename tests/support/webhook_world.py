"""Webhook tests on Postgres: Meta's bodies, parsed by the real parser, and the rows that they produce."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from psycopg import sql
from psycopg.types.json import Jsonb

from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.webhooks import parser
from instagram_connect.webhooks.events import WebhookEvent
from instagram_connect.webhooks.repository import KeptEvent, Stored, WebhookRepository
from tests.support.database import TABLES, Database, Postgres, add_user, call, session, stored_user, unique_id

# Earlier than anything other tests leave behind.
NOW = datetime(2020, 6, 1, 12, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
ANNA, BEN = "900100", "900200"

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Connected:
    """An account that a test has connected."""

    id: str
    user_id: str
    entry_id: str
    page_id: str | None


def forget_others(database: Database) -> None:
    """Deletes other tests' leftovers in this transaction."""
    for table in ("auth.users", "webhook_events", "webhook_counts", "data_deletion_requests"):
        database.execute(sql.SQL("delete from {}").format(sql.Identifier(*table.split("."))))


def connect(
    database: Database,
    user_id: str,
    *,
    entry_id: str | None = None,
    page_id: str | None = None,
    person: str | None = None,
    provider: str = "instagram",
    at: datetime = NOW - DAY,
) -> Connected:
    """Stores an account like a login at the given time."""
    entry_id = entry_id or unique_id()
    account = {
        "instagram_business_id": entry_id,
        "username": "cafe.azul",
        "page_id": page_id,
        "access_token_ciphertext": "access-ciphertext",
        "user_token_ciphertext": "user-ciphertext" if provider == "facebook" else None,
        "issued_at": at.isoformat(),
    }
    payload = {
        "user_id": user_id,
        "provider": provider,
        "meta_user_id": person,
        "request_id": "r-connect",
        "accounts": [account],
    }
    (stored,) = call(database, "store_connection", Jsonb(payload))
    return Connected(stored["id"], user_id, entry_id, page_id)


def another(database: Database, account: Connected, **changes: Any) -> Connected:
    """Another user who has connected the same Instagram account."""
    return connect(database, add_user(database), entry_id=account.entry_id, page_id=account.page_id, **changes)


# What Meta sends


def milliseconds(after: float) -> int:
    """The time this many seconds after NOW, as Meta writes it."""
    return round((NOW + after * SECOND).timestamp() * 1000)


def item(entry_id: str, at: float, who: str, *, by_us: bool = False, **what: Any) -> Row:
    """An item of `messaging`: an event between the account and a customer, sent by either."""
    us, them = {"id": entry_id}, {"id": who}
    sender, recipient = (us, them) if by_us else (them, us)
    return {"sender": sender, "recipient": recipient, "timestamp": milliseconds(at), **what}


def body(entry_id: str, *items: Row) -> bytes:
    entry = {"id": entry_id, "time": milliseconds(3600), "messaging": items}
    return json.dumps({"object": "instagram", "entry": [entry]}).encode()


def event(entry_id: str, at: float, who: str = ANNA, *, by_us: bool = False, **what: Any) -> WebhookEvent:
    (read,) = parser.parse(body(entry_id, item(entry_id, at, who, by_us=by_us, **what)))
    return read


def message(entry_id: str, mid: str | None, text: str = "hello", *, at: float = 0, who: str = ANNA) -> WebhookEvent:
    return event(entry_id, at, who, message={"mid": mid, "text": text})


def echo(entry_id: str, mid: str, text: str = "our answer", *, at: float = 0, who: str = ANNA) -> WebhookEvent:
    return event(entry_id, at, who, by_us=True, message={"mid": mid, "text": text, "is_echo": True})


def edited(entry_id: str, mid: str, text: str | None, number: Any = 1, *, at: float = 0) -> WebhookEvent:
    return event(entry_id, at, message_edit={"mid": mid, "text": text, "num_edit": number})


def unsent(entry_id: str, mid: str, *, at: float = 0) -> WebhookEvent:
    return event(entry_id, at, message={"mid": mid, "is_deleted": True})


def reacted(entry_id: str, mid: str, emoji: str | None = "❤️", *, at: float = 0, by_us: bool = False) -> WebhookEvent:
    """A reaction, or its removal if there is no emoji."""
    reaction = {"action": "react", "reaction": "love", "emoji": emoji} if emoji else {"action": "unreact"}
    return event(entry_id, at, by_us=by_us, reaction={"mid": mid, **reaction})


def read(entry_id: str, mid: str, *, at: float = 0) -> WebhookEvent:
    return event(entry_id, at, read={"mid": mid})


def postback(entry_id: str, mid: str, *, at: float = 0) -> WebhookEvent:
    return event(entry_id, at, postback={"mid": mid, "title": "Opening hours", "payload": "HOURS"})


def change(entry_id: str, field: str, value: Row) -> WebhookEvent:
    """An entry of `changes`."""
    entry = {"id": entry_id, "time": int(NOW.timestamp()), "changes": [{"field": field, "value": value}]}
    (made,) = parser.parse(json.dumps({"object": "instagram", "entry": [entry]}).encode())
    return made


def comment(entry_id: str, comment_id: str, text: str = "love it") -> WebhookEvent:
    return change(entry_id, "comments", {"id": comment_id, "text": text, "from": {"id": ANNA}})


# What is made of it


def storage(database: Database, at: datetime = NOW) -> WebhookRepository:
    """Storage as it is used at a time."""
    return WebhookRepository(Postgres(database), lambda: at)


def store(database: Database, *events: WebhookEvent, at: datetime = NOW) -> Stored:
    return storage(database, at).store(events, Deadline(20))


def everything_kept(repository: WebhookRepository, *, limit: int = 1000, **wanted: Any) -> tuple[KeptEvent, ...]:
    """The stored events matching the filters, read in pages of `limit`."""
    last, until = 0, repository.report(0, Deadline(20))["newest_id"]
    found: list[KeptEvent] = []
    while last < until:
        page, last = repository.kept(after_id=last, until_id=until, limit=limit, deadline=Deadline(20), **wanted)
        found += page
    return tuple(found)


def outcome(stored: Stored) -> tuple[int, int, int]:
    """The numbers of new, duplicate and unknown events."""
    return stored.stored, stored.duplicate, stored.unknown


def outgoing(stored: Stored) -> list[tuple[str, str, str]]:
    """Type, account and key of each event to publish."""
    details = [(one["type"], one["detail"]) for one in stored.outgoing]
    return sorted((kind, detail["businessAccountId"], detail["eventKey"]) for kind, detail in details)


def told(stored: Stored) -> list[str]:
    """The keys of the events that are to be published."""
    return sorted(detail["eventKey"] for detail in (one["detail"] for one in stored.outgoing))


def waiting(database: Database, at: datetime) -> list[Row]:
    """The events that another publisher gets at the given time."""
    return OutboxRepository(Postgres(database), lambda: at).take(1000, 60, Deadline(20))


def rows_of(database: Database, account: Connected | None = None) -> list[Row]:
    """The stored events of an account, or of none."""
    return database.execute(
        "select * from webhook_events where business_account_id is not distinct from %s order by event_key",
        [account and account.id],
    ).fetchall()


def keys_of(database: Database, account: Connected | None = None) -> list[str]:
    return [row["event_key"] for row in rows_of(database, account)]


def messages_of(database: Database, account: Connected) -> dict[str, Row]:
    rows = database.execute("select * from instagram_dm_messages where business_account_id = %s", [account.id])
    return {row["message_id"]: row for row in rows}


def message_of(database: Database, account: Connected, mid: str = "m") -> Row:
    return messages_of(database, account)[mid]


def conversation_of(database: Database, account: Connected, who: str = ANNA) -> Row:
    rows = database.execute(
        "select * from instagram_dm_conversations where business_account_id = %s and participant_id = %s",
        [account.id, who],
    ).fetchall()
    (row,) = rows
    return row


def talk_of(database: Database, account: Connected) -> Row:
    """All messages, conversations and events of an account, without the columns that say when they were written."""
    messages = messages_of(database, account).values()
    conversations = database.execute(
        "select * from instagram_dm_conversations where business_account_id = %s order by participant_id", [account.id]
    ).fetchall()
    without = ("id", "created_at", "updated_at", "received_at")

    def lasting(row: Row) -> Row:
        return {name: value for name, value in row.items() if name not in without}

    return {
        "messages": sorted(map(lasting, messages), key=lambda row: row["message_id"]),
        "conversations": [*map(lasting, conversations)],
        "events": [*map(lasting, rows_of(database, account))],
    }


def ends_as(database: Database, account: Connected, batches: Sequence[Sequence[WebhookEvent]]) -> Row:
    """The rows after storing the batches, which are rolled back afterwards."""
    with database.transaction(force_rollback=True):
        for batch in batches:
            store(database, *batch)
        return talk_of(database, account)


def counts_of(database: Database, entry_id: str | None = None) -> dict[str, int]:
    """What became of an account's events, or of all, over all days; none of them is lost on the way."""
    rows = database.execute(
        "select * from webhook_counts where entry_id = coalesce(%s, entry_id)", [entry_id]
    ).fetchall()
    for row in rows:
        assert row["received"] == row["stored"] + row["duplicate"] + row["unknown"] + row["failed"]
    names = ("received", "stored", "duplicate", "unknown", "failed")
    return {name: total for name in names if (total := sum(row[name] for row in rows))}


def everything(database: Database, *relations: str) -> dict[str, list[str]]:
    """All rows as text, of all tables unless some are named."""
    found = {}
    for relation in relations or TABLES:
        query = sql.SQL("select to_jsonb(row)::text as row from {} as row order by 1").format(sql.Identifier(relation))
        found[relation] = [row["row"] for row in database.execute(query)]
    return found


# Personal data


PERSON, OTHER_PERSON, CODE = "218471000000001", "218471000000002", "ab12cd34"
SECRET = "the content"
REFUSED = "PT410"


def step(
    database: Database, person: str = PERSON, *, asked_at: datetime = NOW, code: str = CODE, limit: int = 1000
) -> Row:
    """One call of the deletion, limited to the given number of rows."""
    asked = {
        "now": (NOW + MINUTE).isoformat(),
        "meta_user_id": person,
        "requested_at": asked_at.isoformat(),
        "confirmation_code": code,
        "limit": limit,
    }
    answer: Row = call(database, "delete_person", Jsonb(asked))
    return answer


def delete(database: Database, person: str = PERSON, **asked: Any) -> int:
    """Runs the whole deletion and returns the number of accounts."""
    while not (answer := step(database, person, **asked))["is_complete"]:
        pass
    return int(answer["accounts"])


def fill(database: Database, account: Connected, events: int = 5) -> None:
    """Fills every table that can hold an account's data."""
    entry = account.entry_id
    store(database, *(message(entry, str(number), SECRET) for number in range(events)))
    store(database, edited(entry, "0", SECRET), unsent(entry, "1"), comment(entry, "c", SECRET), postback(entry, "p"))
    for statement in (
        "insert into api_usage (business_account_id, usage_type, used_percent) values (%s, 'app', 3)",
        "insert into automation_workflows (business_account_id, name) values (%s, 'greets')",
        "insert into daily_analytics (business_account_id, day) values (%s, '2020-06-01')",
    ):
        database.execute(statement.encode(), [account.id])


# Two sessions at once


@contextmanager
def shared_world(stack: dict[str, str]) -> Iterator[tuple[Database, str]]:
    """A committed user, visible to other sessions, in otherwise empty tables; removed afterwards."""
    with stored_user(stack) as (database, user_id):
        _forget_loose(database)
        try:
            yield database, user_id
        finally:
            _forget_loose(database)


def _forget_loose(database: Database) -> None:
    database.execute("delete from webhook_events where business_account_id is null")
    database.execute("delete from webhook_counts")
    database.execute("delete from data_deletion_requests")


class Elsewhere(Generic[T]):
    """A statement running in another session."""

    def __init__(self, database: Database, watcher: Database, future: "Future[T]") -> None:
        self._pid = database.info.backend_pid
        self._watcher = watcher
        self._future = future

    def waits(self) -> bool:
        """Whether it has to wait for a lock that somebody holds, as soon as that is known; else it has ended."""
        while not self._future.done():
            row = self._watcher.execute("select pg_blocking_pids(%s) as pids", [self._pid]).fetchone()
            if row and row["pids"]:
                return True
        return False

    def result(self) -> T:
        return self._future.result(timeout=60)


@contextmanager
def elsewhere(stack: dict[str, str], work: Callable[[Database], T]) -> Iterator[Elsewhere[T]]:
    """Starts a statement in another session."""
    with session(stack) as other, session(stack) as watcher, ThreadPoolExecutor(1) as threads:
        other.execute("set statement_timeout = '30s'")
        future = threads.submit(work, other)
        try:
            yield Elsewhere(other, watcher, future)
        finally:
            if not future.done():
                other.cancel()
