"""Logins without clicks, with both login products."""

from collections.abc import Collection

from meta_simulator.control.bodies import Authorization
from meta_simulator.control.people import require_instagram_account, require_person
from meta_simulator.control.refusals import ControlRefusedError
from meta_simulator.facebook.login import finish_login, login_answer, success_url
from meta_simulator.instagram.login import finish_instagram_login, instagram_success_url, may_log_in
from meta_simulator.meta_apps import MetaApp
from meta_simulator.permissions import (
    CONFIGURED_PERMISSIONS,
    INSTAGRAM_LOGIN_PERMISSIONS,
    KNOWN_PERMISSIONS,
    split_permissions,
)
from meta_simulator.simulator import Simulator


def authorize(simulator: Simulator, wanted: Authorization) -> dict[str, object]:
    """Return {code, redirect_url} as the dialog would, or {access_token} for a login made elsewhere.

    Raises ControlRefusedError for what the dialog would refuse (400), and for an unknown person,
    account or app (404).
    """
    if wanted.product == "instagram":
        return _with_instagram(simulator, wanted)
    return _with_facebook(simulator, wanted)


def _with_facebook(simulator: Simulator, wanted: Authorization) -> dict[str, object]:
    person = require_person(simulator.world, wanted.person)
    app = _app(simulator.apps, wanted.app_id or simulator.main_app.id)
    asked, granted = _answers(wanted, CONFIGURED_PERMISSIONS, known=KNOWN_PERMISSIONS)
    answer = login_answer(
        simulator,
        person,
        asked=asked,
        granted=granted,
        page_ids=wanted.pages,
        instagram_ids=wanted.instagram_accounts,
    )
    if wanted.redirect_uri is not None:
        _require_registered(app, wanted.redirect_uri)
    if wanted.redirect_uri is None or wanted.response_type == "token":
        now = simulator.clock.now()
        simulator.grants.record(app.id, person.id, answer, now)
        return {"access_token": simulator.tokens.issue_short_lived(app.id, person.id, now).value}
    code = finish_login(simulator, app, person, answer, wanted.redirect_uri)
    return {"code": code.value, "redirect_url": success_url(simulator, code, wanted.state)}


def _with_instagram(simulator: Simulator, wanted: Authorization) -> dict[str, object]:
    account = require_instagram_account(simulator.world, wanted.person)
    if not may_log_in(simulator, account):
        raise ControlRefusedError("This is a personal account; the dialog lets professional ones through only.")
    app = _app(simulator.instagram_apps, wanted.app_id or simulator.instagram_app.id)
    redirect_uri = wanted.redirect_uri or ""
    _require_registered(app, redirect_uri)
    asked, granted = _answers(wanted, INSTAGRAM_LOGIN_PERMISSIONS, known=INSTAGRAM_LOGIN_PERMISSIONS)
    code = finish_instagram_login(simulator, app, account, asked=asked, granted=granted, redirect_uri=redirect_uri)
    return {"code": code.value, "redirect_url": instagram_success_url(code, wanted.state)}


def _app(apps: dict[str, MetaApp], app_id: str) -> MetaApp:
    app = apps.get(app_id)
    if app is None:
        raise ControlRefusedError("There is no such app.", status=404)
    return app


def _require_registered(app: MetaApp, redirect_uri: str) -> None:
    if redirect_uri not in app.redirect_uris:
        raise ControlRefusedError("URL Blocked: the redirect_uri is not registered for the app.")


def _answers(
    wanted: Authorization, default: Collection[str], *, known: Collection[str]
) -> tuple[tuple[str, ...], set[str]]:
    """Return what was asked for and what was granted of it."""
    declined = _names(wanted.declined_scopes, known)
    asked = (*(_names(wanted.scopes, known) if wanted.scopes is not None else default), *declined)
    return asked, set(asked) - set(declined)


def _names(scopes: list[str] | str, known: Collection[str]) -> tuple[str, ...]:
    names = split_permissions(scopes) if isinstance(scopes, str) else tuple(scopes)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ControlRefusedError(f"Invalid Scopes: {', '.join(unknown)}")
    return names
