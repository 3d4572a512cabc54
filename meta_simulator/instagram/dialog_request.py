"""What an app asks of Instagram's dialog, checked before anybody is shown a form.

Source: Meta, "Business Login for Instagram". Refusals are pages, not redirects: an unchecked redirect
URI must never be followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meta_simulator.dialog.pages import DialogRefusedError
from meta_simulator.meta_apps import MetaApp
from meta_simulator.permissions import INSTAGRAM_LOGIN_PERMISSIONS, split_permissions
from meta_simulator.simulator import Simulator

# What the forms carry from step to step; every step checks it again.
CARRIED_PARAMETERS = (
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
    """A checked request; `state` None means that none was sent."""

    app: MetaApp
    redirect_uri: str
    state: str | None
    requested: tuple[str, ...]
    is_reauth_forced: bool
    carried: Mapping[str, str]


def read_instagram_dialog_request(simulator: Simulator, params: Mapping[str, str]) -> InstagramDialogRequest:
    """Check the parameters of the dialog; raises DialogRefusedError."""
    app = simulator.instagram_apps.get(params.get("client_id", ""))
    if app is None:
        raise _refusal("Invalid platform app")
    redirect_uri = params.get("redirect_uri", "")
    if redirect_uri not in app.redirect_uris:
        raise _refusal("Invalid redirect_uri")
    if params.get("response_type") != "code":
        raise _refusal("Invalid response_type")
    requested = split_permissions(params.get("scope", ""))
    unknown = [name for name in requested if name not in INSTAGRAM_LOGIN_PERMISSIONS]
    if unknown or not requested:
        raise _refusal(f"Invalid scope: [{', '.join(unknown)}]")
    return InstagramDialogRequest(
        app=app,
        redirect_uri=redirect_uri,
        state=params.get("state"),
        requested=requested,
        is_reauth_forced=params.get("force_reauth") in ("true", "1"),
        carried={name: params[name] for name in CARRIED_PARAMETERS if name in params},
    )


def _refusal(problem: str) -> DialogRefusedError:
    return DialogRefusedError("Invalid Request", f"Request parameters are invalid: {problem}")
