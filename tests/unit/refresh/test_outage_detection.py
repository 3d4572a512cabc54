"""Outage detection: whether dead tokens are their users' fault or the app's, and who is checked before deciding."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from instagram_connect.errors import (
    InstagramConnectError,
    MetaActionBlockedError,
    MetaAppMisconfiguredError,
    MetaRateLimitedError,
    MetaUnavailableError,
    PermissionMissingError,
    ReconnectRequiredError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.models import DiscoveredAccount, Provider
from instagram_connect.refresh.account_refresh import AccountRefresh, Attempt
from instagram_connect.refresh.models import EncryptedRenewal, RefreshTask, SubscriptionCheck
from instagram_connect.refresh.outage_detection import (
    CHECK_TIMEOUT_S,
    CONTROL_GROUP_SIZE,
    MIN_FAILING_PEOPLE,
    RECHECKED_PEOPLE,
    OutageDetector,
)
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import NOW


def dead(code: int = 190, subcode: int | None = 458, reason: str = "APP_REMOVED") -> ReconnectRequiredError:
    return ReconnectRequiredError(reason=reason, log_context={"meta_code": code, "meta_subcode": subcode})


def blocked() -> PermissionMissingError:
    """The error that clients report when Meta blocks an app: API access blocked."""
    return PermissionMissingError(log_context={"meta_code": 200, "meta_subcode": None})


def task(person: str, account: str = "", **changes: Any) -> RefreshTask:
    """An account whose token, in the fake vault, is its own id."""
    account = account or f"account-of-{person}"
    return RefreshTask(
        **{
            "account_id": account,
            "user_id": f"user-of-{person}",
            "provider": Provider.INSTAGRAM,
            "instagram_business_id": account,
            "meta_user_id": person,
            "page_id": None,
            "issued_at": NOW - timedelta(days=50),
            "expires_at": NOW + timedelta(days=10),
            "data_access_expires_at": None,
            "access_token_ciphertext": account,
            "user_token_ciphertext": None,
            **changes,
        }
    )


def people(count: int, name: str = "p") -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def failed(person: str, error: InstagramConnectError | None = None, account: str = "", **changes: Any) -> Attempt:
    return Attempt(task(person, account, **changes), None, None, (), error or dead())


def worked(person: str, account: str = "", error: InstagramConnectError | None = None) -> Attempt:
    renewal = EncryptedRenewal(NOW, "c", None, None, None, None)
    return Attempt(task(person, account), renewal, None, (), error)


class FakeStorage:
    """The SQL functions that outage detection calls. Records the calls; functions in `down` fail."""

    def __init__(self) -> None:
        self.witnesses: list[RefreshTask] = []
        self.was_suspended = False
        self.down: set[str] = set()
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, function: str, payload: Any, deadline: Deadline) -> Any:
        self.asked.append((function, payload))
        if function in self.down:
            raise StorageError(reason="UNREACHABLE")
        if function == "brake_refreshes":
            return {"is_new_suspension": not self.was_suspended}
        others = [witness for witness in self.witnesses if witness.person not in payload["except_people"]]
        return [witness.model_dump(mode="json") for witness in others[: payload["limit"]]]

    call_patiently = call

    @property
    def suspensions(self) -> list[str]:
        brakes = [payload for function, payload in self.asked if function == "brake_refreshes"]
        return [payload["suspended_reason"] for payload in brakes if "suspended_reason" in payload]

    @property
    def resumptions(self) -> list[str]:
        brakes = [payload for function, payload in self.asked if function == "brake_refreshes"]
        return [payload["provider"] for payload in brakes if payload.get("is_resumed")]

    @property
    def searches(self) -> list[Mapping[str, Any]]:
        return [payload for function, payload in self.asked if function == "refresh_witnesses"]


class FakeVault:
    """Encrypts nothing."""

    def decrypt(self, ciphertext: str, binding: object) -> str:
        if ciphertext == "damaged":
            raise TokenEncryptionError
        return ciphertext


class FakeProduct:
    """Reports whether a token works, from a table; tokens not in it work."""

    def __init__(self) -> None:
        self.errors: dict[str, InstagramConnectError] = {}
        self.asked: list[str] = []
        self.had_s: list[float] = []

    def check_access(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        self.asked.append(account.access_token)
        self.had_s.append(deadline.remaining_s())
        if account.access_token in self.errors:
            raise self.errors[account.access_token]


class Court:
    """An outage detector with storage and Meta that a test can set up."""

    def __init__(self) -> None:
        self.storage = FakeStorage()
        self.meta = FakeProduct()
        products: Any = dict.fromkeys(Provider, self.meta)
        vault: Any = FakeVault()
        flow = AccountRefresh(products, vault, lambda: NOW, 0)
        self.detector = OutageDetector(flow, RefreshRepository(self.storage, lambda: NOW), lambda: NOW)

    def call_witnesses(self, *answers: InstagramConnectError | None) -> None:
        """One other person per result, whose token works or fails like that."""
        for number, answer in enumerate(answers):
            witness = task(f"w{number}")
            self.storage.witnesses.append(witness)
            if answer is not None:
                self.meta.errors[witness.account_id] = answer

    def dead_tokens(self, *attempts: Attempt, provider: Provider = Provider.INSTAGRAM) -> list[str]:
        failures = [done for done in attempts if done.error and not done.renewal]
        verdict = self.detector.dead_tokens(provider, failures, attempts, Deadline(60))
        return sorted(done.task.account_id for done in verdict)


@pytest.fixture
def court() -> Court:
    return Court()


def test_single_dead_token_among_working_ones_is_marked(court: Court) -> None:
    attempts = [failed("p"), *map(worked, people(2, "living"))]

    assert court.dead_tokens(*attempts) == ["account-of-p"]
    assert court.storage.asked == []


def test_no_witness_is_called_without_failures(court: Court) -> None:
    assert court.dead_tokens(*map(worked, people(9))) == []
    assert court.storage.asked == []


@pytest.mark.parametrize(
    ("dying", "living", "is_at_large"),
    [(5, 0, True), (5, 5, True), (5, 6, False), (50, 50, True), (50, 51, False), (4, 0, False), (4, 4, False)],
)
def test_many_people_failing_alike_suspend_the_product(
    court: Court, dying: int, living: int, is_at_large: bool
) -> None:
    attempts = [*map(failed, people(dying)), *map(worked, people(living, "living"))]

    marked = court.dead_tokens(*attempts)

    assert len(marked) == (0 if is_at_large else dying)
    assert court.storage.suspensions == (["190/458 APP_REMOVED"] if is_at_large else [])


def test_share_is_counted_by_person_not_by_account(court: Court) -> None:
    attempts = [failed("agency", account=f"a{number}") for number in range(108)]

    assert len(court.dead_tokens(*attempts)) == 108
    assert court.storage.suspensions == []


def test_working_accounts_of_one_person_count_once(court: Court) -> None:
    attempts = [*map(failed, people(MIN_FAILING_PEOPLE)), *(worked("agency", f"a{number}") for number in range(108))]

    assert court.dead_tokens(*attempts) == []
    assert len(court.storage.suspensions) == 1


def test_unknown_meta_user_is_counted_by_user_id(court: Court) -> None:
    same = [failed("x", account=f"a{number}", meta_user_id=None, user_id="u") for number in range(MIN_FAILING_PEOPLE)]
    others = [failed("x", account=f"b{number}", meta_user_id=None, user_id=f"u{number}") for number in range(5)]

    assert len(court.dead_tokens(*same)) == MIN_FAILING_PEOPLE
    assert court.dead_tokens(*others) == []


def test_person_with_a_dead_and_a_working_account_does_not_clear_the_app(court: Court) -> None:
    dying = people(MIN_FAILING_PEOPLE)
    attempts = [*map(failed, dying), *(worked(person, f"other-{person}") for person in dying), worked("living")]

    assert court.dead_tokens(*attempts) == []
    assert len(court.storage.suspensions) == 1


def test_renewal_proves_a_working_token_despite_a_later_failure(court: Court) -> None:
    renewed = [worked(person, error=dead()) for person in people(6, "living")]

    assert len(court.dead_tokens(*map(failed, people(MIN_FAILING_PEOPLE)), *renewed)) == MIN_FAILING_PEOPLE
    assert court.storage.asked == []


@pytest.mark.parametrize(
    ("subscription", "proves"),
    [(SubscriptionCheck(), True), (SubscriptionCheck(error="PERMISSION_MISSING"), False), (None, False)],
)
def test_subscription_check_proves_a_working_token_and_idleness_does_not(
    court: Court, subscription: SubscriptionCheck | None, proves: bool
) -> None:
    others = [Attempt(task(person), None, subscription, (), None) for person in people(6, "living")]

    marked = court.dead_tokens(*map(failed, people(MIN_FAILING_PEOPLE)), *others)

    assert len(marked) == (MIN_FAILING_PEOPLE if proves else 0)


@pytest.mark.parametrize(
    "others",
    [
        dead(190, 460, "PASSWORD_CHANGED"),
        dead(190, 459, "APP_REMOVED"),
        dead(102, 458, "APP_REMOVED"),
        dead(190, 458, "TOKEN_INVALID"),
        blocked(),
    ],
)
def test_failures_are_alike_only_with_equal_codes_and_meaning(court: Court, others: InstagramConnectError) -> None:
    attempts = [*map(failed, people(3)), *(failed(person, others) for person in people(3, "q"))]

    assert len(court.dead_tokens(*attempts)) == 6
    assert court.storage.suspensions == []


def test_each_kind_of_failure_is_decided_separately(court: Court) -> None:
    many = [failed(person, blocked()) for person in people(MIN_FAILING_PEOPLE)]
    attempts = [*many[:2], failed("a"), *many[2:4], failed("z"), *many[4:]]

    assert court.dead_tokens(*attempts) == ["account-of-a", "account-of-z"]
    assert court.storage.suspensions == ["200/- PERMISSION_MISSING"]


def test_missing_subcode_equals_subcode_zero(court: Court) -> None:
    attempts = [
        *(failed(person, dead(190, None, "TOKEN_INVALID")) for person in people(3)),
        *(failed(person, dead(190, 0, "TOKEN_INVALID")) for person in people(2, "q")),
    ]

    assert court.dead_tokens(*attempts) == []
    assert court.storage.suspensions == ["190/- TOKEN_INVALID"]


@pytest.mark.parametrize(("alike", "is_at_large"), [(9, True), (5, True), (3, False), (0, False)])
def test_single_dead_token_is_checked_against_nine_other_people(court: Court, alike: int, is_at_large: bool) -> None:
    court.call_witnesses(*[dead()] * alike, *[None] * (CONTROL_GROUP_SIZE - alike))

    marked = court.dead_tokens(failed("p"))

    assert marked == ([] if is_at_large else ["account-of-p"])
    assert len(court.meta.asked) == 9
    assert len(court.storage.suspensions) == is_at_large


@pytest.mark.parametrize(
    ("again", "marked", "suspensions"),
    [
        ({}, 0, 1),
        ({"account-of-p0": dead(), "account-of-p1": dead()}, 0, 1),
        ({f"account-of-p{number}": dead() for number in range(3)}, 5, 0),
        ({"account-of-p0": dead(), "account-of-p1": dead(), "account-of-p2": MetaUnavailableError()}, 0, 0),
    ],
    ids=["all work", "one works", "all are dead", "one says nothing"],
)
def test_three_suspects_are_rechecked_when_most_others_work(
    court: Court, again: dict[str, InstagramConnectError], marked: int, suspensions: int
) -> None:
    court.call_witnesses(None, None, None, dead(), dead())
    court.meta.errors |= again

    assert len(court.dead_tokens(*map(failed, people(5)))) == marked
    assert len(court.storage.suspensions) == suspensions
    assert court.meta.asked[5:] == ["account-of-p0", "account-of-p1", "account-of-p2"]


@pytest.mark.parametrize(
    "otherwise",
    [
        MetaUnavailableError(),
        MetaRateLimitedError(),
        dead(190, 460, "PASSWORD_CHANGED"),
        MetaAppMisconfiguredError(reason="APP_SECRET_INVALID"),
    ],
)
def test_inconclusive_witnesses_count_for_neither_side(court: Court, otherwise: InstagramConnectError) -> None:
    court.call_witnesses(dead(), dead(), dead(), dead(), *[otherwise] * 5)
    other_court = Court()
    other_court.call_witnesses(*[dead()] * 3, *[otherwise] * 6)

    assert court.dead_tokens(failed("p"), worked("q")) == []
    assert other_court.dead_tokens(failed("p")) == ["account-of-p"]


@pytest.mark.parametrize("error", [MetaUnavailableError(), MetaRateLimitedError(), blocked()])
def test_nobody_is_marked_without_conclusive_witnesses(court: Court, error: InstagramConnectError) -> None:
    court.call_witnesses(*[error] * CONTROL_GROUP_SIZE)

    assert court.dead_tokens(failed("p")) == []
    assert court.storage.suspensions == []


def test_unrelated_dead_tokens_do_not_protect_each_other(court: Court) -> None:
    court.storage.witnesses = [task("p"), task("q")]
    court.meta.errors = {"account-of-p": dead(), "account-of-q": dead(190, 460, "PASSWORD_CHANGED")}

    marked = court.dead_tokens(*(failed(name, court.meta.errors[f"account-of-{name}"]) for name in ("p", "q")))

    assert marked == ["account-of-p", "account-of-q"]


def test_undecryptable_witness_counts_for_neither_side(court: Court) -> None:
    court.call_witnesses(*[dead()] * 4)
    court.storage.witnesses += [task(person, access_token_ciphertext="damaged") for person in people(5, "damaged")]

    assert court.dead_tokens(failed("p")) == []
    assert len(court.meta.asked) == 4


@pytest.mark.parametrize(("living", "asks"), [(0, True), (1, True), (2, True), (3, False), (9, False)])
def test_witnesses_are_called_only_while_undecided(court: Court, living: int, asks: bool) -> None:
    court.call_witnesses(*[None] * CONTROL_GROUP_SIZE)

    marked = court.dead_tokens(*map(failed, people(2)), *map(worked, people(living, "living")))

    assert len(marked) == 2
    assert len(court.storage.searches) == asks
    assert len(court.meta.asked) == (CONTROL_GROUP_SIZE if asks else 0)


def test_accounts_of_the_batch_are_not_witnesses(court: Court) -> None:
    court.call_witnesses(None)

    court.dead_tokens(failed("p2"), failed("p1"), worked("living"), provider=Provider.FACEBOOK)

    assert court.storage.searches == [
        {"provider": "facebook", "except_people": ["living", "p1", "p2"], "limit": CONTROL_GROUP_SIZE}
    ]


def test_witness_and_suspect_calls_are_time_limited(court: Court) -> None:
    court.call_witnesses(*[None] * MIN_FAILING_PEOPLE)

    court.dead_tokens(*map(failed, people(MIN_FAILING_PEOPLE)))

    assert len(court.meta.had_s) == MIN_FAILING_PEOPLE + RECHECKED_PEOPLE
    assert all(had <= CHECK_TIMEOUT_S for had in court.meta.had_s)


@pytest.mark.parametrize("witnesses", [(None, dead()), (None, None, dead(), dead())])
def test_evenly_split_witnesses_decide_nothing(
    court: Court, witnesses: tuple[InstagramConnectError | None, ...]
) -> None:
    court.call_witnesses(*witnesses)

    assert court.dead_tokens(*map(failed, people(MIN_FAILING_PEOPLE))) == []
    assert len(court.storage.suspensions) == 1
    assert len(court.meta.asked) == len(witnesses)


@pytest.mark.parametrize("opens_its_account", [False, True])
@pytest.mark.parametrize("refreshed", [0, 4])
def test_suspects_are_marked_only_after_a_failed_recheck(court: Court, opens_its_account: bool, refreshed: int) -> None:
    """A total failure of the refresh call alone: accounts that are not due do not notice."""
    court.call_witnesses(*[None] * CONTROL_GROUP_SIZE)
    accused = people(MIN_FAILING_PEOPLE)
    if not opens_its_account:
        court.meta.errors |= {f"account-of-{person}": dead() for person in accused}

    marked = court.dead_tokens(*map(failed, accused), *map(worked, people(refreshed, "living")))

    assert len(marked) == (0 if opens_its_account else MIN_FAILING_PEOPLE)
    assert bool(court.storage.suspensions) is opens_its_account


@pytest.mark.parametrize("reason", ["APP_SECRET_INVALID", "APP_ID_INVALID"])
def test_definite_app_error_suspends_without_witnesses(court: Court, reason: str) -> None:
    error = MetaAppMisconfiguredError(reason=reason, log_context={"meta_code": 1, "meta_subcode": None})

    assert court.dead_tokens(failed("p", error), *map(worked, people(50, "living"))) == []
    assert court.storage.suspensions == [f"1/- {reason}"]
    assert court.storage.searches == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [(3, "APP_CAPABILITY_MISSING"), (104, "APP_SECRET_PROOF_INVALID"), (191, "REDIRECT_URI_UNREGISTERED")],
)
@pytest.mark.parametrize(("failing", "living", "suspends"), [(5, 0, True), (5, 6, False), (4, 0, False)])
def test_indefinite_app_error_marks_nobody_and_suspends_when_widespread(
    court: Court, code: int, reason: str, failing: int, living: int, suspends: bool
) -> None:
    error = MetaAppMisconfiguredError(reason=reason, log_context={"meta_code": code})
    attempts = [*(failed(person, error) for person in people(failing)), *map(worked, people(living, "living"))]

    assert court.dead_tokens(*attempts) == []
    assert court.storage.suspensions == ([f"{code}/- {reason}"] if suspends else [])


@pytest.mark.parametrize("is_suspended", [True, False])
def test_app_error_on_recheck_changes_nothing_while_others_work(court: Court, is_suspended: bool) -> None:
    error = MetaAppMisconfiguredError(reason="APP_CAPABILITY_MISSING", log_context={"meta_code": 3})
    court.call_witnesses(*[None] * 4)
    court.meta.errors |= {f"account-of-{person}": error for person in people(5)}

    marked = court.dead_tokens(*(failed(person, error, is_suspended=is_suspended) for person in people(5)))

    assert (marked, court.storage.suspensions, court.storage.resumptions) == ([], [], [])


@pytest.mark.parametrize(
    ("ended_s", "reason", "is_certain"),
    [(0, "TOKEN_EXPIRED", True), (60, "TOKEN_EXPIRED", True), (-1, "TOKEN_EXPIRED", False), (60, "APP_REMOVED", True)],
)
def test_token_expired_on_schedule_is_marked_without_witnesses(
    court: Court, ended_s: int, reason: str, is_certain: bool
) -> None:
    end = NOW - timedelta(seconds=ended_s)
    attempts = [failed(person, dead(190, 463, reason), expires_at=end) for person in people(9)]

    assert len(court.dead_tokens(*attempts)) == (9 if is_certain else 0)
    assert bool(court.storage.asked) is not is_certain


def test_page_does_not_expire_with_the_user_token_unless_meta_says_so(court: Court) -> None:
    end = NOW - timedelta(seconds=60)
    of_a_page = {"expires_at": end, "user_token_ciphertext": "sealed:person"}

    removed = [failed(person, expires_at=end) for person in people(9)]
    pages = [replace(done, task=done.task.model_copy(update=of_a_page)) for done in removed]

    assert court.dead_tokens(*pages, provider=Provider.FACEBOOK) == []
    assert len(court.dead_tokens(*removed)) == 9


def test_scheduled_expiries_do_not_count_against_the_app(court: Court) -> None:
    expired = dead(190, 463, "TOKEN_EXPIRED")
    ended = [failed(person, expired, expires_at=NOW) for person in people(9, "ended")]

    marked = court.dead_tokens(*ended, *(failed(person, expired) for person in people(MIN_FAILING_PEOPLE - 1)))

    assert len(marked) == 9 + MIN_FAILING_PEOPLE - 1
    assert court.storage.suspensions == []
    assert court.storage.searches[0]["except_people"] == people(MIN_FAILING_PEOPLE - 1)


def test_scheduled_expiry_does_not_resume_a_suspended_product(court: Court) -> None:
    probe = failed("p", dead(190, 463, "TOKEN_EXPIRED"), expires_at=NOW, is_suspended=True)

    assert court.dead_tokens(probe) == ["account-of-p"]
    assert court.storage.asked == []


def test_token_without_a_known_expiry_did_not_expire_on_schedule(court: Court) -> None:
    attempts = [failed(person, dead(190, 463, "TOKEN_EXPIRED"), expires_at=None) for person in people(9)]

    assert court.dead_tokens(*attempts) == []


@pytest.mark.parametrize(
    "error", [MetaUnavailableError(), MetaRateLimitedError(), MetaActionBlockedError(), TokenEncryptionError()]
)
def test_transient_failures_do_not_count(court: Court, error: InstagramConnectError) -> None:
    assert court.dead_tokens(*(failed(person, error) for person in people(20))) == []
    assert court.storage.asked == []


@pytest.mark.parametrize(
    "others", [(), (dead(), dead()), (None, dead()), (MetaUnavailableError(),)], ids=["none", "dead", "both", "silent"]
)
def test_probe_is_not_marked_while_most_others_fail(
    court: Court, others: tuple[InstagramConnectError | None, ...]
) -> None:
    court.call_witnesses(*others)
    court.meta.errors["account-of-p"] = dead()

    assert court.dead_tokens(failed("p", is_suspended=True)) == []
    assert (court.storage.suspensions, court.storage.resumptions) == ([], [])


def test_dead_probe_is_marked_and_the_product_resumed_once_others_work(court: Court) -> None:
    court.call_witnesses(*[None] * CONTROL_GROUP_SIZE)
    court.meta.errors["account-of-p"] = dead()

    assert court.dead_tokens(failed("p", is_suspended=True)) == ["account-of-p"]
    assert (court.storage.suspensions, court.storage.resumptions) == ([], ["instagram"])


@pytest.mark.parametrize("again", [MetaUnavailableError(), MetaRateLimitedError()])
def test_inconclusive_probe_recheck_changes_nothing(court: Court, again: InstagramConnectError) -> None:
    court.call_witnesses(*[None] * CONTROL_GROUP_SIZE)
    court.meta.errors["account-of-p"] = again

    assert court.dead_tokens(failed("p", is_suspended=True)) == []
    assert (court.storage.suspensions, court.storage.resumptions) == ([], [])


def test_earlier_results_do_not_mark_a_suspended_products_account(court: Court) -> None:
    court.call_witnesses(dead(), dead())

    marked = court.dead_tokens(failed("p", is_suspended=True), *map(worked, people(9, "living")))

    assert (marked, court.storage.suspensions, court.storage.resumptions) == ([], [], [])
    assert len(court.meta.asked) == 2


def test_working_probe_is_not_marked(court: Court) -> None:
    court.call_witnesses(*[None] * CONTROL_GROUP_SIZE)

    assert court.dead_tokens(failed("p", is_suspended=True)) == []
    assert court.storage.resumptions == []


def test_probe_is_decided_even_if_resuming_fails(court: Court, log: io.StringIO) -> None:
    court.call_witnesses(*[None] * CONTROL_GROUP_SIZE)
    court.meta.errors["account-of-p"] = dead()
    court.storage.down = {"brake_refreshes"}

    assert court.dead_tokens(failed("p", is_suspended=True)) == ["account-of-p"]
    assert '"code":"STORAGE_FAILED"' in log.getvalue()


def test_nobody_is_marked_even_if_suspending_fails(court: Court, log: io.StringIO) -> None:
    court.storage.down = {"brake_refreshes"}

    assert court.dead_tokens(*map(failed, people(MIN_FAILING_PEOPLE))) == []
    assert '"code":"STORAGE_FAILED"' in log.getvalue()


@pytest.mark.parametrize("is_suspended", [True, False])
@pytest.mark.parametrize("count", [1, MIN_FAILING_PEOPLE])
def test_missing_witnesses_leave_the_decision_open(
    court: Court, log: io.StringIO, count: int, is_suspended: bool
) -> None:
    court.storage.down = {"refresh_witnesses"}

    assert court.dead_tokens(*(failed(person, is_suspended=is_suspended) for person in people(count))) == []
    assert (court.storage.suspensions, court.storage.resumptions) == ([], [])
    assert '"code":"STORAGE_FAILED"' in log.getvalue()


@pytest.mark.parametrize(("was_suspended", "alarms"), [(False, 1), (True, 0)])
def test_operator_is_notified_once_with_cause_and_count(
    court: Court, log: io.StringIO, was_suspended: bool, alarms: int
) -> None:
    court.storage.was_suspended = was_suspended

    court.dead_tokens(*map(failed, people(7)))

    lines = [line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == "ERROR"]
    assert [(line["provider"], line["failure"], line["accounts"]) for line in lines] == [
        ("instagram", "190/458 APP_REMOVED", 7)
    ] * alarms
