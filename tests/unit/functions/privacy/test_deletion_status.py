"""The status page of a deletion, for whoever has its confirmation code."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from instagram_connect.privacy.callbacks import new_confirmation_code
from tests.support.asking import (
    CODE,
    CODE_KEY,
    DONE,
    PERSON,
    PrivacyStorage,
    Send,
)
from tests.support.fakes import NOW
from tests.support.refreshing import STORAGE_DOWN


def test_a_deletion_that_is_done_shows_its_dates_and_what_is_kept(
    look: Callable[[str], Any], storage: PrivacyStorage, deliver: Send
) -> None:
    assert deliver() == DONE

    answer = look(CODE)

    assert answer["statusCode"] == 200
    assert "Your data has been deleted" in answer["body"]
    assert "Completed: 2026-11-22 12:00 UTC" in answer["body"]
    assert storage.asked("deletion_status") == [{"confirmation_code": CODE}]


def test_a_deletion_that_is_under_way_shows_since_when(look: Callable[[str], Any], storage: PrivacyStorage) -> None:
    storage.deletions[CODE] = {"requested_at": NOW.isoformat(), "completed_at": None, "retained_reason": None}

    answer = look(CODE)

    assert answer["statusCode"] == 200
    assert "Your data is being deleted" in answer["body"]
    assert "Requested: 2026-11-22 12:00 UTC" in answer["body"]


def test_a_deletion_that_waits_in_the_queue_is_under_way_for_its_person(look: Callable[[str], Any]) -> None:
    answer = look(new_confirmation_code(CODE_KEY))

    assert answer["statusCode"] == 200
    assert "Your data is being deleted" in answer["body"]


@pytest.mark.parametrize(
    "code", ["", "ab12", CODE, new_confirmation_code("another-key"), "<script>alert(1)</script>", "é" * 40]
)
def test_a_code_that_nobody_was_given_is_unknown_and_not_repeated(look: Callable[[str], Any], code: str) -> None:
    answer = look(code)

    assert answer["statusCode"] == 404
    assert "This confirmation code is unknown" in answer["body"]
    assert not code or code not in answer["body"]


@pytest.mark.parametrize("code", ["\x00", "a" * 40 + "\ud83d"])
def test_what_no_database_holds_is_a_code_that_nobody_was_given(look: Callable[[str], Any], code: str) -> None:
    """And not one whose deletion is kept, and carried out."""
    assert look(code)["statusCode"] == 404


def test_without_a_code_there_is_nothing_to_show(send: Send) -> None:
    assert send("data_deletion_status", queryStringParameters=None)["statusCode"] == 404


@pytest.mark.parametrize("code", [new_confirmation_code(CODE_KEY), CODE])
def test_status_page_asks_to_check_again_while_storage_is_down(
    look: Callable[[str], Any], storage: PrivacyStorage, log: io.StringIO, code: str
) -> None:
    storage.failures = {"deletion_status": STORAGE_DOWN}

    answer = look(code)

    assert answer["statusCode"] == 503
    assert "Check again in a few minutes" in answer["body"]
    assert '"reason":"DATA_API_UNREACHABLE"' in log.getvalue()


def test_whatever_storage_holds_of_a_deletion_is_shown_as_text(
    look: Callable[[str], Any], storage: PrivacyStorage
) -> None:
    storage.deletions[CODE] = {
        "requested_at": NOW.isoformat(),
        "completed_at": NOW.isoformat(),
        "retained_reason": "<script>alert('1')</script>{code}",
    }

    body = look(CODE)["body"]

    assert "<script" not in body
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;{code}." in body


def test_every_page_is_html_that_nobody_keeps(look: Callable[[str], Any], storage: PrivacyStorage) -> None:
    storage.deletions[CODE] = {"requested_at": NOW.isoformat(), "completed_at": None, "retained_reason": None}
    answers = [look(CODE), look(new_confirmation_code(CODE_KEY)), look("ab12")]
    storage.failures = {"deletion_status": STORAGE_DOWN}
    answers.append(look(CODE))

    assert [answer["statusCode"] for answer in answers] == [200, 200, 404, 503]
    for answer in answers:
        assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
        assert answer["headers"]["Cache-Control"] == "no-store"
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        assert answer["isBase64Encoded"] is False
        assert PERSON not in answer["body"]
