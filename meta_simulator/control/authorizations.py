"""Scripted logins, with either login product."""

from collections.abc import Collection

from meta_simulator.control.bodies import Authorization
from meta_simulator.control.errors import ControlError
from meta_simulator.control.people import require_instagram_account, require_person
from meta_simulator.facebook.login import build_consent, complete_login, success_url
from meta_simulator.instagram.login import complete_instagram_login, instagram_success_url, may_log_in
from meta_simulator.meta_apps import MetaApp
from meta_simulator.permissions import (
    CONFIGURED_PERMISSIONS,
    INSTAGRAM_LOGIN_PERMISSIONS,
    KNOWN_PERMISSIONS,
    split_permissions,
)
from meta_simulator.simulator import Simulator


def authorize(simulator: Simulator, command: Authorization) -> dict[str, object]:
    """Return {code, redirect_url} as the dialog would, or {access_token} for response_type token.

    Raises ControlError: 400 for what the dialog would reject, 404 for an unknown person, account or app.
    """
    if command.product == "instagram":
        return _with_instagram(simulator, command)
    return _with_facebook(simulator, command)


def _with_facebook(simulator: Simulator, command: Authorization) -> dict[str, object]:
    person = require_person(simulator.world, command.person)
    app = _app(simulator.apps, command.app_id or simulator.main_app.id)
    requested, granted = _requested_and_granted(command, CONFIGURED_PERMISSIONS, known=KNOWN_PERMISSIONS)
    consent = build_consent(
        simulator,
        person,
        requested=requested,
        granted=granted,
        page_ids=command.pages,
        instagram_ids=command.instagram_accounts,
    )
    if command.redirect_uri is not None:
        _require_registered(app, command.redirect_uri)
    if command.redirect_uri is None or command.response_type == "token":
        now = simulator.clock.now()
        simulator.grants.record(app.id, person.id, consent, now)
        return {"access_token": simulator.tokens.issue_short_lived(app.id, person.id, now).value}
    code = complete_login(simulator, app, person, consent, command.redirect_uri)
    return {"code": code.value, "redirect_url": success_url(simulator, code, command.state)}


def _with_instagram(simulator: Simulator, command: Authorization) -> dict[str, object]:
    account = require_instagram_account(simulator.world, command.person)
    if not may_log_in(simulator, account):
        raise ControlError("This is a personal account; the dialog accepts professional accounts only.")
    app = _app(simulator.instagram_apps, command.app_id or simulator.instagram_app.id)
    redirect_uri = command.redirect_uri or ""
    _require_registered(app, redirect_uri)
    requested, granted = _requested_and_granted(command, INSTAGRAM_LOGIN_PERMISSIONS, known=INSTAGRAM_LOGIN_PERMISSIONS)
    code = complete_instagram_login(
        simulator, app, account, requested=requested, granted=granted, redirect_uri=redirect_uri
    )
    return {"code": code.value, "redirect_url": instagram_success_url(code, command.state)}


def _app(apps: dict[str, MetaApp], app_id: str) -> MetaApp:
    app = apps.get(app_id)
    if app is None:
        raise ControlError("Unknown app.", status=404)
    return app


def _require_registered(app: MetaApp, redirect_uri: str) -> None:
    if redirect_uri not in app.redirect_uris:
        raise ControlError("URL Blocked: the redirect_uri is not registered for the app.")


def _requested_and_granted(
    command: Authorization, default: Collection[str], *, known: Collection[str]
) -> tuple[tuple[str, ...], set[str]]:
    """Return the requested scopes and the granted ones."""
    declined = _names(command.declined_scopes, known)
    requested = (*(_names(command.scopes, known) if command.scopes is not None else default), *declined)
    return requested, set(requested) - set(declined)


def _names(scopes: list[str] | str, known: Collection[str]) -> tuple[str, ...]:
    names = split_permissions(scopes) if isinstance(scopes, str) else tuple(scopes)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ControlError(f"Invalid Scopes: {', '.join(unknown)}")
    return names
