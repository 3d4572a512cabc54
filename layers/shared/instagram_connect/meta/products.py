"""Meta's login products: one class and one row each.

`LoginProduct` covers what differs between them. Besides these classes only three places know the products: SQL (one
function of rules), the secrets that sign webhooks, and the page. A product is built on first use, so a deployment needs
the settings of the products it uses only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from instagram_connect.errors import ConfigurationError
from instagram_connect.meta.facebook_calls import FacebookApp
from instagram_connect.meta.facebook_login import FacebookLogin
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.instagram_login import InstagramApp, InstagramLogin
from instagram_connect.models import DiscoveredAccount, Login, Provider, Renewal, UserToken
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.settings import Secrets, optional, required


class LoginProduct(Protocol):
    """A way to log in. The classes document what each method returns and raises."""

    @property
    def provider(self) -> Provider:
        """Its name in the HTTP API and in storage."""

    def login_url(self, redirect_uri: str, state: str, *, rerequest: bool) -> str:
        """The address of the OAuth dialog."""

    def exchange_code(self, code: str, redirect_uri: str, deadline: Deadline) -> UserToken:
        """Exchange an authorization code for a token. A code works once."""

    def accept_token(self, access_token: str, deadline: Deadline) -> UserToken:
        """Check a token that another login obtained, such as Supabase Auth's."""

    def discover(self, token: UserToken, deadline: Deadline) -> tuple[Login, tuple[DiscoveredAccount, ...]]:
        """Find the accounts that the login gives access to."""

    def subscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Subscribe this app to the account's webhooks."""

    def unsubscribe(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """End the subscription."""

    def is_subscribed(self, account: DiscoveredAccount, deadline: Deadline) -> bool:
        """Whether this app is subscribed."""

    def renew(
        self, account: DiscoveredAccount, user_token: str | None, expires_at: datetime | None, deadline: Deadline
    ) -> Renewal:
        """Extend the tokens."""

    def check_access(self, account: DiscoveredAccount, deadline: Deadline) -> None:
        """Check that the account's token works."""

    def check_token(self, user_token: str, deadline: Deadline) -> None:
        """Check that the person's token works."""

    def revoke(self, user_token: str, meta_user_id: str, deadline: Deadline) -> bool:
        """Revoke the person's grant; False if Meta has no such call."""


@dataclass(frozen=True)
class MetaSettings:
    """Where both products are and what their dialogs ask for. An app id is None if nobody connects that way."""

    graph_version: str
    facebook_app_id: str | None
    facebook_scopes: str | None
    facebook_login_config_id: str | None
    facebook_graph_url: str
    facebook_dialog_url: str
    instagram_app_id: str | None
    instagram_scopes: str | None
    instagram_graph_url: str
    instagram_api_url: str
    instagram_dialog_url: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "MetaSettings":
        """Read the environment. Raises ConfigurationError."""
        return cls(
            graph_version=required(environment, "GRAPH_VERSION"),
            facebook_app_id=optional(environment, "FACEBOOK_APP_ID"),
            facebook_scopes=optional(environment, "FACEBOOK_SCOPES"),
            facebook_login_config_id=optional(environment, "FACEBOOK_LOGIN_CONFIG_ID"),
            facebook_graph_url=required(environment, "FACEBOOK_GRAPH_URL").rstrip("/"),
            facebook_dialog_url=required(environment, "FACEBOOK_DIALOG_URL").rstrip("/"),
            instagram_app_id=optional(environment, "INSTAGRAM_APP_ID"),
            instagram_scopes=optional(environment, "INSTAGRAM_SCOPES"),
            instagram_graph_url=required(environment, "INSTAGRAM_GRAPH_URL").rstrip("/"),
            instagram_api_url=required(environment, "INSTAGRAM_API_URL").rstrip("/"),
            instagram_dialog_url=required(environment, "INSTAGRAM_DIALOG_URL").rstrip("/"),
        )


def _facebook(
    settings: MetaSettings, secrets: Secrets, graph: GraphClient, now: Callable[[], datetime]
) -> LoginProduct:
    app = FacebookApp(
        app_id=_given("FACEBOOK_APP_ID", settings.facebook_app_id),
        app_secret=secrets.required("facebook_app_secret"),
        graph_url=settings.facebook_graph_url,
        dialog_url=settings.facebook_dialog_url,
        graph_version=settings.graph_version,
        scopes=_given("FACEBOOK_SCOPES", settings.facebook_scopes),
        login_config_id=settings.facebook_login_config_id,
    )
    return FacebookLogin(app, graph, now)


def _instagram(
    settings: MetaSettings, secrets: Secrets, graph: GraphClient, now: Callable[[], datetime]
) -> LoginProduct:
    app = InstagramApp(
        app_id=_given("INSTAGRAM_APP_ID", settings.instagram_app_id),
        app_secret=secrets.required("instagram_app_secret"),
        graph_url=settings.instagram_graph_url,
        api_url=settings.instagram_api_url,
        dialog_url=settings.instagram_dialog_url,
        graph_version=settings.graph_version,
        scopes=_given("INSTAGRAM_SCOPES", settings.instagram_scopes),
    )
    return InstagramLogin(app, graph, now)


def _given(name: str, value: str | None) -> str:
    if value is None:
        raise ConfigurationError(log_context={"setting": name})
    return value


PRODUCTS: Mapping[Provider, Callable[[MetaSettings, Secrets, GraphClient, Callable[[], datetime]], LoginProduct]] = {
    Provider.FACEBOOK: _facebook,
    Provider.INSTAGRAM: _instagram,
}


class LoginProducts:
    """The products of this deployment, by name."""

    def __init__(
        self, settings: MetaSettings, secrets: Secrets, graph: GraphClient, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._graph = graph
        self._now = now
        self._built: dict[Provider, LoginProduct] = {}

    def __getitem__(self, provider: Provider) -> LoginProduct:
        """The product. Raises ConfigurationError when its settings are missing."""
        if provider not in self._built:
            self._built[provider] = PRODUCTS[provider](self._settings, self._secrets, self._graph, self._now)
        return self._built[provider]
