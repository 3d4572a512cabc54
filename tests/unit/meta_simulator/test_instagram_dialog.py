from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from meta_simulator.seed import LUZ_CREATOR, PIA_PERSONAL
from tests.support.dialog_forms import LastForm
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import REDIRECT_URI, MetaClient

DIALOG = "/www.instagram.com/oauth/authorize"
SCOPES = ["instagram_business_basic", "instagram_business_manage_comments"]


def _params(**overrides: str) -> dict[str, str]:
    params = {"client_id": "7777", "redirect_uri": REDIRECT_URI, "response_type": "code", "state": "st"}
    return {**params, "scope": ",".join(SCOPES), **overrides}


def _start(meta: MetaClient, **overrides: str) -> httpx.Response:
    return meta.http.get(DIALOG, params=_params(**overrides))


def _consent(meta: MetaClient, account: str = CAFE, **overrides: str) -> LastForm:
    login = LastForm(_start(meta, **overrides))
    return LastForm(meta.http.post(f"{DIALOG}/login", data={**login.fields, "account": account}))


def _location(meta: MetaClient, form: LastForm, button: str = "allow") -> str:
    response = meta.http.post(form.action, data={**form.fields, "answer": button})
    assert response.status_code == 302, response.text
    return str(response.headers["location"])


def _code(location: str) -> str:
    return parse_qs(urlsplit(location).query)["code"][0]


def test_completed_dialog_redirects_with_a_working_code(meta: MetaClient, instagram: InstagramClient) -> None:
    form = _consent(meta)

    location = _location(meta, form)

    assert form.fields["permission"] == SCOPES
    assert location == f"{REDIRECT_URI}?code={_code(location)}&state=st#_"
    assert instagram.exchange(_code(location)).json()["permissions"] == SCOPES


@pytest.mark.parametrize("username", ["luz.cria", "@Luz.Cria "])
def test_any_password_is_accepted_with_a_username(meta: MetaClient, username: str) -> None:
    login = LastForm(_start(meta))

    page = meta.http.post(f"{DIALOG}/login", data={**login.fields, "username": username, "password": "x"})

    assert LastForm(page).fields["account"] == [LUZ_CREATOR.id]


@pytest.mark.parametrize(
    ("username", "password", "problem"),
    [("nobody", "x", "belong to an account"), ("cafe.azul", "", "Enter a password")],
)
def test_failed_login_shows_the_form_again(meta: MetaClient, username: str, password: str, problem: str) -> None:
    login = LastForm(_start(meta))

    page = meta.http.post(f"{DIALOG}/login", data={**login.fields, "username": username, "password": password})

    assert page.status_code == 400
    assert problem in page.text


def test_every_permission_can_be_unticked(meta: MetaClient, instagram: InstagramClient) -> None:
    form = _consent(meta)
    form.fields["permission"] = ["instagram_business_manage_comments"]

    code = _code(_location(meta, form))

    assert instagram.exchange(code).json()["permissions"] == ["instagram_business_manage_comments"]


def test_permission_that_was_not_requested_cannot_be_granted(meta: MetaClient, instagram: InstagramClient) -> None:
    form = _consent(meta)
    form.fields["permission"].append("instagram_business_content_publish")

    code = _code(_location(meta, form))

    assert instagram.exchange(code).json()["permissions"] == SCOPES


def test_scopes_can_be_separated_by_spaces(meta: MetaClient) -> None:
    assert _consent(meta, scope=" ".join(SCOPES)).fields["permission"] == SCOPES


@pytest.mark.parametrize("step", ["login", "consent"])
def test_cancel_redirects_with_access_denied(meta: MetaClient, step: str) -> None:
    form = LastForm(_start(meta)) if step == "login" else _consent(meta)

    assert _location(meta, form, "cancel") == (
        f"{REDIRECT_URI}?error=access_denied&error_reason=user_denied"
        "&error_description=The+user+denied+your+request&state=st"
    )


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ({"client_id": "1111"}, "Invalid platform app"),
        ({"redirect_uri": REDIRECT_URI + "/"}, "Invalid redirect_uri"),
        ({"redirect_uri": "https://evil.example"}, "Invalid redirect_uri"),
        ({"response_type": "token"}, "Invalid response_type"),
        ({"response_type": ""}, "Invalid response_type"),
        ({"scope": "instagram_business_basic,instagram_basic"}, "Invalid scope: [instagram_basic]"),
        ({"scope": "business_basic"}, "Invalid scope: [business_basic]"),
        ({"scope": ""}, "Invalid scope: []"),
    ],
)
@pytest.mark.parametrize("step", ["", "/login", "/answer"])
def test_invalid_request_gets_an_error_page_at_every_step(
    meta: MetaClient, overrides: dict[str, str], problem: str, step: str
) -> None:
    params = _params(**overrides)
    if step:
        page = meta.http.post(DIALOG + step, data={**params, "account": CAFE, "answer": "allow"})
    else:
        page = meta.http.get(DIALOG, params=params)

    assert page.status_code == 400
    assert "location" not in page.headers
    assert problem in page.text


@pytest.mark.parametrize("step", ["/login", "/answer"])
def test_personal_account_is_asked_to_become_professional(meta: MetaClient, step: str) -> None:
    page = meta.http.post(DIALOG + step, data={**_params(), "account": PIA_PERSONAL.id, "answer": "allow"})

    assert page.status_code == 400
    assert "You need a professional account" in page.text


def test_personal_account_is_accepted_if_the_setting_allows(meta: MetaClient, instagram: InstagramClient) -> None:
    meta.control("POST", "/settings", {"instagram_personal_accounts": True})

    code = _code(_location(meta, _consent(meta, PIA_PERSONAL.id)))

    assert instagram.exchange(code).status_code == 200


def test_unknown_account_returns_to_the_login_page(meta: MetaClient) -> None:
    page = meta.http.post(f"{DIALOG}/answer", data={**_params(), "account": "1", "answer": "allow"})

    assert page.status_code == 400
    assert "belong to an account" in page.text


def test_request_parameters_are_escaped_and_carried_to_the_next_step(meta: MetaClient) -> None:
    state = "\"><script>alert('1')</script>"

    page = _start(meta, state=state, force_reauth="true", enable_fb_login="false")

    assert "<script>" not in page.text
    assert LastForm(page).fields["state"] == [state]
    assert LastForm(page).fields["force_reauth"] == ["true"]
    assert "asks you to log in again" in page.text


def test_redirect_has_no_state_if_none_was_sent(meta: MetaClient, instagram: InstagramClient) -> None:
    params = _params()
    del params["state"]

    form = LastForm(meta.http.get(DIALOG, params=params))

    assert "state=" not in _location(meta, form, "cancel")


def test_pages_cannot_be_framed_and_run_no_scripts(meta: MetaClient) -> None:
    headers = _start(meta).headers

    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
