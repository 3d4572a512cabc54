"""Everything that happens to connections, in any order, in Postgres and beside it in a model that fits on a page.

Logins are made, and stored then or later, once or often; accounts are disconnected, end, are refreshed by leases that
are held, lost or late; people remove the app or have their data deleted. After each step storage has to say what the
model says. The SQL is the real one, through the product's own repositories; a clock of its own makes days pass for
refreshing.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import AccountDisconnectedError, AccountNotFoundError, ReconnectRequiredError
from instagram_connect.models import AccountToStore, ConnectionToStore, DiscoveredAccount, Login, Provider, UserToken
from instagram_connect.privacy.repository import PrivacyRepository
from instagram_connect.refresh.models import EncryptedRenewal, RefreshTask
from instagram_connect.refresh.repository import DAY_S, RefreshRepository, RefreshRules
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApiError
from instagram_connect.storage.rpc import Rpcs
from tests.support.budget import examples
from tests.support.database import Database, add_user, own_database

DAY, LIFETIME = timedelta(days=1), timedelta(days=60)
# Subscriptions have nothing to do with tokens.
RULES = RefreshRules(subscription_s=100 * 365 * DAY_S)
LEAD = timedelta(seconds=RULES.lead_s)
DEADLINE = Deadline(3600)
ENTRIES = ("17841400000000001", "17841400000000002")
# With Instagram Login the id of an account is one of its person's too.
PEOPLE = ("anna", "ben", ENTRIES[0])
# Of a changed password, and of a token that ended without any doing of its person.
SUBCODES = (460, 463)

Key = tuple[int, str]


class InPostgres:
    """Stands for `DataApi`: calls the functions directly, each call a transaction, and fails as it does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def call(self, function: str, arguments: Mapping[str, Any], **_: object) -> Any:
        try:
            query = f"select {function}(%s) as answer".encode()
            row = self._database.execute(query, [Jsonb(arguments["payload"])]).fetchone()
        except psycopg.Error as error:
            raise DataApiError(code=error.sqlstate, status=400) from error
        assert row is not None
        return row["answer"]


@dataclass(frozen=True)
class Row:
    """What the model knows of an account. `token` is None where there must be none."""

    id: str
    provider: Provider
    person: str | None
    connected_at: datetime
    token: str | None
    state: str = "active"  # needs_reauth, revoked, disconnected
    disconnected_at: datetime | None = None
    refreshed_at: datetime | None = None
    expires_at: datetime | None = None
    subcode: int | None = None
    lease: str | None = None
    lease_ends: datetime | None = None

    def ended(self, state: str, **changes: Any) -> "Row":
        return replace(self, state=state, lease=None, lease_ends=None, **changes)

    def is_of(self, person: str, entry: str) -> bool:
        return self.person == person or (self.provider == Provider.INSTAGRAM and entry == person)


@dataclass(frozen=True)
class Work:
    """A refresh that somebody has begun. What came of it is written at any time, or never."""

    key: Key
    owner: str
    task: RefreshTask


class Connections(RuleBasedStateMachine):
    """Storage, the model, and what can happen."""

    logins: Bundle[ConnectionToStore] = Bundle("logins")
    works: Bundle[Work] = Bundle("works")
    written: Bundle[tuple[Key, dict[str, Any], str]] = Bundle("written")
    deletions: Bundle[tuple[str, datetime, str]] = Bundle("deletions")

    users = st.integers(0, 1)
    entries = st.sampled_from(ENTRIES)
    people = st.sampled_from(PEOPLE)

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        database.execute("truncate auth.users, data_deletion_requests, refresh_brakes cascade")
        self.user_ids = [add_user(database), add_user(database)]
        self.passed = timedelta(0)
        self.numbers = itertools.count(1)
        self.rows: dict[Key, Row] = {}
        self.deleted: list[tuple[str, datetime]] = []
        rpcs = Rpcs(InPostgres(database), sleep=_never)  # type: ignore[arg-type]
        self.connections = ConnectionRepository(InPostgres(database), sleep=_never)  # type: ignore[arg-type]
        self.refreshes = RefreshRepository(rpcs, self.now, RULES)
        self.privacy = PrivacyRepository(rpcs, self.clock)

    def clock(self) -> datetime:
        """The database's own."""
        row = self.database.execute("select clock_timestamp() as now").fetchone()
        assert row is not None
        moment: datetime = row["now"]
        return moment

    def now(self) -> datetime:
        """The one of refreshing."""
        return self.clock() + self.passed

    def name(self, kind: str) -> str:
        return f"{kind}-{next(self.numbers)}"

    # Logins

    @rule(
        target=logins,
        user=users,
        provider=st.sampled_from(Provider),
        person=st.none() | st.sampled_from(PEOPLE[:2]),
        entries=st.sets(entries, min_size=1),
    )
    def log_in(self, user: int, provider: Provider, person: str | None, entries: set[str]) -> ConnectionToStore:
        """A login is made now; when it is stored, and how often, is another matter."""
        at, name = self.clock(), self.name("login")
        token = UserToken(name, at, at + LIFETIME)
        accounts = tuple(
            AccountToStore(DiscoveredAccount(entry, name), f"{name} {entry}", None, None, None)
            for entry in sorted(entries)
        )
        return ConnectionToStore(self.user_ids[user], Login(provider, token, person, (), None), accounts, name)

    @rule(login=logins)
    def store(self, login: ConnectionToStore) -> None:
        user, at = self.user_ids.index(login.user_id), login.login.token.issued_at
        provider, person = login.login.provider, login.login.meta_user_id
        entries = [stored.account.instagram_business_id for stored in login.accounts]
        theirs = {person, *(entries if provider == Provider.INSTAGRAM else ())}
        if any(who in theirs and requested_at >= at for who, requested_at in self.deleted):
            with pytest.raises(AccountDisconnectedError):
                self.connections.store_connection(login, DEADLINE)
            return

        answers = self.connections.store_connection(login, DEADLINE)

        for entry, stored, answer in zip(entries, login.accounts, answers, strict=True):
            before = self.rows.get((user, entry))
            assert answer.id is not None
            if before is None or (at > before.connected_at and at > (before.disconnected_at or before.connected_at)):
                known = before.person if before and before.provider == provider else None
                self.rows[user, entry] = Row(
                    answer.id, provider, person or known, at, stored.access_token_ciphertext, expires_at=at + LIFETIME
                )
            assert answer.status == _shown(self.rows[user, entry].state)

    # What ends them

    @rule(user=users, entry=entries)
    def disconnect(self, user: int, entry: str) -> None:
        before, at = self.rows.get((user, entry)), self.clock()
        account_id = before.id if before else self.user_ids[user]
        asked: dict[str, Any] = {"user_id": self.user_ids[user], "request_id": "r", "deadline": DEADLINE}
        if before is None:
            with pytest.raises(AccountNotFoundError):
                self.connections.disconnect_account(account_id, **asked)
            return

        gone = self.connections.disconnect_account(account_id, **asked)

        assert gone.access_token_ciphertext == before.token
        self.rows[user, entry] = before.ended("disconnected", token=None, disconnected_at=at)

    @rule(user=users, entries=st.sets(entries, min_size=1), login=logins, subcode=st.sampled_from(SUBCODES))
    def mark_needs_reauth(self, user: int, entries: set[str], login: ConnectionToStore, subcode: int) -> None:
        """The token of a login was found dead, at whatever time."""
        issued_at = login.login.token.issued_at
        self.connections.mark_needs_reauth(self.user_ids[user], sorted(entries), issued_at, _dead(subcode), DEADLINE)

        for entry in entries:
            row = self.rows.get((user, entry))
            if row and row.state == "active" and row.connected_at <= issued_at:
                self.rows[user, entry] = row.ended("needs_reauth", subcode=subcode)

    @rule(person=people, login=st.none() | logins)
    def deauthorize(self, person: str, login: ConnectionToStore | None) -> None:
        """A person removed the app, now or when a login was made."""
        moment = login.login.token.issued_at if login else self.clock()
        theirs = [
            key
            for key, row in self.rows.items()
            if row.is_of(person, key[1]) and row.state != "disconnected" and row.connected_at <= moment
        ]

        assert self.privacy.revoke(person, moment, DEADLINE) == len(theirs)

        for key in theirs:
            row = self.rows[key]
            self.rows[key] = row.ended("revoked", token=None)

    @rule(target=deletions, person=people, login=st.none() | logins)
    def delete_person(self, person: str, login: ConnectionToStore | None) -> tuple[str, datetime, str]:
        deletion = person, login.login.token.issued_at if login else self.clock(), self.name("code")
        self.carry_out(deletion)
        return deletion

    @rule(deletion=deletions)
    def delete_again(self, deletion: tuple[str, datetime, str]) -> None:
        """The message of a deletion comes twice: it is done already, and takes no newer login with it."""
        assert self.privacy.delete(*deletion, DEADLINE) is not None

    def carry_out(self, deletion: tuple[str, datetime, str]) -> None:
        person, moment, _ = deletion
        theirs = [key for key, row in self.rows.items() if row.is_of(person, key[1]) and row.connected_at <= moment]

        assert self.privacy.delete(*deletion, DEADLINE) == len(theirs)

        self.deleted.append((person, moment))
        for key in theirs:
            del self.rows[key]

    # Refreshing

    @rule(days=st.sampled_from([0.01, 0.5, 1, 7, 51]))
    def days_pass(self, days: float) -> None:
        self.passed += days * DAY

    @rule(target=works, user=users, entry=entries)
    def claim_one(self, user: int, entry: str) -> Any:
        row, owner = self.rows.get((user, entry)), self.name("user")
        claimed = self.refreshes.claim_one(
            row.id if row else self.user_ids[user],
            user_id=self.user_ids[user],
            owner=owner,
            lease_s=60,
            deadline=DEADLINE,
        )
        if row is None or claimed is None:
            assert (row, claimed) == (None, None)
            return multiple()
        assert claimed.state == self.refreshable(row)
        if claimed.task is None:
            return multiple()
        self.rows[user, entry] = replace(row, lease=owner, lease_ends=self.now() + timedelta(seconds=60))
        return Work((user, entry), owner, claimed.task)

    @rule(target=works)
    def claim_what_is_due(self) -> Any:
        owner = self.name("sweep")
        must = {
            row.id for row in self.rows.values() if self.refreshable(row) == "claimed" and self.is_near_its_end(row)
        }
        claimed = {claim.account_id for claim in self.refreshes.claim(owner, 100, DEADLINE)}
        by_id = {row.id: key for key, row in self.rows.items()}

        assert must <= claimed
        for account_id in claimed:
            key = by_id[account_id]
            assert self.refreshable(self.rows[key]) == "claimed"
            ends = self.now() + timedelta(seconds=RULES.lease_s)
            self.rows[key] = replace(self.rows[key], lease=owner, lease_ends=ends)
        tasks = self.refreshes.leased(owner, claimed, DEADLINE)
        assert {task.account_id for task in tasks} == claimed
        return multiple(*[Work(by_id[task.account_id], owner, task) for task in tasks])

    @rule(work=consumes(works), back=st.booleans())
    def give_up(self, work: Work, back: bool) -> None:
        """A worker is killed, or gives the lease back."""
        if back:
            self.refreshes.release(work.owner, [self.refreshes.released(work.task.account_id)], DEADLINE)
            if self.holds(work):
                self.rows[work.key] = replace(self.rows[work.key], lease=None, lease_ends=None)

    @rule(target=written, work=works, kept=st.booleans())
    def finish(self, work: Work, kept: bool) -> Any:
        """Meta gave a new token. Kept: storage did not take it at once, so that it comes without its lease too."""
        at, token = self.now(), self.name("refresh")
        renewal = EncryptedRenewal(at, token, None, at + LIFETIME, None, None)
        payload = self.refreshes.finished(
            work.owner, work.task.account_id, renewal=renewal, subscription=None, usage=()
        )
        if kept:
            payload = self.refreshes.kept(payload, work.task)
        row = self.rows.get(work.key)
        is_written = self.refreshes.finish(payload, DEADLINE) is not None

        assert is_written == (self.holds(work) or (kept and self.is_unchanged(work)))
        if row and is_written:
            self.rows[work.key] = replace(
                row.ended("active"), token=token, refreshed_at=at, expires_at=at + LIFETIME, subcode=None
            )
            return work.key, payload, token
        return multiple()

    @rule(again=written)
    def finish_again(self, again: tuple[Key, dict[str, Any], str]) -> None:
        """The first answer was lost: nothing is written a second time, least of all over something newer."""
        self.refreshes.finish(again[1], DEADLINE)

    @rule(work=works, subcode=st.sampled_from(SUBCODES))
    def end(self, work: Work, subcode: int) -> None:
        """Meta said that the token is dead."""
        held = self.holds(work)
        is_written = self.refreshes.end(work.owner, work.task.account_id, _dead(subcode), DEADLINE) is not None

        assert is_written == held
        if held:
            self.rows[work.key] = self.rows[work.key].ended("needs_reauth", subcode=subcode)

    def refreshable(self, row: Row) -> str:
        now = self.now()
        if row.state != "active":
            return _shown(row.state)
        if row.lease_ends and row.lease_ends > now:
            return "leased"
        return "too_young" if max(row.connected_at, row.refreshed_at or row.connected_at) + DAY > now else "claimed"

    def is_near_its_end(self, row: Row) -> bool:
        return row.expires_at is not None and row.expires_at <= self.now() + LEAD

    def holds(self, work: Work) -> bool:
        row = self.rows.get(work.key)
        return row is not None and row.id == work.task.account_id and row.lease == work.owner

    def is_unchanged(self, work: Work) -> bool:
        """Whether what is stored is what the work began with, alive or dead for no reason of its person's."""
        row, task = self.rows.get(work.key), work.task
        return (
            row is not None
            and (row.id, row.connected_at, row.refreshed_at)
            == (task.account_id, task.issued_at, task.last_refreshed_at)
            and (row.state == "active" or (row.state == "needs_reauth" and row.subcode == 463))
        )

    # What storage says

    @invariant()
    def storage_says_what_the_model_says(self) -> None:
        stored = self.database.execute(STORED).fetchall()
        found = {(self.user_ids.index(row["user_id"]), row["instagram_business_id"]): row for row in stored}

        assert found.keys() == self.rows.keys()
        for key, row in self.rows.items():
            is_active, has_token = row.state == "active", row.token is not None
            assert found[key] | {"user_id": "", "instagram_business_id": ""} == {
                "user_id": "",
                "instagram_business_id": "",
                "id": row.id,
                "status": _shown(row.state),
                "token_status": "erased" if row.state == "disconnected" else row.state,
                "access_token_ciphertext": row.token,
                "connected_at": row.connected_at,
                "issued_at": row.connected_at,
                "last_refreshed_at": row.refreshed_at,
                "lease_owner": row.lease,
                "has_reason": _shown(row.state) == "needs_reauth",
            }
            assert has_token == (row.state in ("active", "needs_reauth"))
            assert is_active or row.lease is None

    @invariant()
    def their_owners_see_the_same(self) -> None:
        for user, user_id in enumerate(self.user_ids):
            seen = {account.id: account.status for account in self.connections.list_accounts(user_id, DEADLINE)}
            assert seen == {row.id: _shown(row.state) for key, row in self.rows.items() if key[0] == user}


STORED = (
    "select account.user_id::text, account.instagram_business_id, account.id::text, account.status, "
    "account.connected_at, credentials.status as token_status, access_token_ciphertext, issued_at, "
    "last_refreshed_at, lease_owner, account.reconnect_reason is not null as has_reason "
    "from instagram_business_accounts as account "
    "left join instagram_credentials as credentials on credentials.business_account_id = account.id"
)


def _shown(state: str) -> str:
    """An account's status; that its person removed the app is one reason of several to connect again."""
    return "needs_reauth" if state == "revoked" else state


def _dead(subcode: int) -> ReconnectRequiredError:
    return ReconnectRequiredError(
        reason="TOKEN_EXPIRED" if subcode == 463 else "PASSWORD_CHANGED",
        log_context={"meta_code": 190, "meta_subcode": subcode},
    )


def _never(_: float) -> None:
    raise AssertionError("Postgres was waited for")


@pytest.fixture(scope="module")
def database(stack: dict[str, str]) -> Iterator[Database]:
    with own_database(stack, "connection_machine") as database:
        database.execute("set synchronous_commit = off")
        database.row_factory = dict_row
        yield database


@pytest.mark.hypothesis
def test_whatever_happens_storage_says_what_the_model_says(database: Database) -> None:
    run_state_machine_as_test(
        lambda: Connections(database),  # type: ignore[arg-type]
        settings=settings(max_examples=examples(60), stateful_step_count=40),
    )
