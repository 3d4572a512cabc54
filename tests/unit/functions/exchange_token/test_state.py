"""The OAuth state: signed for one user and product, expires, and serves one code."""

from dataclasses import replace
from typing import Any

import pytest

from functions.exchange_token.app import Dependencies
from instagram_connect.errors import (
    LateStartError,
    LoginCodeUsedError,
)
from instagram_connect.models import Provider
from instagram_connect.security.oauth_state import LIFETIME, StateSigner
from tests.support.exchanging import CALLBACK, STATES, FakeFlow, body, sending
from tests.support.fakes import NOW, USER_ID
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import STATE_KEY, LoadEvent, Send


def test_used_state_may_expire_while_its_login_is_retried(
    deps: Dependencies, load_event: LoadEvent, lambda_context: FakeLambdaContext, flow: FakeFlow
) -> None:
    state, _ = STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)
    flow.error = LateStartError()
    sending(deps, load_event, lambda_context)(body=body(state=state))
    flow.error = None
    an_hour_later = replace(deps.connections, states=StateSigner(STATE_KEY, lambda: NOW + 2 * LIFETIME))

    answer = sending(replace(deps, connections=an_hour_later), load_event, lambda_context)(body=body(state=state))

    assert answer["statusCode"] == 200


def test_provider_defaults_to_the_states(post: Send, flow: FakeFlow) -> None:
    state, _ = STATES.issue(USER_ID, Provider.INSTAGRAM, CALLBACK)

    assert post(body=body(state=state))["statusCode"] == 200
    assert flow.asked == [(Provider.INSTAGRAM, "c", CALLBACK)]


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        ("rubbish", {}, "STATE_INVALID"),
        (STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)[0] + "x", {}, "STATE_INVALID"),
        (STATES.issue("somebody-else", Provider.FACEBOOK, CALLBACK)[0], {}, "STATE_OF_ANOTHER_USER"),
        (STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)[0], {"provider": "instagram"}, "STATE_MISMATCH"),
        (STATES.issue(USER_ID, Provider.FACEBOOK, f"{CALLBACK}/2")[0], {}, "STATE_MISMATCH"),
        (
            StateSigner(STATE_KEY, lambda: NOW - LIFETIME).issue(USER_ID, Provider.FACEBOOK, CALLBACK)[0],
            {},
            "STATE_EXPIRED",
        ),
    ],
)
def test_invalid_state_leaves_the_code_unspent(
    post: Send, flow: FakeFlow, state: str, changes: dict[str, Any], reason: str
) -> None:
    answer = post(body=body(state=state, **changes))

    assert (answer["statusCode"], answer["json"]["code"], answer["json"]["reason"]) == (
        400,
        "OAUTH_STATE_INVALID",
        reason,
    )
    assert flow.asked == []


def test_state_serves_one_code_any_number_of_times(post: Send, flow: FakeFlow) -> None:
    state, _ = STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)
    flow.error = LateStartError()
    assert post(body=body(state=state))["statusCode"] == 503
    flow.error = None

    assert post(body=body(state=state))["statusCode"] == 200
    assert post(body=body(state=state))["statusCode"] == 200
    assert post(body=body(code="another", state=state))["json"]["reason"] == "STATE_USED"


def test_repeated_code_is_answered_after_its_state_expired(post: Send, flow: FakeFlow) -> None:
    flow.outcome = LoginCodeUsedError()
    post(body=body())
    expired, _ = StateSigner(STATE_KEY, lambda: NOW - LIFETIME).issue(USER_ID, Provider.FACEBOOK, CALLBACK)

    assert post(body=body(state=expired))["json"]["code"] == "OAUTH_CODE_USED"


def test_deployment_can_require_the_state(
    deps: Dependencies, load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    requiring = replace(deps.connections, is_state_required=True)
    strict = sending(replace(deps, connections=requiring), load_event, lambda_context)
    state, _ = STATES.issue(USER_ID, Provider.FACEBOOK, CALLBACK)

    assert strict(body=body())["json"]["reason"] == "STATE_MISSING"
    assert strict(body=body(state=""))["json"]["reason"] == "STATE_MISSING"
    assert strict(body=body(state=state))["statusCode"] == 200
