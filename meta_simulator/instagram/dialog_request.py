"""The request that an app makes to Instagram's login dialog, validated before any page is shown.

Source: Meta, "Business Login for Instagram". An invalid request gets an error page, not a redirect, because an
unregistered redirect URI must never be followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meta_simulator.dialog.pages import DialogError
from meta_simulator.meta_apps import MetaApp
from meta_simulator.permissions import INSTAGRAM_LOGIN_PERMISSIONS, split_permissions
from meta_simulator.simulator import Simulator

# Carried from step to step by the forms.
HIDDEN_FIELDS = (
    "client_id",
    "redirect_uri",
    "state",
    "response_type",
    "scope",
    "force_reauth",
    "enable_fb_login",
)


@dataclass(frozen=True)
class InstagramDialogRequest:
    """A valid request. `state` is None if the app sent none."""

    app: MetaApp
    redirect_uri: str
    state: str | None
    requested: tuple[str, ...]
    is_reauth_forced: bool
    hidden_fields: Mapping[str, str]


def read_instagram_dialog_request(simulator: Simulator, params: Mapping[str, str]) -> InstagramDialogRequest:
    """Validate the dialog's parameters. Raises DialogError."""
    app = simulator.instagram_apps.get(params.get("client_id", ""))
    if app is None:
        raise _invalid_request("Invalid platform app")
    redirect_uri = params.get("redirect_uri", "")
    if redirect_uri not in app.redirect_uris:
        raise _invalid_request("Invalid redirect_uri")
    if params.get("response_type") != "code":
        raise _invalid_request("Invalid response_type")
    requested = split_permissions(params.get("scope", ""))
    unknown = [name for name in requested if name not in INSTAGRAM_LOGIN_PERMISSIONS]
    if unknown or not requested:
        raise _invalid_request(f"Invalid scope: [{', '.join(unknown)}]")
    return InstagramDialogRequest(
        app=app,
        redirect_uri=redirect_uri,
        state=params.get("state"),
        requested=requested,
        is_reauth_forced=params.get("force_reauth") in ("true", "1"),
        hidden_fields={name: params[name] for name in HIDDEN_FIELDS if name in params},
    )


def _invalid_request(problem: str) -> DialogError:
    return DialogError("Invalid Request", f"Request parameters are invalid: {problem}")
