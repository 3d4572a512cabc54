"""After all kinds of connections, no log of a function or local service contains a token, code or secret."""

import json
import re
from typing import Any

from tests.support.app import SCOPES, App, Fault, User
from tests.support.deployed import function_logs
from tests.support.home import TEST_HOME


def test_logs_contain_no_token_code_or_secret(app: App, user: User, fault: Fault, aws: dict[str, Any]) -> None:
    codes = [app.log_in(), app.log_in(), app.log_in("Ben Carter"), app.log_in()]
    by_instagram = app.log_in_to_instagram()
    signed_in = {"person": "Ana Souza", "response_type": "token", "scopes": SCOPES}
    access_token = app.meta("POST", "/authorize", signed_in)["access_token"]
    responses = [app.exchange(user, codes[0]), app.exchange(user, codes[0]), app.exchange(user, codes[2])]
    fault(operation="exchange_code", times=1, error="server_error")
    responses.append(app.exchange(user, codes[1]))
    fault(operation="list_accounts", times=None, error="expired_token")
    responses.append(app.exchange(user, codes[3]))
    assert [response.status_code for response in responses] == [200, 200, 422, 502, 409]
    app.meta("DELETE", "/faults")
    state = app.call(user, "POST", "/instagram/authorize", {"redirectUri": app.redirect_uri, "provider": "instagram"})
    more = [
        app.exchange(user, by_instagram, state=state.json()["data"]["state"]),
        app.call(user, "POST", "/instagram/exchange-token", {"accessToken": access_token}),
    ]
    more += [
        app.call(user, "DELETE", f"/instagram/accounts/{account['id']}")
        for account in more[1].json()["data"]["accounts"]
    ]
    assert [response.status_code for response in more] == [200] * 4
    responses += more

    secret_names = ("supabase_secret_key", "facebook_app_secret", "instagram_app_secret", "webhook_verify_token")
    secrets = {
        *codes,
        by_instagram,
        access_token,
        user.token,
        *(app.stack[name] for name in secret_names),
        *_generated_secrets(),
    }
    lines = function_logs(aws)
    services = [log.read_text(errors="replace") for log in (TEST_HOME / "logs").glob("*.log")]
    everything = "\n".join([*lines, *services, *(response.text for response in responses)])

    # Prove that the search works: it finds the request ids of these responses.
    assert all(response.json()["requestId"] in everything for response in responses)
    assert any("list_pages" in line for line in lines)
    assert [secret[:6] for secret in secrets if secret in everything] == []
    assert re.findall(r"(?:EAA|IGAA)\w{8}|access_token=\w+", everything) == []


def test_correlation_id_links_the_request_to_the_stored_row(app: App, user: User, aws: dict[str, Any]) -> None:
    body = app.exchange(user, app.log_in()).json()

    lines = [json.loads(line) for line in function_logs(aws) if line.startswith("{")]
    of_this_request = [line for line in lines if line.get("correlation_id") == body["requestId"]]
    rows = app.read(user, "instagram_business_accounts?select=last_request_id").json()

    assert "Stored a connection" in [line["message"] for line in of_this_request]
    assert {"exchange_code", "subscribe_page"} <= {line.get("meta_operation") for line in of_this_request}
    assert rows == [{"last_request_id": body["requestId"]}] * 2


def _generated_secrets() -> list[str]:
    values = json.loads((TEST_HOME / "keys.json").read_text()).values()
    return [value for value in values if not value.startswith("sb_publishable_")]
