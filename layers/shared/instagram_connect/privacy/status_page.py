"""The page that shows the status of a data deletion, without login and without personal data.

Source of its required content: Meta, "Data Deletion Request Callback".
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
    "our access to your Instagram accounts, their profiles, conversations, messages and events, and logins that were "
    "still being completed"
)
_KEPT = (
    "this request with its dates, and a fingerprint of your ID at Meta. They prove the deletion and prevent an older "
    "login from bringing data back"
)


def of(code: str, status: DeletionStatus | None) -> str:
    """Render the page for a valid code. A status of None means that the deletion has not started yet."""
    paragraphs = [f"<p>Confirmation code: <code>{escape(code)}</code></p>"]
    if status is not None:
        paragraphs.append(f"<p>Requested: {_day(status.requested_at)}</p>")
    if status is not None and status.completed_at is not None:
        title = "Your data has been deleted"
        paragraphs += [
            f"<p>Completed: {_day(status.completed_at)}</p>",
            f"<p>Deleted: {_DELETED}. Unprocessed copies in queues expire within 14 days at most and are not used.</p>",
            f"<p>Kept: {escape(status.retained_reason or _KEPT)}.</p>",
        ]
    else:
        title = "Your data is being deleted"
        paragraphs += [
            f"<p>Being deleted: {_DELETED}.</p>",
            "<p>This usually takes a few minutes. You don't need to do anything; this page shows when it is done.</p>",
        ]
    return _PAGE.format(title=title, text="\n".join(paragraphs))


def unknown() -> str:
    """Render the page for an unknown code."""
    text = (
        "<p>There is no deletion request with this code. Check that you copied the whole address, or request the "
        "deletion again in the Facebook or Instagram settings under “Apps and websites”.</p>"
    )
    return _PAGE.format(title="This confirmation code is unknown", text=text)


def unavailable() -> str:
    """Render the page while the status cannot be read."""
    text = "<p>Your request has been received and will be carried out. Check again in a few minutes.</p>"
    return _PAGE.format(title="We can't show the status right now", text=text)


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
