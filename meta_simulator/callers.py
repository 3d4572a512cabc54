"""Attribution of a call to an app and to token owners, without validating its tokens.

Faults and rate limits need it for every call, including those with revoked or expired tokens. Whether a call is
allowed is decided in `authentication`.
"""

from meta_simulator.graph.call import GraphCall
from meta_simulator.simulator import Simulator
from meta_simulator.tokens import AccessToken

TOKEN_PARAMETERS = ("access_token", "input_token", "fb_exchange_token")


def token_owners(simulator: Simulator, call: GraphCall) -> frozenset[str]:
    """Return the ids of the people, Pages and Instagram accounts whose tokens, valid or not, a call carries."""
    tokens = [_find(simulator, call.params.get(name, "")) for name in TOKEN_PARAMETERS]
    return frozenset(owner for token in tokens if token for owner in (token.owner_id, token.page_id) if owner)


def calling_app(simulator: Simulator, call: GraphCall) -> str | None:
    """Return the id of the app named by the call's token or `client_id`, or None if this host has no such app."""
    value = call.access_token or ""
    token = _find(simulator, value)
    named = value.partition("|")[0] or call.params.get("client_id", "")  # an app token is <app id>|<secret>
    app_id = named if token is None else token.app_id
    apps = simulator.apps if call.host == "graph.facebook.com" else simulator.instagram_apps
    return app_id if app_id in apps else None


def calling_account(simulator: Simulator, call: GraphCall) -> str | None:
    """Return the id of the Instagram account that a call's token belongs to, or None.

    A Page token counts for the account linked to the Page, or for the Page itself if there is none.
    """
    token = _find(simulator, call.access_token or "")
    if token is None:
        return None
    if simulator.world.instagram_account(token.owner_id) is not None:
        return token.owner_id
    page = simulator.world.page(token.page_id) if token.page_id is not None else None
    return page.instagram.id if page is not None and page.instagram is not None else token.page_id


def _find(simulator: Simulator, value: str) -> AccessToken | None:
    return simulator.tokens.find(value) or simulator.instagram_tokens.find(value)
