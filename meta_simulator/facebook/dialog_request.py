"""What an app asks of the login dialog, checked before anybody is shown a form.

Source: Meta, "Manually Build a Login Flow". Refusals are pages, not redirects: an unchecked
redirect URI must never be followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meta_simulator.dialog.pages import DialogRefusedError
from meta_simulator.grants import Grant
from meta_simulator.meta_apps import MetaApp
from meta_simulator.permissions import ALWAYS_GRANTED, CONFIGURED_PERMISSIONS, KNOWN_PERMISSIONS, split_permissions
from meta_simulator.simulator import Simulator

# What the forms carry from step to step; every step checks it again.
CARRIED_PARAMETERS = (
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
    """A checked request; `state` None means that none was sent."""

    app: MetaApp
    redirect_uri: str
    state: str | None
    requested: tuple[str, ...]
    is_configured: bool
    is_rerequest: bool
    carried: Mapping[str, str]

    def asked_of(self, grant: Grant) -> tuple[str, ...]:
        """Return the permissions to ask for.

        Those declined before are left out, unless the app asks to ask again (auth_type=rerequest)
        or asks for a configuration, which is granted as a whole.
        """
        if self.is_rerequest or self.is_configured:
            return self.requested
        return tuple(name for name in self.requested if name not in grant.declined)


def read_dialog_request(simulator: Simulator, params: Mapping[str, str]) -> DialogRequest:
    """Check the parameters of the dialog; raises DialogRefusedError."""
    app = simulator.apps.get(params.get("client_id", ""))
    if app is None:
        raise DialogRefusedError("Invalid App ID", "The provided app ID does not look like a valid app ID.")
    redirect_uri = params.get("redirect_uri", "")
    if redirect_uri not in app.redirect_uris:
        raise DialogRefusedError(
            "URL Blocked",
            "This redirect failed because the redirect URI is not whitelisted in the app's Client OAuth"
            " Settings. Make sure Client and Web OAuth Login are on and add all your app domains as Valid"
            " OAuth Redirect URIs.",
        )
    if params.get("response_type", "code") != "code":
        raise DialogRefusedError("Unsupported response type", "This simulator plays response_type=code only.")
    is_configured = bool(params.get("config_id"))
    return DialogRequest(
        app=app,
        redirect_uri=redirect_uri,
        state=params.get("state"),
        requested=CONFIGURED_PERMISSIONS if is_configured else _known(params.get("scope", "")),
        is_configured=is_configured,
        is_rerequest=params.get("auth_type") == "rerequest",
        carried={name: params[name] for name in CARRIED_PARAMETERS if name in params},
    )


def _known(scope: str) -> tuple[str, ...]:
    names = split_permissions(scope)
    unknown = [name for name in names if name not in KNOWN_PERMISSIONS]
    if unknown:
        raise DialogRefusedError(
            "Invalid Scopes",
            f"Invalid Scopes: {', '.join(unknown)}. This message is only shown to developers.",
        )
    return tuple(name for name in names if name != ALWAYS_GRANTED)
