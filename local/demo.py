"""Makes one connection step by step, as a user's browser and the frontend do.

It signs up a user, completes Meta's login dialog, sends the code to the deployed function, and reads the result with
the user's own rights. It stops at the first unexpected response and shows it.
"""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from local.dialog_forms import Form, forms
from local.errors import LocalSystemError
from local.progress import say

_PERSON = "Ana Souza"
# The first request starts the function, which loads its libraries.
_TIMEOUT_SECONDS = 60


def connect(stack: Mapping[str, str]) -> None:
    """Make one connection, printing each step. Raises `LocalSystemError` for an unexpected response."""
    with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as browser:
        page = _json(browser.get(f"{stack['web_url']}/config.json"), 200)
        say("\nOne connection, step by step")
        user_token = _sign_up(browser, page)
        login = _start_login(browser, page, user_token)
        if not login["authorizeUrl"].startswith(stack["meta_url"]):
            say("\nSkipped the demo: it needs the Meta simulator, but FACEBOOK_DIALOG_URL points elsewhere.")
            return
        code = _log_in_at_meta(browser, page, login)
        connection = _exchange(browser, page, user_token, code, login["state"])
        _read_own_rows(browser, page, user_token, connection)
        _try_credentials(browser, page, user_token)
        _receive_message(browser, page, user_token, stack, connection)
    say("\nThe demo connection worked.")


def _sign_up(browser: httpx.Client, page: Mapping[str, str]) -> str:
    email = f"demo-{secrets.token_hex(4)}@example.com"
    say(f"\n1. A user signs up with Supabase Auth as {email}: POST /auth/v1/signup")
    response = browser.post(
        f"{page['supabaseUrl']}/auth/v1/signup",
        headers={"apikey": page["supabasePublishableKey"]},
        json={"email": email, "password": secrets.token_urlsafe(16)},
    )
    session = _json(response, 200)
    say(f"   Signed in as user {session['user']['id']}.")
    token: str = session["access_token"]
    return token


def _start_login(browser: httpx.Client, page: Mapping[str, str], user_token: str) -> dict[str, str]:
    say("\n2. The frontend asks our API for the address of Meta's login dialog: POST /api/instagram/authorize")
    response = browser.post(
        f"{page['apiUrl']}/api/instagram/authorize",
        headers={"Authorization": f"Bearer {user_token}"},
        json={"redirectUri": page["redirectUri"]},
    )
    login: dict[str, str] = _json(response, 200)["data"]
    say(f"   The address contains a state that expires at {login['expiresAt']}.")
    return login


def _log_in_at_meta(browser: httpx.Client, page: Mapping[str, str], login: Mapping[str, str]) -> str:
    say(f"\n3. The browser opens Meta's login dialog. {_PERSON} logs in and grants all permissions.")
    shown = browser.get(login["authorizeUrl"])
    choice = _press(browser, shown, name="person", label=_PERSON)
    arrival = _press(browser, choice, name="answer", label="Continue")
    target = arrival.headers.get("location", "")
    result = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    if not target.startswith(page["redirectUri"]) or "code" not in result or result.get("state") != login["state"]:
        raise LocalSystemError(f"Meta's dialog did not redirect back with a code: {_summary(arrival)}")
    say(f"   Meta redirects the browser to {page['redirectUri']} with a code.")
    code: str = result["code"]
    return code


def _press(browser: httpx.Client, shown: httpx.Response, *, name: str, label: str) -> httpx.Response:
    """Press a button: submit its form, leaving all other fields unchanged."""
    form: Form | None = next((form for form in forms(shown.text) if form.button(name, label)), None)
    if form is None:
        raise LocalSystemError(f"Meta's dialog has no button {label!r}: {_summary(shown)}")
    fields: dict[str, list[str]] = {}
    for field, value in [*form.fields, (name, form.button(name, label) or "")]:
        fields.setdefault(field, []).append(value)
    return browser.post(str(shown.url.join(form.action)), data=fields)


def _exchange(browser: httpx.Client, page: Mapping[str, str], user_token: str, code: str, state: str) -> dict[str, Any]:
    say("\n4. The frontend sends the code to our API: POST /api/instagram/exchange-token")
    response = browser.post(
        f"{page['apiUrl']}/api/instagram/exchange-token",
        headers={"Authorization": f"Bearer {user_token}"},
        json={"code": code, "redirectUri": page["redirectUri"], "state": state},
    )
    body = _json(response, 200)
    say(_indented(body))
    connection: dict[str, Any] = body["data"]
    return connection


def _read_own_rows(
    browser: httpx.Client, page: Mapping[str, str], user_token: str, connection: Mapping[str, Any]
) -> None:
    say("\n5. The user reads their own accounts: GET /rest/v1/instagram_business_accounts")
    rows = _json(_read(browser, page, user_token, "instagram_business_accounts?select=id,username,name"), 200)
    say(_indented(rows))
    if {row["id"] for row in rows} != {account["id"] for account in connection["accounts"]}:
        raise LocalSystemError("These are not the accounts that were just connected.")


def _try_credentials(browser: httpx.Client, page: Mapping[str, str], user_token: str) -> None:
    say("\n6. The user tries to read the stored tokens: GET /rest/v1/instagram_credentials")
    refusal = _json(_read(browser, page, user_token, "instagram_credentials?select=*"), 403)
    say(f"   Refused, as intended: {refusal['message']}")


def _receive_message(
    browser: httpx.Client,
    page: Mapping[str, str],
    user_token: str,
    stack: Mapping[str, str],
    connection: Mapping[str, Any],
) -> None:
    say("\n7. A customer sends the account a message, and Meta a webhook: POST /api/instagram/webhook")
    account = connection["accounts"][0]
    message_id = f"demo-{secrets.token_hex(8)}"
    sent = browser.post(
        f"{stack['meta_url']}/_simulator/webhooks/deliveries",
        json={
            "product": "facebook",
            "url": f"{page['apiUrl']}/api/instagram/webhook",
            "events": [
                {
                    "type": "message",
                    "account": account["instagramBusinessId"],
                    "id": message_id,
                    "text": "Olá! Are you open today? ☕",
                }
            ],
        },
    )
    answers = _json(sent, 200)["answers"]
    if answers != {"200": 1}:
        raise LocalSystemError(f"The webhook was not accepted: {answers}.")
    say("   200: the webhook is in the queue. The user reads their messages: GET /rest/v1/instagram_dm_messages")
    query = f"instagram_dm_messages?message_id=eq.{message_id}&select=message_id,participant_id,text,sent_at"
    until = time.monotonic() + _TIMEOUT_SECONDS
    while not (rows := _json(_read(browser, page, user_token, query), 200)):
        if time.monotonic() > until:
            raise LocalSystemError("The message was not stored: run `make webhooks` to find out where it is.")
        time.sleep(0.3)
    say(_indented(rows))


def _read(browser: httpx.Client, page: Mapping[str, str], user_token: str, query: str) -> httpx.Response:
    return browser.get(
        f"{page['supabaseUrl']}/rest/v1/{query}",
        headers={"apikey": page["supabasePublishableKey"], "Authorization": f"Bearer {user_token}"},
    )


def _json(response: httpx.Response, expected: int) -> Any:
    if response.status_code != expected:
        raise LocalSystemError(f"Expected {expected}, got {_summary(response)}")
    return response.json()


def _summary(response: httpx.Response) -> str:
    request = response.request
    return f"{response.status_code} from {request.method} {request.url.copy_with(query=None)}\n{response.text}"


def _indented(value: object) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join(f"   {line}" for line in text.splitlines())
