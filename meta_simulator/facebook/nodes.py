"""The readable nodes of graph.facebook.com: User, Page, Instagram account.

Sources: Meta, "User", "Page" and "IG User" references.
"""

from meta_simulator import errors
from meta_simulator.authentication import Session, require_session, visible_pages
from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.fields import FieldRequest, NodeType, parse_fields, select_fields
from meta_simulator.profile_pictures import picture_url
from meta_simulator.simulator import Simulator
from meta_simulator.world import InstagramAccount, Page, PageRole

IG_USER = NodeType(
    "IGUser",
    frozenset(
        {
            "biography",
            "followers_count",
            "follows_count",
            "has_profile_pic",
            "id",
            "is_published",
            "media_count",
            "name",
            "profile_picture_url",
            "username",
            "website",
        }
    ),
)
PAGE = NodeType(
    "Page",
    frozenset({"access_token", "category", "id", "instagram_business_account", "name", "tasks"}),
    {"instagram_business_account": IG_USER},
)
USER = NodeType("User", frozenset({"email", "id", "name"}))


def requested_fields(call: GraphCall, node_type: NodeType, default: str) -> tuple[FieldRequest, ...]:
    """Return the validated `fields` of a call, or the default ones."""
    requested = parse_fields(call.params.get("fields") or default)
    node_type.check(requested)
    return requested


def read_node(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return a node by its id, or `me`: the person, or with a Page token the Page.

    Raises GraphError as `authenticate`; 100/33 if the node is absent or not visible; 10 for an Instagram account
    without `instagram_basic`.
    """
    session = require_session(simulator, call)
    node_id = call.segments[0]
    if node_id == "me":
        node_id = session.token.page_id or session.person.id
    if node_id == session.person.id and not session.is_page:
        return _user_node(session, requested_fields(call, USER, "name,id"))
    for page, role in reachable_pages(simulator, session):
        if page.id == node_id:
            requested = requested_fields(call, PAGE, "name,id")
            return page_node(simulator, call, session, page, role, requested)
        if page.instagram is not None and page.instagram.id == node_id:
            return _require_instagram(call, session, page.instagram)
    raise errors.object_missing(node_id, call.method)


def reachable_pages(simulator: Simulator, session: Session) -> list[tuple[Page, PageRole]]:
    """Return the Pages that a token can read: a Page token's own, or a user token's visible ones."""
    if not session.is_page:
        return visible_pages(simulator, session)
    return [pair for pair in simulator.world.pages_of(session.person) if pair[0].id == session.token.page_id]


def page_node(
    simulator: Simulator,
    call: GraphCall,
    session: Session,
    page: Page,
    role: PageRole,
    requested: tuple[FieldRequest, ...],
) -> dict[str, object]:
    """Return a Page as this session sees it, with an access token if requested."""

    def access_token(_: FieldRequest) -> str:
        if session.is_page:
            return session.token.value
        return simulator.tokens.page_token(session.token, page.id, simulator.clock.now()).value

    def instagram(field: FieldRequest) -> dict[str, object] | None:
        account = page.instagram
        if account is None or not _is_ticked(session, account) or not session.grant.allows("instagram_basic"):
            return None
        return instagram_node(call, account, field.subfields or (FieldRequest("id"),))

    return select_fields(
        requested,
        {
            "access_token": access_token,
            "category": lambda _: page.category,
            "id": lambda _: page.id,
            "instagram_business_account": instagram,
            "name": lambda _: page.name,
            "tasks": lambda _: list(role.tasks),
        },
    )


def instagram_node(
    call: GraphCall, account: InstagramAccount, requested: tuple[FieldRequest, ...]
) -> dict[str, object]:
    """Return an Instagram account with the requested fields."""
    return select_fields(
        requested,
        {
            "biography": lambda _: account.biography,
            "followers_count": lambda _: account.followers_count,
            "follows_count": lambda _: account.follows_count,
            "has_profile_pic": lambda _: True,
            "id": lambda _: account.id,
            "is_published": lambda _: True,
            "media_count": lambda _: account.media_count,
            "name": lambda _: account.name,
            "profile_picture_url": lambda _: picture_url(call.origin, account.id),
            "username": lambda _: account.username,
            "website": lambda _: account.website,
        },
    )


def _require_instagram(call: GraphCall, session: Session, account: InstagramAccount) -> dict[str, object]:
    if not _is_ticked(session, account):
        raise errors.object_missing(account.id, call.method)
    if not session.grant.allows("instagram_basic"):
        raise errors.permission_denied()
    return instagram_node(call, account, requested_fields(call, IG_USER, "id"))


def _is_ticked(session: Session, account: InstagramAccount) -> bool:
    return account.id in session.grant.instagram_ids


def _user_node(session: Session, requested: tuple[FieldRequest, ...]) -> dict[str, object]:
    person = session.person
    return select_fields(
        requested,
        {
            "email": lambda _: person.email if session.grant.allows("email") else None,
            "id": lambda _: person.id,
            "name": lambda _: person.name,
        },
    )
