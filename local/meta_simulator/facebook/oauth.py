"""graph.facebook.com/{version}/oauth/access_token: codes to tokens, short tokens to long ones.

Sources: Meta, "Manually Build a Login Flow" and "Long-Lived Access Tokens".
"""

from local.meta_simulator import errors
from local.meta_simulator.authentication import require_app
from local.meta_simulator.errors import GraphError
from local.meta_simulator.graph.call import GraphCall
from local.meta_simulator.meta_apps import MetaApp
from local.meta_simulator.simulator import Simulator
from local.meta_simulator.tokens import AccessToken, TokenKind

MISSING_REDIRECT_URI = 191
MISSING_PARAMETER = 1


def exchange_code(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Answer {access_token, token_type, expires_in} with a user token of one to two hours.

    Raises GraphError: see `AuthorizationCodes.spend`; credentials 101 or 1; missing redirect_uri 191.
    """
    app = _calling_app(simulator, call)
    redirect_uri = call.required("redirect_uri", MISSING_REDIRECT_URI)
    now = simulator.clock.now()
    code = simulator.codes.spend(
        call.required("code", MISSING_PARAMETER),
        app_id=app.id,
        redirect_uri=redirect_uri,
        now=now,
        mismatch_subcode=simulator.settings.redirect_mismatch_subcode,
    )
    token = simulator.tokens.issue_short_lived(app.id, code.person_id, now)
    return _token_answer(simulator, token)


def extend_token(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Answer a long-lived user token, always a new string; the old one keeps working until its end.

    Raises GraphError: credentials 101 or 1; not a user token, another app's or a dead one 190.
    """
    app = _calling_app(simulator, call)
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
    return _token_answer(simulator, token)


def issue_app_token(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Answer the app token of a client_credentials grant, which is id and secret joined."""
    app = _calling_app(simulator, call)
    return {"access_token": f"{app.id}|{app.secret}", "token_type": "bearer"}


def _calling_app(simulator: Simulator, call: GraphCall) -> MetaApp:
    app_id = call.required("client_id", errors.UNKNOWN_APPLICATION)
    if app_id not in simulator.apps:
        raise errors.unknown_application()
    return require_app(simulator, app_id, call.required("client_secret", MISSING_PARAMETER))


def _token_answer(simulator: Simulator, token: AccessToken) -> dict[str, object]:
    answer: dict[str, object] = {"access_token": token.value, "token_type": "bearer"}
    is_told = not (token.is_long_lived and simulator.settings.omit_expires_in)
    if is_told and token.expires_at is not None:
        answer["expires_in"] = round((token.expires_at - simulator.clock.now()).total_seconds())
    return answer
