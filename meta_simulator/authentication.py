"""Authentication on graph.facebook.com: the token checks that every call passes through.

Sources: Meta, "Access Tokens" and "Securing Graph API Requests".
"""

import hmac
from dataclasses import dataclass

from meta_simulator import errors
from meta_simulator.errors import GraphError
from meta_simulator.grants import Grant
from meta_simulator.graph.call import GraphCall
from meta_simulator.meta_apps import MetaApp
from meta_simulator.simulator import Simulator
from meta_simulator.tokens import AccessToken, TokenKind
from meta_simulator.world import Page, PageRole, Person


@dataclass(frozen=True)
class Session:
    """A valid user or Page token, the person who granted it, and what that person granted the app."""

    token: AccessToken
    person: Person
    grant: Grant

    @property
    def is_page(self) -> bool:
        """Whether this is a Page token, for which `me` means the Page."""
        return self.token.kind is TokenKind.PAGE


def authenticate_app(simulator: Simulator, app_id: str, secret: str) -> MetaApp:
    """Return the app with these credentials. Raises GraphError 101 (unknown app) or 1 (wrong secret)."""
    app = simulator.apps.get(app_id)
    if app is None:
        raise errors.unknown_application()
    if not app.has_secret(secret):
        raise errors.wrong_secret()
    return app


def authenticate(simulator: Simulator, call: GraphCall) -> MetaApp | Session:
    """Return the app of an app token, or the session of a user or Page token.

    Raises GraphError: no token (104), an unknown, revoked or expired token (190), a wrong appsecret_proof, or no
    proof although the app requires one (100).
    """
    value = call.access_token
    if value is None:
        raise errors.missing_token()
    if "|" in value:
        app = _app_of_token(simulator, value)
        _check_proof(app, value, call, is_required=False)  # the token contains the secret
        return app
    token = simulator.tokens.find(value)
    if token is None:
        raise errors.unparseable_token()
    simulator.tokens.require_valid(token, simulator.clock.now())
    _check_proof(simulator.apps[token.app_id], value, call, is_required=simulator.settings.require_app_secret)
    return session_of(simulator, token)


def require_session(simulator: Simulator, call: GraphCall) -> Session:
    """Return the session of a user or Page token. Raises GraphError as `authenticate`, and 2500 for an app token."""
    caller = authenticate(simulator, call)
    if isinstance(caller, MetaApp):
        raise GraphError(
            "An active access token must be used to query information about the current user.",
            errors.QUERY_ERROR,
        )
    return caller


def session_of(simulator: Simulator, token: AccessToken) -> Session:
    """Return the session of a token without checking whether the token is still valid."""
    person = simulator.world.person(token.owner_id)
    if person is None:  # cannot happen: people are never removed
        raise errors.unparseable_token()
    return Session(token, person, simulator.grants.of(token.app_id, token.owner_id))


def visible_pages(simulator: Simulator, session: Session) -> list[tuple[Page, PageRole]]:
    """Return the Pages on which the person has a role and which they let the app see.

    Without `pages_show_list` there are none. Pages owned by a business portfolio also need `business_management`;
    Meta does not document this, clients report it.
    """
    grant = session.grant
    if not grant.allows("pages_show_list"):
        return []
    return [
        (page, role)
        for page, role in simulator.world.pages_of(session.person)
        if page.id in grant.page_ids and (not page.owned_by_portfolio or grant.allows("business_management"))
    ]


def _app_of_token(simulator: Simulator, value: str) -> MetaApp:
    app_id, _, secret = value.partition("|")
    app = simulator.apps.get(app_id)
    if app is None:
        raise errors.unknown_application()
    if not app.has_secret(secret):
        raise GraphError("Invalid OAuth access token signature.", errors.INVALID_TOKEN, challenge="invalid_token")
    return app


def _check_proof(app: MetaApp, token: str, call: GraphCall, *, is_required: bool) -> None:
    proof = call.params.get("appsecret_proof")
    if proof is None:
        if is_required:
            raise errors.missing_proof()
    elif not hmac.compare_digest(proof.encode(), app.appsecret_proof(token).encode()):
        raise errors.invalid_proof()
