"""Refreshes on Postgres: connected accounts, claims, results, and the rows that they leave."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg import sql
from psycopg.types.json import Jsonb

from instagram_connect.errors import ReconnectRequiredError
from instagram_connect.meta.usage import Usage
from instagram_connect.models import Account
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.models import Claim, EncryptedRenewal, ReconnectRequest, SubscriptionCheck
from instagram_connect.refresh.repository import DAY_S, RefreshRepository, RefreshRules
from instagram_connect.runtime.deadline import Deadline
from tests.support.database import Database, Postgres, call

# Long before whatever other tests leave behind, so that nothing of theirs is due.
NOW = datetime(2020, 6, 1, 12, 0, 0, 123457, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
LIFETIME = 60 * DAY
RULES = RefreshRules()
LEAD, SPREAD, LEASE = (timedelta(seconds=seconds) for seconds in (RULES.lead_s, RULES.spread_s, RULES.lease_s))
# Webhooks are checked so seldom that only tokens are ever due.
TOKENS_ONLY = replace(RULES, subscription_s=3650 * DAY_S)
PASSWORD_CHANGED = ReconnectRequiredError(
    reason="PASSWORD_CHANGED", log_context={"meta_code": 190, "meta_subcode": 460}
)
Row = dict[str, Any]


def storage(database: Database, at: datetime = NOW, rules: RefreshRules = TOKENS_ONLY) -> RefreshRepository:
    """Storage as it is used at a time."""
    return RefreshRepository(Postgres(database), lambda: at, rules)


def outbox(database: Database, at: datetime = NOW) -> OutboxRepository:
    """The events that wait, as they are seen at a time."""
    return OutboxRepository(Postgres(database), lambda: at)


def connect(
    database: Database,
    user_id: str,
    provider: str = "instagram",
    *,
    age: timedelta = 55 * DAY,
    person: str | None = None,
    instagram_business_id: str | None = None,
    **changes: Any,
) -> str:
    """Stores an account as a login of this age does; its id. One of 55 days is due in any place of the spread."""
    account = {
        "instagram_business_id": instagram_business_id or f"1784{uuid.uuid4().int % 10**13:013}",
        "username": "cafe.azul",
        "page_id": "104857600000001" if provider == "facebook" else None,
        "access_token_ciphertext": "access-ciphertext",
        "user_token_ciphertext": "user-ciphertext" if provider == "facebook" else None,
        "issued_at": (NOW - age).isoformat(),
        "expires_at": (NOW - age + LIFETIME).isoformat(),
        **{name: iso(value) for name, value in changes.items()},
    }
    payload = {
        "user_id": user_id,
        "provider": provider,
        "meta_user_id": person,
        "request_id": "r-connect",
        "accounts": [account],
    }
    (stored,) = call(database, "store_connection", Jsonb(payload))
    return str(stored["id"])


def iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def change(database: Database, table: LiteralString, account_id: str, **columns: Any) -> None:
    """Sets columns of an account's row, in whichever table."""
    key = "id" if table == "instagram_business_accounts" else "business_account_id"
    query = sql.SQL("update {} set {} where {} = %s").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns),
        sql.Identifier(key),
    )
    database.execute(query, [*columns.values(), account_id])


def account_of(database: Database, account_id: str) -> Row:
    row = database.execute("select * from instagram_business_accounts where id = %s", [account_id]).fetchone()
    assert row is not None
    return row


def credentials_of(database: Database, account_id: str) -> Row:
    row = database.execute(
        "select *, spread_place(business_account_id) from instagram_credentials where business_account_id = %s",
        [account_id],
    ).fetchone()
    assert row is not None
    return row


def events_of(database: Database, account_id: str) -> list[Row]:
    return database.execute(
        "select type, detail from outgoing_events where business_account_id = %s order by created_at", [account_id]
    ).fetchall()


def usage_of(database: Database, account_id: str) -> dict[str, tuple[int, datetime | None, datetime]]:
    rows = database.execute("select * from api_usage where business_account_id = %s", [account_id]).fetchall()
    assert len({row["usage_type"] for row in rows}) == len(rows)
    return {row["usage_type"]: (row["used_percent"], row["regain_access_at"], row["observed_at"]) for row in rows}


def claim(
    database: Database,
    at: datetime = NOW,
    *,
    owner: str = "sweep",
    limit: int = 1000,
    rules: RefreshRules = TOKENS_ONLY,
) -> dict[str, Claim]:
    claims = storage(database, at, rules).claim(owner, limit, Deadline(20))
    assert len({claim.account_id for claim in claims}) == len(claims)
    return {claim.account_id: claim for claim in claims}


def is_due(database: Database, account_id: str, at: datetime, rules: RefreshRules = TOKENS_ONLY) -> bool:
    """Whether a sweep would claim an account, which stays as it was."""
    savepoint = database.transaction(force_rollback=True)
    with savepoint:
        return account_id in claim(database, at, rules=rules)


def renewal(**changes: Any) -> EncryptedRenewal:
    values: dict[str, Any] = {
        "obtained_at": NOW,
        "access_token_ciphertext": "new-access-ciphertext",
        "user_token_ciphertext": None,
        "expires_at": NOW + LIFETIME,
        "data_access_expires_at": None,
        "reconnect": None,
        **changes,
    }
    return EncryptedRenewal(**values)


def finish(
    database: Database,
    account_id: str,
    *,
    owner: str = "sweep",
    at: datetime = NOW,
    renewal: EncryptedRenewal | None = None,
    subscription: SubscriptionCheck | None = None,
    usage: tuple[Usage, ...] = (),
    not_before: datetime | None = None,
) -> Account | None:
    repository = storage(database, at)
    payload = repository.finished(
        owner, account_id, renewal=renewal, subscription=subscription, usage=usage, not_before=not_before
    )
    return repository.finish(payload, Deadline(20))


def end(database: Database, account_id: str, owner: str = "sweep") -> Account | None:
    return storage(database).end(owner, account_id, PASSWORD_CHANGED, Deadline(20))


def release(database: Database, account_id: str, *, owner: str = "sweep", **told: Any) -> None:
    repository = storage(database)
    repository.release(owner, [repository.released(account_id, **told)], Deadline(20))


def disconnect(database: Database, user_id: str, account_id: str) -> None:
    payload = {"user_id": user_id, "account_id": account_id, "request_id": "r-disconnect"}
    call(database, "disconnect_account", Jsonb(payload))


def mark(database: Database, user_id: str, account_id: str, **changes: Any) -> Any:
    payload = {
        "user_id": user_id,
        "instagram_business_ids": [account_of(database, account_id)["instagram_business_id"]],
        "issued_at": NOW.isoformat(),
        "failure_code": 190,
        "failure_subcode": 460,
        "reason": "PASSWORD_CHANGED",
        "hint": "The password was changed.",
        **changes,
    }
    return call(database, "mark_needs_reauth", Jsonb(payload))


def connect_again(database: Database, user_id: str, account_id: str) -> None:
    known = account_of(database, account_id)["instagram_business_id"]
    connect(database, user_id, age=timedelta(0), instagram_business_id=known, access_token_ciphertext="of-the-login")


REQUEST = ReconnectRequest(NOW + 9 * DAY, "LOGIN_ENDS", "The login ends soon.")


def claim_one(database: Database, account_id: str, user_id: str, at: datetime = NOW, owner: str = "tab") -> Any:
    return storage(database, at).claim_one(account_id, user_id=user_id, owner=owner, lease_s=60, deadline=Deadline(20))


def announce(database: Database, account_id: str, *minutes: int) -> None:
    for minute in minutes:
        database.execute(
            "insert into outgoing_events (type, business_account_id, detail, created_at) values ('t', %s, %s, %s)",
            [account_id, Jsonb({"minute": minute}), NOW + minute * MINUTE],
        )


def take(database: Database, at: datetime = NOW, limit: int = 100) -> list[int]:
    events = outbox(database, at).take(limit, 60, Deadline(20))
    assert all(set(event) == {"id", "type", "detail"} for event in events)
    return [event["detail"]["minute"] for event in events]
