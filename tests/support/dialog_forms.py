"""The forms of a dialog's page, as a browser would send them."""

from html.parser import HTMLParser

import httpx


class LastForm(HTMLParser):
    """The names and values that the last form of a page would send, with every box that is ticked."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, list[str]] = {}
        assert page.status_code == 200, page.text
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.action, self.fields = given["action"] or "", {}
        is_sent = tag == "input" and "disabled" not in given
        if is_sent and (given["type"] == "hidden" or "checked" in given):
            self.fields.setdefault(given["name"] or "", []).append(given.get("value") or "")
