"""Who is calling graph.facebook.com: the checks on a token that every call goes through.

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
    """A valid user or Page token with the person behind it and what they allow the app."""

    token: AccessToken
    person: Person
    grant: Grant

    @property
    def is_page(self) -> bool:
        """Whether this is a Page token, for which `me` is the Page."""
        return self.token.kind is TokenKind.PAGE


def require_app(simulator: Simulator, app_id: str, secret: str) -> MetaApp:
    """Return the app with these credentials; raises GraphError 101, or 1 for a wrong secret."""
    app = simulator.apps.get(app_id)
    if app is None:
        raise errors.unknown_application()
    if not app.has_secret(secret):
        raise errors.wrong_secret()
    return app


def authenticate(simulator: Simulator, call: GraphCall) -> MetaApp | Session:
    """Return the app behind an app token, or the session behind a user or Page token.

    Raises GraphError: no token (104), not a token or a dead one (190), a wrong appsecret_proof, or
    none where the app requires it (100).
    """
    value = call.access_token
    if value is None:
        raise errors.missing_token()
    if "|" in value:
        app = _app_of_token(simulator, value)
        _check_proof(app, value, call, is_required=False)  # the token is the secret already
        return app
    token = simulator.tokens.find(value)
    if token is None:
        raise errors.unparseable_token()
    simulator.tokens.require_valid(token, simulator.clock.now())
    _check_proof(simulator.apps[token.app_id], value, call, is_required=simulator.settings.require_app_secret)
    return session_of(simulator, token)


def require_session(simulator: Simulator, call: GraphCall) -> Session:
    """Return the session of a user or Page token; raises GraphError, also for an app token (2500)."""
    caller = authenticate(simulator, call)
    if isinstance(caller, MetaApp):
        raise GraphError(
            "An active access token must be used to query information about the current user.",
            errors.QUERY_ERROR,
        )
    return caller


def session_of(simulator: Simulator, token: AccessToken) -> Session:
    """Return the session of a token, valid or not."""
    person = simulator.world.person(token.holder_id)
    if person is None:  # people are never removed while tokens exist
        raise errors.unparseable_token()
    return Session(token, person, simulator.grants.of(token.app_id, token.holder_id))


def visible_pages(simulator: Simulator, session: Session) -> list[tuple[Page, PageRole]]:
    """Return the Pages that the person has a role on and lets the app see.

    Nothing without `pages_show_list`; Pages that a business portfolio owns need
    `business_management` too (reported by clients, not documented by Meta).
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
    elif not hmac.compare_digest(proof.encode(), app.proof_of(token).encode()):
        raise errors.invalid_proof()
