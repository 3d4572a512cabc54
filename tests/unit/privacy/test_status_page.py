"""The status page of a data deletion."""

from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest

from instagram_connect.privacy import status_page
from instagram_connect.privacy.repository import DeletionStatus
from tests.support.asking import CODE
from tests.support.fakes import NOW

VOID = {"meta"}
# 01:30 in India, which is the day before in UTC.
ASKED_AT = datetime(2026, 11, 23, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
UNDER_WAY = DeletionStatus(ASKED_AT, None, None)
DONE = DeletionStatus(ASKED_AT, ASKED_AT + timedelta(minutes=2), None)
HOSTILE = "<script>alert('1')</script>\"&{title}{0}"


class Page(HTMLParser):
    """A parsed page: its text, tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pages() -> dict[str, str]:
    return {
        "done": status_page.of(CODE, DONE),
        "under way": status_page.of(CODE, UNDER_WAY),
        "about to begin": status_page.of(CODE, None),
        "unknown": status_page.unknown(),
        "unavailable": status_page.unavailable(),
    }


@pytest.mark.parametrize("name", pages())
def test_every_page_is_complete_and_loads_nothing_external(name: str) -> None:
    page = Page(pages()[name])

    assert pages()[name].startswith("<!doctype html>")
    assert page.tags.count("h1") == 1
    assert ("content", "noindex") in page.attributes
    assert {attribute for attribute, _ in page.attributes} == {"lang", "charset", "name", "content"}
    assert not {"script", "img", "link", "iframe", "form", "a"} & set(page.tags)


def test_finished_deletion_lists_what_was_deleted_and_what_is_kept() -> None:
    text = Page(status_page.of(CODE, DONE)).text

    assert "Your data has been deleted" in text
    assert f"Confirmation code: {CODE}" in text
    assert "Requested: 2026-11-22 20:00 UTC" in text
    assert "Completed: 2026-11-22 20:02 UTC" in text
    assert "messages" in text
    assert "prove the deletion" in text
    assert "being deleted" not in text


def test_reason_for_keeping_data_is_shown() -> None:
    text = Page(status_page.of(CODE, DeletionStatus(NOW, NOW, "invoices, by law"))).text

    assert "Kept: invoices, by law." in text
    assert "fingerprint" not in text


def test_deletion_in_progress_shows_its_start_only() -> None:
    text = Page(status_page.of(CODE, UNDER_WAY)).text

    assert "Your data is being deleted" in text
    assert "Requested: 2026-11-22 20:00 UTC" in text
    assert "Completed" not in text
    assert "Kept" not in text


def test_queued_deletion_is_in_progress_without_a_date() -> None:
    text = Page(status_page.of(CODE, None)).text

    assert "Your data is being deleted" in text
    assert CODE in text
    assert "Requested" not in text


def test_code_and_reason_are_escaped() -> None:
    html = status_page.of(HOSTILE, DeletionStatus(NOW, NOW, HOSTILE))

    page = Page(html)
    assert page.text.count(HOSTILE) == 2
    assert "<script" not in html
    assert "script" not in page.tags


def test_pages_without_a_deletion_show_no_code() -> None:
    assert "unknown" in Page(status_page.unknown()).text
    assert "Your request has been received" in Page(status_page.unavailable()).text
    assert "<code>" not in status_page.unknown() + status_page.unavailable()
