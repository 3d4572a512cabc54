"""graph.facebook.com/{version}/oauth/access_token: code exchange and token extension.

Sources: Meta, "Manually Build a Login Flow" and "Long-Lived Access Tokens".
"""

from meta_simulator import errors
from meta_simulator.authentication import authenticate_app
from meta_simulator.authorization_codes import AuthorizationCode, CodeError, CodeProblem
from meta_simulator.errors import GraphError
from meta_simulator.graph.call import GraphCall
from meta_simulator.meta_apps import MetaApp
from meta_simulator.simulator import Simulator
from meta_simulator.token_response import token_response
from meta_simulator.tokens import TokenKind

MISSING_REDIRECT_URI = 191
MISSING_PARAMETER = 1


def exchange_code(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {access_token, token_type, expires_in} with a user token valid for one to two hours.

    Raises GraphError: unknown code 100, used 100/36009, expired 100/36007; redirect URI mismatch 100/36008, missing
    191; wrong client credentials 101 or 1.
    """
    app = _authenticate_client(simulator, call)
    redirect_uri = call.required("redirect_uri", MISSING_REDIRECT_URI)
    code = _redeem_code(simulator, app, redirect_uri, call.required("code", MISSING_PARAMETER))
    token = simulator.tokens.issue_short_lived(app.id, code.owner_id, simulator.clock.now())
    return token_response(simulator, token)


def extend_token(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return a long-lived user token, always a new string. The old token stays valid until it expires.

    Raises GraphError: wrong client credentials 101 or 1; not a valid user token of this app 190.
    """
    app = _authenticate_client(simulator, call)
    value = call.params.get("fb_exchange_token")
    if not value:
        raise GraphError("fb_exchange_token parameter not specified", MISSING_PARAMETER)
    parent = simulator.tokens.find(value)
    if parent is None or parent.kind is not TokenKind.USER:
        raise errors.unparseable_token()
    if parent.app_id != app.id:
        raise errors.foreign_token(app.id)
    now = simulator.clock.now()
    simulator.tokens.require_valid(parent, now)
    extend = simulator.settings.long_lived_reexchange == "extends"
    token = simulator.tokens.issue_long_lived(parent, now, extend=extend)
    return token_response(simulator, token)


def issue_app_token(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return the app token of a client_credentials grant: the app id and secret, joined."""
    app = _authenticate_client(simulator, call)
    return {"access_token": f"{app.id}|{app.secret}", "token_type": "bearer"}


def _authenticate_client(simulator: Simulator, call: GraphCall) -> MetaApp:
    app_id = call.required("client_id", errors.UNKNOWN_APPLICATION)
    if app_id not in simulator.apps:
        raise errors.unknown_application()
    return authenticate_app(simulator, app_id, call.required("client_secret", MISSING_PARAMETER))


def _redeem_code(simulator: Simulator, app: MetaApp, redirect_uri: str, value: str) -> AuthorizationCode:
    try:
        return simulator.codes.redeem(value, app_id=app.id, redirect_uri=redirect_uri, now=simulator.clock.now())
    except CodeError as error:
        raise _graph_error(error.problem, simulator.settings.redirect_mismatch_subcode) from error


def _graph_error(problem: CodeProblem, mismatch_subcode: int | None) -> GraphError:
    match problem:
        case CodeProblem.UNKNOWN:
            return errors.code_unknown()
        case CodeProblem.USED:
            return errors.code_used()
        case CodeProblem.EXPIRED:
            return errors.code_expired()
        case CodeProblem.OTHER_APP | CodeProblem.OTHER_REDIRECT_URI:
            return errors.redirect_uri_mismatch(mismatch_subcode)
