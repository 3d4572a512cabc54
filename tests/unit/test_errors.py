"""The taxonomy, its documentation and the docstring tree say the same."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from instagram_connect import errors
from instagram_connect.errors import (
    RECONNECT_HINTS,
    InstagramConnectError,
    PermissionMissingError,
    ReconnectRequiredError,
    StorageError,
)
from instagram_connect.meta import graph_errors
from instagram_connect.storage import diagnosis
from instagram_connect.storage.diagnosis import Diagnosis
from tests.support.error_classes import public_errors

DOCUMENT = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()


def all_classes(base: type[InstagramConnectError] = InstagramConnectError) -> Iterator[str]:
    yield base.__name__
    for child in base.__subclasses__():
        yield from all_classes(child)


def diagnoses() -> list[Diagnosis]:
    return [value for value in vars(diagnosis).values() if isinstance(value, Diagnosis)]


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in public_errors()]

    assert len(codes) == len(set(codes))


def test_every_error_is_documented_with_its_exact_words_and_a_link_target_and_nothing_else_is() -> None:
    rows = re.findall(r"^\| <a id=\"[A-Z_]+\"></a>`([A-Z_]+)` \| \d.*$", DOCUMENT, re.MULTILINE)

    for error in public_errors():
        recoverable = "yes" if error.recoverable else "no"
        row = (
            f'| <a id="{error.code}"></a>`{error.code}` | {int(error.status)} | {error.actor} | {recoverable} '
            f"| {error.message} | {error.hint} |"
        )
        assert row in DOCUMENT
    assert sorted(rows) == sorted(error.code for error in public_errors())


def test_every_storage_reason_is_documented_with_its_remedy() -> None:
    for known in diagnoses():
        recoverable = "yes" if known.waiting_helps else "no"
        assert f"| `{known.reason}` | {known.actor} | {recoverable} | {known.remedy} |" in DOCUMENT


def test_every_reason_that_meta_can_cause_is_documented() -> None:
    reasons = {
        *graph_errors.APP_FAULTS.values(),
        *graph_errors.DEAD_TOKEN_SUBCODES.values(),
        *graph_errors.RECONNECT_CODES.values(),
        "APP_SECRET_INVALID",
    }

    assert {reason for reason in reasons if f"`{reason}`" not in DOCUMENT} == set()


def test_every_reason_to_connect_again_has_words_for_its_user_and_no_other_has() -> None:
    reasons = {
        *graph_errors.DEAD_TOKEN_SUBCODES.values(),
        *graph_errors.RECONNECT_CODES.values(),
        PermissionMissingError.code,
        "LOGIN_ENDS",
        "DATA_ACCESS_ENDS",
    }

    assert set(RECONNECT_HINTS) == reasons
    assert len(set(RECONNECT_HINTS.values())) == len(reasons)


def test_every_reason_to_connect_again_is_documented_with_its_exact_words() -> None:
    for reason, hint in RECONNECT_HINTS.items():
        assert f"| `{reason}` | {hint} |" in DOCUMENT


@pytest.mark.parametrize("reason", RECONNECT_HINTS)
def test_a_dead_login_is_told_with_the_words_of_its_reason(reason: str) -> None:
    error = ReconnectRequiredError(reason=reason, log_context={"meta_code": 190})

    assert (error.reason, error.hint, error.log_context) == (reason, RECONNECT_HINTS[reason], {"meta_code": 190})


@pytest.mark.parametrize("reason", [None, "SOMETHING_NEW"])
def test_a_dead_login_without_a_known_reason_is_told_in_general_words(reason: str | None) -> None:
    error = ReconnectRequiredError("Details.", reason=reason)

    assert (error.hint, error.details) == (ReconnectRequiredError.hint, "Details.")


def test_the_words_of_one_dead_login_are_not_those_of_the_next() -> None:
    before = ReconnectRequiredError.hint

    ReconnectRequiredError(reason="APP_REMOVED")

    assert ReconnectRequiredError.hint == before == ReconnectRequiredError().hint


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = re.findall(r"(\w+Error)\b", (errors.__doc__ or "").split("`code`")[0])

    assert drawn == list(all_classes())


def test_an_error_says_its_code_and_reason_and_nothing_of_its_context() -> None:
    error = StorageError(reason="KEY_REJECTED", log_context={"storage_code": "401"})

    assert str(error) == "STORAGE_FAILED/KEY_REJECTED"
