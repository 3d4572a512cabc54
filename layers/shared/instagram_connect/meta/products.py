"""Meta's login products: one class and one row each.

Everything that differs between them is behind LoginProduct; nothing else in the project asks which one it has. A
product is built when it is first used, so that a deployment needs the settings of those only that are connected with.
"""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from instagram_connect.meta.facebook_calls import FacebookApp
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.instagram_login import InstagramApp, InstagramLogin
from instagram_connect.models import DiscoveredAccount, Login, Provider, Renewal, UserToken
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.settings import Secrets, required


class LoginProduct(Protocol):
    """A way in. The classes say what each method promises and raises."""

    @property
    def provider(self) -> Provider:
        """Its name in the HTTP contract and in storage."""

    def login_url(self, redirect_uri: str, state: str, *, rerequest: bool) -> str:
        """Where the person logs in."""

    def exchange_code(self, code: str, redirect_uri: str, deadline: Deadline) -> UserToken:
        """A code becomes a token, once."""

    def accept_token(self, access_token: str, deadline: Deadline) -> UserToken:
        """A token of somebody else's login, if it can be trusted."""

    def discover(self, token: UserToken, deadline: Deadline) -> tuple[Login, tuple[DiscoveredAccount, ...]]:
        """What the login opens."""

    def subscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Webhooks begin."""

    def unsubscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Webhooks end."""

    def is_subscribed(self, account: DiscoveredAccount, deadline: Deadline) -> bool:
        """Whether webhooks come."""

    def renew(
        self, account: DiscoveredAccount, user_token: str | None, expires_at: datetime | None, deadline: Deadline
    ) -> Renewal:
        """More time for tokens that age."""

    def check_access(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Whether the account can still be reached."""

    def check_token(self, user_token: str, deadline: Deadline) -> None:
        """Whether the login still lives."""

    def revoke(self, user_token: str, meta_user_id: str, deadline: Deadline) -> bool:
        """The grant ends; False where Meta offers no such call."""


def _facebook(secrets: Secrets, graph: GraphClient, now: Callable[[], datetime]) -> LoginProduct:
    app = FacebookApp(
        app_id=required("FACEBOOK_APP_ID"),
        app_secret=secrets.required("facebook_app_secret"),
        graph_url=required("FACEBOOK_GRAPH_URL").rstrip("/"),
        dialog_url=required("FACEBOOK_DIALOG_URL").rstrip("/"),
        graph_version=required("GRAPH_VERSION"),
        scopes=required("FACEBOOK_SCOPES"),
        login_config_id=os.environ.get("FACEBOOK_LOGIN_CONFIG_ID", "").strip() or None,
    )
    return FacebookLogin(app, graph, now)


def _instagram(secrets: Secrets, graph: GraphClient, now: Callable[[], datetime]) -> LoginProduct:
    app = InstagramApp(
        app_id=required("INSTAGRAM_APP_ID"),
        app_secret=secrets.required("instagram_app_secret"),
        graph_url=required("INSTAGRAM_GRAPH_URL").rstrip("/"),
        api_url=required("INSTAGRAM_API_URL").rstrip("/"),
        dialog_url=required("INSTAGRAM_DIALOG_URL").rstrip("/"),
        graph_version=required("GRAPH_VERSION"),
        scopes=required("INSTAGRAM_SCOPES"),
    )
    return InstagramLogin(app, graph, now)


PRODUCTS: Mapping[Provider, Callable[[Secrets, GraphClient, Callable[[], datetime]], LoginProduct]] = {
    Provider.FACEBOOK: _facebook,
    Provider.INSTAGRAM: _instagram,
}


class LoginProducts:
    """The products of this deployment, by name."""

    def __init__(self, secrets: Secrets, graph: GraphClient, now: Callable[[], datetime]) -> None:
        self._secrets = secrets
        self._graph = graph
        self._now = now
        self._built: dict[Provider, LoginProduct] = {}

    def __getitem__(self, provider: Provider) -> LoginProduct:
        """The product. Raises ConfigurationError when its settings are missing."""
        if provider not in self._built:
            self._built[provider] = PRODUCTS[provider](self._secrets, self._graph, self._now)
        return self._built[provider]
