"""The request that an app makes to Facebook's login dialog, validated before any page is shown.

Source: Meta, "Manually Build a Login Flow". An invalid request gets an error page, not a redirect, because an
unregistered redirect URI must never be followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meta_simulator.dialog.pages import DialogError
from meta_simulator.grants import Grant
from meta_simulator.meta_apps import MetaApp
from meta_simulator.permissions import ALWAYS_GRANTED, CONFIGURED_PERMISSIONS, KNOWN_PERMISSIONS, split_permissions
from meta_simulator.simulator import Simulator

# Carried from step to step by the forms.
HIDDEN_FIELDS = (
    "client_id",
    "redirect_uri",
    "state",
    "response_type",
    "scope",
    "config_id",
    "auth_type",
)


@dataclass(frozen=True)
class DialogRequest:
    """A valid request. `state` is None if the app sent none."""

    app: MetaApp
    redirect_uri: str
    state: str | None
    requested: tuple[str, ...]
    is_configured: bool
    is_rerequest: bool
    hidden_fields: Mapping[str, str]

    def permissions_to_request(self, grant: Grant) -> tuple[str, ...]:
        """Return the permissions that the dialog offers.

        Previously declined ones are left out, unless the app sends auth_type=rerequest or uses a configuration, which
        is granted as a whole.
        """
        if self.is_rerequest or self.is_configured:
            return self.requested
        return tuple(name for name in self.requested if name not in grant.declined)


def read_dialog_request(simulator: Simulator, params: Mapping[str, str]) -> DialogRequest:
    """Validate the dialog's parameters. Raises DialogError."""
    app = simulator.apps.get(params.get("client_id", ""))
    if app is None:
        raise DialogError("Invalid App ID", "The provided app ID does not look like a valid app ID.")
    redirect_uri = params.get("redirect_uri", "")
    if redirect_uri not in app.redirect_uris:
        raise DialogError(
            "URL Blocked",
            "This redirect failed because the redirect URI is not whitelisted in the app's Client OAuth"
            " Settings. Make sure Client and Web OAuth Login are on and add all your app domains as Valid"
            " OAuth Redirect URIs.",
        )
    if params.get("response_type", "code") != "code":
        raise DialogError("Unsupported response type", "This simulator supports response_type=code only.")
    is_configured = bool(params.get("config_id"))
    return DialogRequest(
        app=app,
        redirect_uri=redirect_uri,
        state=params.get("state"),
        requested=CONFIGURED_PERMISSIONS if is_configured else _known_permissions(params.get("scope", "")),
        is_configured=is_configured,
        is_rerequest=params.get("auth_type") == "rerequest",
        hidden_fields={name: params[name] for name in HIDDEN_FIELDS if name in params},
    )


def _known_permissions(scope: str) -> tuple[str, ...]:
    names = split_permissions(scope)
    unknown = [name for name in names if name not in KNOWN_PERMISSIONS]
    if unknown:
        raise DialogError(
            "Invalid Scopes",
            f"Invalid Scopes: {', '.join(unknown)}. This message is only shown to developers.",
        )
    return tuple(name for name in names if name != ALWAYS_GRANTED)
