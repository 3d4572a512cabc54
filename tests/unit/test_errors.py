"""The error classes, docs/errors.md and the tree in the docstring agree."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from instagram_connect import errors
from instagram_connect.api.problem import problem
from instagram_connect.api.schemas import Problem
from instagram_connect.errors import (
    RECONNECT_HINTS,
    Actor,
    InstagramConnectError,
    InternalError,
    MetaRateLimitedError,
    PermissionMissingError,
    ReconnectRequiredError,
    StorageError,
    error_from_record,
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


def test_errors_and_documentation_match_exactly() -> None:
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


def test_every_reason_from_meta_is_documented() -> None:
    reasons = {
        *graph_errors.APP_FAULTS.values(),
        *graph_errors.DEAD_TOKEN_SUBCODES.values(),
        *graph_errors.RECONNECT_CODES.values(),
        "APP_SECRET_INVALID",
    }

    assert {reason for reason in reasons if f"`{reason}`" not in DOCUMENT} == set()


def test_every_reconnect_reason_has_its_own_hint() -> None:
    reasons = {
        *graph_errors.DEAD_TOKEN_SUBCODES.values(),
        *graph_errors.RECONNECT_CODES.values(),
        PermissionMissingError.code,
        "LOGIN_ENDS",
        "DATA_ACCESS_ENDS",
    }

    assert set(RECONNECT_HINTS) == reasons
    assert len(set(RECONNECT_HINTS.values())) == len(reasons)


def test_every_reconnect_hint_is_documented_exactly() -> None:
    for reason, hint in RECONNECT_HINTS.items():
        assert f"| `{reason}` | {hint} |" in DOCUMENT


@pytest.mark.parametrize("reason", RECONNECT_HINTS)
def test_a_reconnect_error_has_the_hint_of_its_reason(reason: str) -> None:
    error = ReconnectRequiredError(reason=reason, log_context={"meta_code": 190})

    assert (error.reason, error.hint, error.log_context) == (reason, RECONNECT_HINTS[reason], {"meta_code": 190})


@pytest.mark.parametrize("reason", [None, "SOMETHING_NEW"])
def test_a_reconnect_error_with_an_unknown_reason_has_the_general_hint(reason: str | None) -> None:
    error = ReconnectRequiredError("Details.", reason=reason)

    assert (error.hint, error.details) == (ReconnectRequiredError.hint, "Details.")


def test_a_hint_of_one_reconnect_error_does_not_leak_into_the_next() -> None:
    before = ReconnectRequiredError.hint

    ReconnectRequiredError(reason="APP_REMOVED")

    assert ReconnectRequiredError.hint == before == ReconnectRequiredError().hint


def test_the_docstring_tree_matches_the_classes() -> None:
    drawn = re.findall(r"(\w+Error)\b", (errors.__doc__ or "").split("`code`")[0])

    assert drawn == list(all_classes())


def test_the_text_of_an_error_is_its_code_and_reason_without_context() -> None:
    error = StorageError(reason="KEY_REJECTED", log_context={"storage_code": "401"})

    assert str(error) == "STORAGE_FAILED/KEY_REJECTED"


EVERY_ERROR = [
    *(kind() for kind in public_errors() if kind not in (StorageError,)),
    StorageError("Why.", reason="DATABASE_UNREACHABLE", actor=Actor.NOBODY, recoverable=True),
    ReconnectRequiredError(reason="PASSWORD_CHANGED"),
    InternalError("Details.", reason="A_REASON", retry_after_s=7),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=str)
def test_a_restored_error_equals_the_recorded_one(error: InstagramConnectError) -> None:
    record = json.loads(json.dumps(error.to_record()))

    restored = error_from_record(record)

    assert type(restored) is type(error)
    assert problem(restored, "r") == problem(error, "r")
    assert restored.is_repeated
    assert not error.is_repeated


@pytest.mark.parametrize(("left_s", "expected_s"), [(None, 420), (17, 17), (0, 1), (-5, 1)])
def test_a_restored_error_waits_for_the_remaining_time(left_s: int | None, expected_s: int) -> None:
    record = MetaRateLimitedError(retry_after_s=420).to_record()

    assert error_from_record(record, retry_after_s=left_s).retry_after_s == expected_s


def test_an_error_without_a_wait_is_restored_without_one() -> None:
    assert error_from_record(InternalError().to_record(), retry_after_s=17).retry_after_s is None


@pytest.mark.parametrize("error", EVERY_ERROR, ids=str)
def test_every_error_has_the_documented_shape(error: InstagramConnectError) -> None:
    body = problem(error, "r")

    assert Problem.model_validate(body).model_dump(mode="json", by_alias=True, exclude_none=True) == body
