"""graph.facebook.com/{version}/debug_token: what a token is, and why it no longer works.

Source: Meta, "Debug-Token" reference.
"""

from datetime import datetime

from meta_simulator import errors
from meta_simulator.authentication import Session, authenticate, session_of
from meta_simulator.errors import GraphError
from meta_simulator.grants import Grant
from meta_simulator.graph.call import GraphCall
from meta_simulator.meta_apps import MetaApp
from meta_simulator.permissions import INSTAGRAM_PERMISSIONS, PAGE_PERMISSIONS
from meta_simulator.simulator import Simulator
from meta_simulator.tokens import AccessToken

NEVER = 0  # expires_at of a token that does not expire
_WRONG_VIEWER = "You must provide an app access token, or a user access token that is an owner or developer of the app"


def debug_token(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {"data": {app_id, type, is_valid, expires_at, scopes, …}}. Times are Unix seconds.

    An invalid input token is not an error: `data` has is_valid false and the reason. Raises GraphError as
    `authenticate`, and 100 for another app's token.
    """
    viewer = authenticate(simulator, call)
    value = call.params.get("input_token")
    if not value:
        raise errors.invalid_parameter("The parameter input_token is required")
    if "|" in value:
        return {"data": _describe_app_token(simulator, viewer, value)}
    token = simulator.tokens.find(value)
    if token is None:
        return {"data": _invalid(errors.unparseable_token())}
    _require_viewing_rights(viewer, token)
    return {"data": _describe_token(simulator, token)}


def _require_viewing_rights(viewer: MetaApp | Session, token: AccessToken) -> None:
    viewing_app_id = viewer.id if isinstance(viewer, MetaApp) else viewer.token.app_id
    if viewing_app_id != token.app_id:
        raise errors.invalid_parameter("The App_id in the input_token did not match the Viewing App")
    if isinstance(viewer, Session) and (viewer.is_page or viewer.person.id != token.owner_id):
        raise errors.invalid_parameter(_WRONG_VIEWER)


def _describe_app_token(simulator: Simulator, viewer: MetaApp | Session, value: str) -> dict[str, object]:
    if not isinstance(viewer, MetaApp):
        raise errors.invalid_parameter(_WRONG_VIEWER)
    app = simulator.apps.get(value.partition("|")[0])
    if app is None or not app.has_secret(value.partition("|")[2]):
        return _invalid(errors.unparseable_token())
    if app.id != viewer.id:
        raise errors.invalid_parameter("The App_id in the input_token did not match the Viewing App")
    return {"app_id": app.id, "type": "APP", "application": app.name, "is_valid": True, "scopes": []}


def _invalid(error: GraphError) -> dict[str, object]:
    return {"error": _reason(error), "is_valid": False, "scopes": []}


def _reason(error: GraphError) -> dict[str, object]:
    reason: dict[str, object] = {"code": error.code, "message": error.message}
    if error.subcode is not None:
        reason["subcode"] = error.subcode
    return reason


def _describe_token(simulator: Simulator, token: AccessToken) -> dict[str, object]:
    grant = session_of(simulator, token).grant
    info: dict[str, object] = {
        "app_id": token.app_id,
        "type": token.kind.value,
        "application": simulator.apps[token.app_id].name,
        "data_access_expires_at": _unix(grant.data_access_expires_at),
        "expires_at": _unix(token.expires_at),
        "is_valid": True,
    }
    try:
        simulator.tokens.require_valid(token, simulator.clock.now())
    except GraphError as error:
        info |= {"is_valid": False, "error": _reason(error)}
    if token.is_long_lived:  # short-lived tokens have no issued_at
        info["issued_at"] = _unix(token.issued_at)
    if token.page_id is not None:
        info["profile_id"] = token.page_id
    info["scopes"] = grant.granted
    info["granular_scopes"] = _granular_scopes(grant)
    info["user_id"] = token.owner_id
    return info


def _granular_scopes(grant: Grant) -> list[dict[str, object]]:
    """Return the assets of each permission. One without target_ids applies to all assets."""
    granular: list[dict[str, object]] = []
    for scope in grant.granted:
        if scope in PAGE_PERMISSIONS:
            targets = sorted(grant.page_ids)
        elif scope in INSTAGRAM_PERMISSIONS:
            targets = sorted(grant.instagram_ids)
        elif scope == "business_management":
            granular.append({"scope": scope})
            continue
        else:
            continue
        if targets:  # without target_ids it would apply to all assets
            granular.append({"scope": scope, "target_ids": targets})
    return granular


def _unix(moment: datetime | None) -> int:
    return NEVER if moment is None else int(moment.timestamp())
