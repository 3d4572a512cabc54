"""graph.instagram.com/{version}/me: the account behind a token, with both of its ids.

Source: Meta, "Instagram API with Instagram Login: Get Started".
"""

from meta_simulator.graph.call import GraphCall
from meta_simulator.graph.fields import NodeType, parse_fields, select_fields
from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from meta_simulator.instagram.authentication import require_instagram_session, require_own_account
from meta_simulator.profile_pictures import picture_url
from meta_simulator.simulator import Simulator

LOGIN_USER = NodeType(
    "IGUser",
    frozenset(
        {
            "account_type",
            "followers_count",
            "follows_count",
            "id",
            "media_count",
            "name",
            "profile_picture_url",
            "user_id",
            "username",
        }
    ),
)
DEFAULT_FIELDS = "id"


def read_instagram_me(simulator: Simulator, call: GraphCall) -> dict[str, object]:
    """Return the requested fields, flat or in `data` depending on the setting `instagram_answers`.

    `id` is the app-scoped id; `user_id` is the professional account id, which webhooks carry.

    Raises GraphError as `require_instagram_session`; another account 100/33; without `instagram_business_basic` 10;
    an unknown field 100.
    """
    session = require_instagram_session(simulator, call)
    require_own_account(session, call)
    requested = parse_fields(call.params.get("fields") or DEFAULT_FIELDS)
    LOGIN_USER.check(requested)
    session.require_basic()
    account = session.account
    account_type = account.account_type.value
    if simulator.settings.instagram_upper_case_account_types:
        account_type = account_type.upper()
    node = select_fields(
        requested,
        {
            "account_type": lambda _: account_type,
            "followers_count": lambda _: account.followers_count,
            "follows_count": lambda _: account.follows_count,
            "id": lambda _: app_scoped_id(session.token.app_id, account.id),
            "media_count": lambda _: account.media_count,
            "name": lambda _: account.name,
            "profile_picture_url": lambda _: picture_url(call.origin, account.id),
            "user_id": lambda _: account.id,
            "username": lambda _: account.username,
        },
    )
    return {"data": [node]} if simulator.settings.instagram_answers == "wrapped" else node
