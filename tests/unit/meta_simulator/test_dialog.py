from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO
from tests.support.dialog_forms import LastForm
from tests.support.meta_client import REDIRECT_URI, MetaClient

DIALOG = "/www.facebook.com/v25.0/dialog/oauth"
SCOPE = "instagram_basic,pages_show_list"
ANA = "10220000000000001"


def _start(meta: MetaClient, **overrides: str) -> httpx.Response:
    params = {"client_id": meta.app_id, "redirect_uri": REDIRECT_URI, "state": "st", "scope": SCOPE}
    return meta.http.get(DIALOG, params={**params, **overrides})


def _choices(meta: MetaClient, person: str = ANA, **overrides: str) -> LastForm:
    login = LastForm(_start(meta, **overrides))
    # The last form of the login page is the one that cancels; the login form has the same fields.
    return LastForm(meta.http.post(f"{DIALOG}/login", data={**login.fields, "person": person}))


def _submit(meta: MetaClient, form: LastForm, button: str = "continue") -> dict[str, list[str]]:
    response = meta.http.post(form.action, data={**form.fields, "answer": button})
    assert response.status_code == 302
    location = response.headers["location"]
    assert location.startswith(REDIRECT_URI + "?")
    return parse_qs(urlsplit(location).query)


def _token(meta: MetaClient, form: LastForm) -> str:
    code = _submit(meta, form)["code"][0]
    return str(meta.exchange(code).json()["access_token"])


def _statuses(meta: MetaClient, token: str) -> dict[str, str]:
    data = meta.data("/me/permissions", access_token=token)["data"]
    return {entry["permission"]: entry["status"] for entry in data}


def test_completed_dialog_redirects_with_a_working_code(meta: MetaClient) -> None:
    query = _submit(meta, _choices(meta))

    assert query["state"] == ["st"]
    assert meta.exchange(query["code"][0]).status_code == 200


def test_everything_is_ticked_initially(meta: MetaClient) -> None:
    form = _choices(meta)

    assert form.fields["page"] == [ANA_CAFE.id, ANA_STUDIO.id]
    assert form.fields["instagram_account"] == ["17841400000000001", "17841400000000002"]
    assert form.fields["permission"] == ["instagram_basic", "pages_show_list"]


def test_any_password_is_accepted_with_an_e_mail_address(meta: MetaClient) -> None:
    login = LastForm(_start(meta))

    page = meta.http.post(f"{DIALOG}/login", data={**login.fields, "email": "Ana@People.example", "password": "x"})

    assert LastForm(page).fields["person"] == [ANA]


@pytest.mark.parametrize(
    ("email", "password", "problem"),
    [("no@people.example", "x", "connected to an account"), ("ana@people.example", "", "Enter a password")],
)
def test_failed_login_shows_the_form_again(meta: MetaClient, email: str, password: str, problem: str) -> None:
    login = LastForm(_start(meta))

    page = meta.http.post(f"{DIALOG}/login", data={**login.fields, "email": email, "password": password})

    assert page.status_code == 400
    assert problem in page.text


def test_unticked_pages_and_accounts_are_not_shared(meta: MetaClient) -> None:
    form = _choices(meta)
    form.fields["page"] = [ANA_STUDIO.id]
    form.fields["instagram_account"] = []

    pages = meta.accounts(_token(meta, form), fields="id,instagram_business_account")

    assert pages == [{"id": ANA_STUDIO.id}]


def test_unticked_permission_is_declined(meta: MetaClient) -> None:
    form = _choices(meta)
    form.fields["permission"] = ["pages_show_list"]

    statuses = _statuses(meta, _token(meta, form))

    assert statuses["instagram_basic"] == "declined"
    assert statuses["pages_show_list"] == "granted"


def test_declined_permission_is_requested_again_only_with_rerequest(meta: MetaClient) -> None:
    form = _choices(meta)
    form.fields["permission"] = ["pages_show_list"]
    _submit(meta, form)

    usual = _choices(meta)
    again = _choices(meta, auth_type="rerequest")

    assert usual.fields["permission"] == ["pages_show_list"]
    assert again.fields["permission"] == ["instagram_basic", "pages_show_list"]
    assert _statuses(meta, _token(meta, usual))["instagram_basic"] == "declined"
    assert _statuses(meta, _token(meta, again))["instagram_basic"] == "granted"


def test_permission_that_was_not_requested_cannot_be_granted(meta: MetaClient) -> None:
    form = _choices(meta)
    form.fields["permission"].append("business_management")
    form.fields["page"].append("104857600000003")

    token = _token(meta, form)

    assert "business_management" not in _statuses(meta, token)
    assert len(meta.accounts(token)) == 2


def test_configuration_is_granted_as_a_whole(meta: MetaClient) -> None:
    meta.authorize(scopes=[], declined_scopes=["instagram_basic"])
    form = _choices(meta, config_id="77", scope="")

    statuses = _statuses(meta, _token(meta, form))

    assert "permission" not in form.fields
    assert statuses["instagram_manage_messages"] == "granted"
    assert set(statuses.values()) == {"granted"}


@pytest.mark.parametrize("step", ["login", "choices"])
def test_cancel_redirects_with_access_denied(meta: MetaClient, step: str) -> None:
    form = LastForm(_start(meta)) if step == "login" else _choices(meta)

    response = meta.http.post(form.action, data={**form.fields, "answer": "cancel"})

    assert response.headers["location"] == (
        f"{REDIRECT_URI}?error=access_denied&error_code=200&error_description=Permissions+error"
        "&error_reason=user_denied&state=st"
    )


@pytest.mark.parametrize(
    ("overrides", "title"),
    [
        ({"redirect_uri": REDIRECT_URI + "/"}, "URL Blocked"),
        ({"redirect_uri": "https://evil.example"}, "URL Blocked"),
        ({"client_id": "999"}, "Invalid App ID"),
        ({"response_type": "token"}, "Unsupported response type"),
        ({"scope": "instagram_business_basic"}, "Invalid Scopes"),
    ],
)
@pytest.mark.parametrize("step", ["", "/login", "/answer"])
def test_invalid_request_gets_an_error_page_at_every_step(
    meta: MetaClient, overrides: dict[str, str], title: str, step: str
) -> None:
    params = {"client_id": meta.app_id, "redirect_uri": REDIRECT_URI, "scope": SCOPE, **overrides}
    if step:
        page = meta.http.post(DIALOG + step, data={**params, "person": ANA, "answer": "continue"})
    else:
        page = meta.http.get(DIALOG, params=params)

    assert page.status_code == 400
    assert "location" not in page.headers
    assert f"<h1>{title}</h1>" in page.text


def test_request_parameters_are_escaped(meta: MetaClient) -> None:
    state = "\"><script>alert('1')</script>"

    page = _start(meta, state=state)

    assert "<script>" not in page.text
    assert LastForm(page).fields["state"] == [state]


def test_redirect_has_no_state_if_none_was_sent(meta: MetaClient) -> None:
    page = meta.http.get(DIALOG, params={"client_id": meta.app_id, "redirect_uri": REDIRECT_URI})

    response = meta.http.post(f"{DIALOG}/answer", data={**LastForm(page).fields, "answer": "cancel"})

    assert "state=" not in response.headers["location"]


def test_redirect_uri_keeps_its_query(meta: MetaClient) -> None:
    uri = "https://app.example/cb?tenant=7"
    meta.control("POST", "/apps", {"id": "2222", "secret": "s", "redirect_uris": [uri]})
    form = _choices(meta, client_id="2222", redirect_uri=uri)

    response = meta.http.post(form.action, data={**form.fields, "answer": "cancel"})

    assert response.headers["location"].startswith(f"{uri}&error=access_denied&")


def test_pages_cannot_be_framed_and_run_no_scripts(meta: MetaClient) -> None:
    headers = _start(meta).headers

    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_dialog_works_without_a_version(meta: MetaClient) -> None:
    params = {"client_id": meta.app_id, "redirect_uri": REDIRECT_URI, "scope": SCOPE}

    form = LastForm(meta.http.get("/www.facebook.com/dialog/oauth", params=params))

    assert form.action == "/www.facebook.com/v22.0/dialog/oauth/answer"
