"""The pages of the login dialogs: rendered here, without scripts and without a session.

Each form carries the request from step to step, and each step checks it again.
"""

from pathlib import Path
from urllib.parse import urlencode

import jinja2
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse, Response

_SHARED_TEMPLATES = Path(__file__).parent / "templates"
# No form-action: browsers hold every redirect after a form to it, and the app's own are unknown here.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class DialogRefusedError(Exception):
    """The dialog cannot go on; the developer has to correct the app's settings or its request."""

    def __init__(self, title: str, message: str) -> None:
        super().__init__(title)
        self.title = title
        self.message = message


class DialogPages:
    """The pages of one login product: its templates over the shared ones, under its name."""

    def __init__(self, templates: Path, brand: str, theme: str) -> None:
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader([templates, _SHARED_TEMPLATES]),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(brand=brand, theme=theme)

    def page(self, template: str, *, status: int = 200, **context: object) -> Response:
        """Return a rendered page."""
        html = self._templates.get_template(template).render(**context)
        return HTMLResponse(html, status_code=status, headers=_PAGE_HEADERS)

    def refused(self, refusal: DialogRefusedError) -> Response:
        """Return the page that tells the developer what is wrong; never a redirect."""
        return self.page("refused.html", status=400, refusal=refusal)


def redirect(url: str) -> Response:
    """Send the browser back to the app."""
    return RedirectResponse(url, status_code=302, headers={"Referrer-Policy": "no-referrer"})


def redirect_url(redirect_uri: str, query: dict[str, str], state: str | None, fragment: str = "") -> str:
    """Return where the browser goes at the end of a dialog; a `state` that was not sent is not added."""
    if state is not None:
        query = {**query, "state": state}
    separator = "&" if "?" in redirect_uri else "?"
    return f"{redirect_uri}{separator}{urlencode(query)}{fragment}"


def texts_of(form: FormData) -> dict[str, str]:
    """Return the fields of a form, the last one where a name repeats."""
    return {name: value for name, value in form.items() if isinstance(value, str)}


def text_of(form: FormData, name: str) -> str:
    """Return one field, empty if it is missing."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def chosen_in(form: FormData, name: str) -> list[str]:
    """Return the values of the ticked boxes with this name."""
    return [value for value in form.getlist(name) if isinstance(value, str)]
