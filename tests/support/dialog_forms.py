"""The last form of a dialog page, as a browser would submit it."""

from html.parser import HTMLParser

import httpx


class LastForm(HTMLParser):
    """The action and the fields that the last form of a page would submit, including checked boxes."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, list[str]] = {}
        assert page.status_code == 200, page.text
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self.action, self.fields = attributes["action"] or "", {}
        is_submitted = tag == "input" and "disabled" not in attributes
        if is_submitted and (attributes["type"] == "hidden" or "checked" in attributes):
            self.fields.setdefault(attributes["name"] or "", []).append(attributes.get("value") or "")
