"""The end of an Instagram login, shared by the dialog and the control API."""

from collections.abc import Iterable

from meta_simulator.authorization_codes import AuthorizationCode
from meta_simulator.dialog.pages import redirect_url
from meta_simulator.meta_apps import MetaApp
from meta_simulator.simulator import Simulator
from meta_simulator.world import InstagramAccount

FRAGMENT = "#_"  # Meta: "appended to the end of the redirect URI, not part of the code itself"


def may_log_in(simulator: Simulator, account: InstagramAccount) -> bool:
    """Return whether the dialog accepts an account: professional ones, others if the setting allows."""
    return account.is_professional or simulator.settings.instagram_personal_accounts


def complete_instagram_login(
    simulator: Simulator,
    app: MetaApp,
    account: InstagramAccount,
    *,
    requested: Iterable[str],
    granted: Iterable[str],
    redirect_uri: str,
) -> AuthorizationCode:
    """Record the granted permissions and return a new authorization code."""
    simulator.instagram_grants.record(app.id, account.id, requested, granted)
    return simulator.instagram_codes.issue(app.id, account.id, redirect_uri, simulator.clock.now())


def instagram_success_url(code: AuthorizationCode, state: str | None) -> str:
    """Return the redirect after "Allow"."""
    return redirect_url(code.redirect_uri, {"code": code.value}, state, FRAGMENT)


def instagram_cancel_url(redirect_uri: str, state: str | None) -> str:
    """Return the redirect after "Cancel". Source: Meta, "Business Login for Instagram"."""
    error = {
        "error": "access_denied",
        "error_reason": "user_denied",
        "error_description": "The user denied your request",
    }
    return redirect_url(redirect_uri, error, state)
