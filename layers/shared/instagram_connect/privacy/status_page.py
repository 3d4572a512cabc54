"""The page on which a person sees how far the deletion of their data is: for people, without login or personal data.

Source of what it has to say: Meta, "Data Deletion Request Callback".
"""

from datetime import UTC, datetime
from html import escape

from instagram_connect.privacy.repository import DeletionStatus

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 38rem; margin: 3rem auto; padding: 0 1rem; color: #1c1e21; }}
h1 {{ font-size: 1.5rem; }}
code {{ background: #f0f2f5; padding: .1rem .3rem; border-radius: .2rem; overflow-wrap: anywhere; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #18191a; color: #e4e6eb; }}
  code {{ background: #3a3b3c; }}
}}
</style>
</head>
<body>
<h1>{title}</h1>
{text}
</body>
</html>
"""
_DELETED = (
    "the access to your Instagram accounts, their profiles, conversations, messages and events, and logins that were "
    "still being completed"
)
_KEPT = (
    "this request with its dates, and a fingerprint of your number at Meta: both prove the deletion, and keep an older "
    "login from bringing data back"
)


def of(code: str, status: DeletionStatus | None) -> str:
    """The page for a code that was given out; a status of None: the deletion is about to begin."""
    paragraphs = [f"<p>Confirmation code: <code>{escape(code)}</code></p>"]
    if status is not None:
        paragraphs.append(f"<p>Requested: {_day(status.requested_at)}</p>")
    if status is not None and status.completed_at is not None:
        title = "Your data has been deleted"
        paragraphs += [
            f"<p>Completed: {_day(status.completed_at)}</p>",
            f"<p>Deleted: {_DELETED}. Copies of what could not be processed before end by themselves within 14 days "
            "at most; nobody uses them.</p>",
            f"<p>Kept: {escape(status.retained_reason or _KEPT)}.</p>",
        ]
    else:
        title = "Your data is being deleted"
        paragraphs += [
            f"<p>Being deleted: {_DELETED}.</p>",
            "<p>This takes minutes, seldom longer. You need not do anything; this page shows when it is done.</p>",
        ]
    return _PAGE.format(title=title, text="\n".join(paragraphs))


def unknown() -> str:
    """The page for a code that nobody was given."""
    text = (
        "<p>There is no deletion request with this code. Look whether the whole address was copied, or ask again in "
        "Facebook's or Instagram's settings under “Apps and websites”.</p>"
    )
    return _PAGE.format(title="This confirmation code is unknown", text=text)


def unavailable() -> str:
    """The page while nobody can tell how far a deletion is."""
    text = "<p>Your request is kept, and is carried out whatever this page says. Look again in a few minutes.</p>"
    return _PAGE.format(title="The status cannot be shown right now", text=text)


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
