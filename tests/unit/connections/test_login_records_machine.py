"""Concurrent login requests compared with a model: one attempt at a time, one outcome for all, no leftover tokens."""

import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from instagram_connect.connections.login_records import TOKEN_KEPT_S, LoginKey, LoginOutcome, LoginRecords
from instagram_connect.errors import LoginInProgressError, MetaUnavailableError, OAuthStateError
from instagram_connect.models import Provider, UserToken
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.security.token_vault import TokenVault
from tests.support.budget import examples
from tests.support.fakes import NOW
from tests.support.lambda_context import FakeLambdaContext
from tests.support.simulated_services import RECORDS_TABLE

CODE, TOKEN = "AQ-the-login-code", "EAA-the-token"
COUNTS_FOR_S = 60
# No time to wait for an attempt made elsewhere.
IMPATIENT = Deadline(0)


@dataclass
class Known:
    """The model's state of one login."""

    outcome: LoginOutcome | None = None
    counts_until: datetime | None = None
    is_running: bool = False
    token: UserToken | None = None
    kept_at: datetime = NOW


class Logins(RuleBasedStateMachine):
    """The records, the model, and the steps that a run can take."""

    logins = st.builds(lambda user, provider: (user, provider), st.integers(0, 1), st.sampled_from(Provider))

    def __init__(self, vault: TokenVault, example: int) -> None:
        super().__init__()
        self.now = NOW
        self.example = example
        self.numbers = itertools.count(1)
        self.known: dict[LoginKey, Known] = {}
        self.states: dict[str, LoginKey] = {}
        self.records = LoginRecords(RECORDS_TABLE, vault, lambda: self.now)

    def key(self, login: tuple[int, Provider]) -> LoginKey:
        """All with the same code."""
        return LoginKey.of(f"user-{self.example}-{login[0]}", login[1], CODE)

    @rule(
        login=logins,
        keeps=st.booleans(),
        end=st.sampled_from(["done", "done", "counts for a while", "raises", "killed", "killed and long gone"]),
    )
    def request(self, login: tuple[int, Provider], keeps: bool, end: str) -> None:
        key = self.key(login)
        known = self.known.setdefault(key, Known())
        number = next(self.numbers)
        made = []

        def attempt() -> LoginOutcome:
            made.append(number)
            if keeps:
                known.token, known.kept_at = UserToken(f"{TOKEN}-{number}", self.now, None, None), self.now
                self.records.keep_token(key, known.token)
            if end == "raises":
                raise MetaUnavailableError
            if end.startswith("killed"):
                raise SystemExit
            return {"number": number, **({"counts_for_s": COUNTS_FOR_S} if end == "counts for a while" else {})}

        # How long Powertools treats an attempt without an outcome as still running.
        context: Any = FakeLambdaContext(remaining_s=-1 if end == "killed and long gone" else 3600)

        def request() -> LoginOutcome:
            return self.records.outcome_of(key, attempt, context, IMPATIENT)

        is_over = known.counts_until is not None and known.counts_until <= self.now
        if known.is_running and (known.outcome is None or is_over):
            with pytest.raises(LoginInProgressError):
                request()
        elif known.outcome is not None and not is_over:
            assert request()["number"] == known.outcome["number"]
        elif end == "raises" or end.startswith("killed"):
            with pytest.raises(MetaUnavailableError if end == "raises" else SystemExit):
                request()
            known.is_running = end == "killed"
            assert made == [number]
            return
        else:
            known.outcome = request()
            lasts = end == "counts for a while"
            known.counts_until = self.now + timedelta(seconds=COUNTS_FOR_S) if lasts else None
            if not lasts:
                known.token = None
            assert made == [known.outcome["number"]] == [number]
            return
        assert made == []

    @rule(login=logins, state=st.sampled_from(["a", "b"]))
    def use_state(self, login: tuple[int, Provider], state: str) -> None:
        key, state = self.key(login), f"{self.example}-{state}"
        if self.states.get(state, key) != key:
            with pytest.raises(OAuthStateError):
                self.records.use_state(state, key)
            return

        assert self.records.use_state(state, key) == (state not in self.states)
        self.states[state] = key

    @rule(seconds=st.sampled_from([1, COUNTS_FOR_S - 1, COUNTS_FOR_S, TOKEN_KEPT_S + 1]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def a_token_is_kept_until_its_login_is_done_and_for_nobody_else(self) -> None:
        for key, known in self.known.items():
            is_kept = known.token and self.now <= known.kept_at + timedelta(seconds=TOKEN_KEPT_S)
            assert self.records.kept_token(key) == (known.token if is_kept else None)

    def teardown(self) -> None:
        items = json.dumps(boto3.client("dynamodb").scan(TableName=RECORDS_TABLE)["Items"])
        assert CODE not in items
        assert TOKEN not in items


@pytest.mark.hypothesis
@pytest.mark.usefixtures("records")
def test_records_match_the_model(vault: TokenVault) -> None:
    numbers = itertools.count(1)
    run_state_machine_as_test(
        lambda: Logins(vault, next(numbers)),  # type: ignore[arg-type]
        settings=settings(max_examples=examples(15), stateful_step_count=20),
    )
