"""Authentication on graph.instagram.com, which accepts Instagram user tokens only."""

from dataclasses import dataclass

from meta_simulator import errors
from meta_simulator.errors import GraphError
from meta_simulator.graph.call import GraphCall
from meta_simulator.permissions import INSTAGRAM_BASIC
from meta_simulator.simulator import Simulator
from meta_simulator.tokens import AccessToken
from meta_simulator.world import InstagramAccount


@dataclass(frozen=True)
class InstagramSession:
    """A valid token, its account, and the permissions that the app currently has."""

    token: AccessToken
    account: InstagramAccount
    granted: tuple[str, ...]

    def require_basic(self) -> None:
        """Raise GraphError 10 unless `instagram_business_basic` is granted."""
        if INSTAGRAM_BASIC not in self.granted:
            raise errors.permission_denied()


def require_instagram_session(simulator: Simulator, call: GraphCall) -> InstagramSession:
    """Return the session of the call's token.

    Raises GraphError: no token 104; an app token, a Facebook Login token, or an unknown, revoked or expired token
    190.
    """
    value = call.access_token
    if value is None:
        raise errors.missing_token()
    if "|" in value:
        raise GraphError("Access token does not contain a valid app ID", errors.INVALID_TOKEN)
    token = simulator.instagram_tokens.find(value)
    account = simulator.world.instagram_account(token.owner_id) if token is not None else None
    if token is None or account is None:
        raise errors.unparseable_token()
    simulator.instagram_tokens.require_valid(token, simulator.clock.now())
    return InstagramSession(token, account, simulator.instagram_grants.of(token.app_id, account.id))


def require_own_account(session: InstagramSession, call: GraphCall) -> None:
    """Raise GraphError 100/33 unless the path names `me` or the token's own professional account."""
    if call.segments[0] not in ("me", session.account.id):
        raise errors.object_missing(call.segments[0], call.method)
