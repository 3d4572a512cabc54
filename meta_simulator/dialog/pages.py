"""The pages of the login dialogs, rendered without scripts and without a session.

Each form carries the original request in hidden fields, and each step validates it again.
"""

from pathlib import Path
from urllib.parse import urlencode

import jinja2
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse, Response

_SHARED_TEMPLATES = Path(__file__).parent / "templates"
# Without form-action, because browsers apply it to redirects after a form too, and those lead to the app.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class DialogError(Exception):
    """The dialog cannot continue; the developer has to correct the app's settings or its request."""

    def __init__(self, title: str, message: str) -> None:
        super().__init__(title)
        self.title = title
        self.message = message


class DialogPages:
    """The pages of one login product: its own templates on top of the shared ones."""

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

    def error_page(self, error: DialogError) -> Response:
        """Return the page that shows the developer what is wrong. It is never a redirect."""
        return self.page("error.html", status=400, error=error)


def redirect(url: str) -> Response:
    """Return the redirect that sends the browser back to the app."""
    return RedirectResponse(url, status_code=302, headers={"Referrer-Policy": "no-referrer"})


def redirect_url(redirect_uri: str, query: dict[str, str], state: str | None, fragment: str = "") -> str:
    """Return the URL that ends a dialog. `state` is only added if the app sent one."""
    if state is not None:
        query = {**query, "state": state}
    separator = "&" if "?" in redirect_uri else "?"
    return f"{redirect_uri}{separator}{urlencode(query)}{fragment}"


def form_values(form: FormData) -> dict[str, str]:
    """Return the text fields of a form, the last value of each name."""
    return {name: value for name, value in form.items() if isinstance(value, str)}


def form_value(form: FormData, name: str) -> str:
    """Return one text field, or an empty string if it is missing."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def checked_values(form: FormData, name: str) -> list[str]:
    """Return the values of the checked boxes with this name."""
    return [value for value in form.getlist(name) if isinstance(value, str)]
