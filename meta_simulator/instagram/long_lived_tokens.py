"""graph.instagram.com/access_token and /refresh_access_token: 60-day tokens and their refresh.

Source: Meta, "Business Login for Instagram". Both take GET requests without a version.
"""

from datetime import timedelta

from meta_simulator import errors
from meta_simulator.errors import GraphError
from meta_simulator.graph.call import GraphCall
from meta_simulator.instagram.authentication import require_instagram_session
from meta_simulator.simulator import Simulator
from meta_simulator.token_response import token_response
from meta_simulator.tokens import LONG_LIVED

REFRESHABLE_AFTER = timedelta(hours=24)


def extend_instagram_token(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {access_token, token_type, expires_in} with a 60-day token.

    The short-lived token stays valid until it expires.

    Raises GraphError as `require_instagram_session`; wrong secret 1; a long-lived token 100.
    """
    _require_grant_type(call, "ig_exchange_token")
    session = require_instagram_session(simulator, call)
    secret = call.params.get("client_secret")
    if not secret:
        raise errors.invalid_parameter("The parameter client_secret is required")
    if not simulator.instagram_apps[session.token.app_id].has_secret(secret):
        raise errors.wrong_secret()
    if session.token.is_long_lived:
        raise unsupported_request(call.method)
    now = simulator.clock.now()
    token = simulator.instagram_tokens.issue_user_token(
        session.token.app_id, session.account.id, now, now + LONG_LIVED, is_long_lived=True
    )
    return token_response(simulator, token)


def refresh_instagram_token(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return {access_token, token_type, expires_in} with 60 days from now. No secret is needed.

    The setting `instagram_refresh_changes_token` decides whether the token is a new string; if so, the old one stays
    valid until it expires.

    Raises GraphError as `require_instagram_session`; a short-lived token, or one younger than 24 hours 100; without
    `instagram_business_basic` 10.
    """
    _require_grant_type(call, "ig_refresh_token")
    session = require_instagram_session(simulator, call)
    now = simulator.clock.now()
    if not session.token.is_long_lived or now - session.token.issued_at < REFRESHABLE_AFTER:
        raise unsupported_request(call.method)
    session.require_basic()
    tokens = simulator.instagram_tokens
    if simulator.settings.instagram_refresh_changes_token:
        token = tokens.issue_user_token(
            session.token.app_id, session.account.id, now, now + LONG_LIVED, is_long_lived=True
        )
    else:
        token = tokens.renew(session.token, now, now + LONG_LIVED)
    return token_response(simulator, token)


def unsupported_request(method: str) -> GraphError:
    """Return the 100 that these endpoints use for a wrong method and for a token they reject."""
    return GraphError(
        f"Unsupported request - method type: {method.lower()}", errors.INVALID_PARAMETER, type="IGApiException"
    )


def _require_grant_type(call: GraphCall, expected: str) -> None:
    if call.params.get("grant_type") != expected:
        raise errors.invalid_parameter(f"Param grant_type must be one of {{{expected}}}")
