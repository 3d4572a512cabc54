"""api.instagram.com/oauth/access_token: exchange of a code for a one-hour token.

Source: Meta, "Business Login for Instagram".
"""

from datetime import timedelta
from typing import Final

from starlette.routing import Mount

from meta_simulator.authorization_codes import AuthorizationCode, CodeError, CodeProblem
from meta_simulator.errors import GraphError
from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.host import Operation, mount_graph_host
from meta_simulator.instagram import flat_errors
from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from meta_simulator.instagram.flat_errors import FLAT_ERRORS, flat_error
from meta_simulator.meta_apps import MetaApp
from meta_simulator.simulator import Simulator

HOST: Final = "api.instagram.com"
PATH = "/oauth/access_token"  # this endpoint has no version
SHORT_LIVED = timedelta(hours=1)


def mount_instagram_api(simulator: Simulator) -> Mount:
    """Return the routes of the host."""
    return mount_graph_host(simulator, HOST, _resolve, FLAT_ERRORS)


def exchange_instagram_code(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {access_token, user_id, permissions}, where `user_id` is the app-scoped id.

    The setting `instagram_answers` selects the flat format, with a number and a list, or the `data` format, with text
    for both. Only form fields are read.

    Raises GraphError, in the flat format, for a missing field or a wrong client, secret, grant type, code or redirect
    URI.
    """
    app = _authenticate_client(simulator, call)
    if _required(call, "grant_type") != "authorization_code":
        raise flat_error("Invalid grant_type")
    redirect_uri = _required(call, "redirect_uri")
    code = _redeem_code(simulator, app, redirect_uri, _required(call, "code"))
    now = simulator.clock.now()
    token = simulator.instagram_tokens.issue_user_token(
        app.id, code.owner_id, now, now + SHORT_LIVED, is_long_lived=False
    )
    user_id = app_scoped_id(app.id, code.owner_id)
    granted = simulator.instagram_grants.of(app.id, code.owner_id)
    if simulator.settings.instagram_answers == "wrapped":
        return {"data": [{"access_token": token.value, "user_id": user_id, "permissions": ",".join(granted)}]}
    return {"access_token": token.value, "user_id": int(user_id), "permissions": list(granted)}


def _authenticate_client(simulator: Simulator, call: GraphCall) -> MetaApp:
    app_id = _required(call, "client_id")
    if not app_id.isdecimal():
        raise flat_error("Invalid Client ID")
    app = simulator.instagram_apps.get(app_id)
    if app is None:
        raise flat_errors.unknown_app()
    if not app.has_secret(_required(call, "client_secret")):
        raise flat_errors.wrong_secret()
    return app


def _required(call: GraphCall, name: str) -> str:
    value = call.form.get(name)
    if not value:
        raise flat_error(f"Missing required field {name}")
    return value


def _redeem_code(simulator: Simulator, app: MetaApp, redirect_uri: str, value: str) -> AuthorizationCode:
    try:
        return simulator.instagram_codes.redeem(
            value, app_id=app.id, redirect_uri=redirect_uri, now=simulator.clock.now()
        )
    except CodeError as error:
        raise _flat_error(error.problem) from error


def _flat_error(problem: CodeProblem) -> GraphError:
    match problem:
        case CodeProblem.UNKNOWN | CodeProblem.USED | CodeProblem.OTHER_APP:
            return flat_errors.code_not_found()
        case CodeProblem.EXPIRED:
            return flat_errors.code_expired()
        case CodeProblem.OTHER_REDIRECT_URI:
            return flat_errors.redirect_uri_mismatch()


_EXCHANGE = Operation("exchange_instagram_code", exchange_instagram_code)


def _resolve(_: Simulator, call: GraphCall) -> Operation:
    return _EXCHANGE if (call.method, call.path) == ("POST", PATH) else Operation("unknown", _refuse)


def _refuse(_: Simulator, call: GraphCall) -> object:
    raise flat_error(f"Unsupported request - method type: {call.method.lower()}")
