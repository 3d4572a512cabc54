"""All state of a running simulator in one place, so that a reset equals a restart."""

from collections.abc import Callable
from datetime import timedelta

import httpx

from meta_simulator.authorization_codes import AuthorizationCodes
from meta_simulator.call_log import CallLog
from meta_simulator.callbacks import Callbacks
from meta_simulator.clock import Clock
from meta_simulator.faults import FaultPlan
from meta_simulator.grants import Grants
from meta_simulator.instagram_grants import InstagramGrants
from meta_simulator.meta_apps import MetaApp, Product, instagram_app_from_environment
from meta_simulator.outgoing import open_client
from meta_simulator.recent_calls import RecentCalls
from meta_simulator.seed import seeded_world
from meta_simulator.settings import Settings
from meta_simulator.tokens import Tokens
from meta_simulator.webhook_subscriptions import WebhookSubscriptions
from meta_simulator.webhooks.outbox import Outbox

FACEBOOK_TOKEN_PREFIX = "EAA"
INSTAGRAM_TOKEN_PREFIX = "IGAA"
FACEBOOK_CODE_LIFETIME = timedelta(minutes=10)
INSTAGRAM_CODE_LIFETIME = timedelta(hours=1)


class Simulator:
    """The world, what logins left in it, and how the simulator is configured to behave.

    Only the event loop touches it, and no rule awaits between a check and the change that depends on it; this makes
    single-use codes safe without locks. The two login products share people, clock, faults and call log, but not
    apps, grants, codes, tokens or subscriptions. `callbacks` are restored by a reset. `client` opens the HTTP client
    for requests to the app.
    """

    def __init__(
        self,
        main_app: MetaApp,
        clock: Clock | None = None,
        *,
        instagram_app: MetaApp | None = None,
        callbacks: Callbacks | None = None,
        client: Callable[[], httpx.AsyncClient] = open_client,
    ) -> None:
        self.main_app = main_app
        self.instagram_app = instagram_app or instagram_app_from_environment({})
        self.clock = clock or Clock()
        self.calls = CallLog()
        self.open_client = client
        self._initial_callbacks = callbacks or Callbacks()
        self._reset_state()

    def reset(self) -> None:
        """Restore the seeded world, default settings and real time; drop logins, faults, calls and webhooks."""
        self.clock.reset()
        self.calls.clear()
        self._reset_state()

    def app_of(self, product: Product) -> MetaApp:
        """Return the main app of a product as currently registered; its secret may have been replaced."""
        if product == "instagram":
            return self.instagram_apps[self.instagram_app.id]
        return self.apps[self.main_app.id]

    def subscriptions_of(self, product: Product) -> WebhookSubscriptions:
        """Return the webhook subscriptions of a product."""
        return self.instagram_subscriptions if product == "instagram" else self.subscriptions

    def _reset_state(self) -> None:
        self.world = seeded_world()
        self.settings = Settings()
        self.callbacks = self._initial_callbacks
        self.outbox = Outbox()
        self.faults = FaultPlan()
        self.recent_calls = RecentCalls()
        self.apps: dict[str, MetaApp] = {self.main_app.id: self.main_app}
        self.grants = Grants()
        self.codes = AuthorizationCodes(FACEBOOK_CODE_LIFETIME)
        self.tokens = Tokens(FACEBOOK_TOKEN_PREFIX)
        self.subscriptions = WebhookSubscriptions()
        self.instagram_apps: dict[str, MetaApp] = {self.instagram_app.id: self.instagram_app}
        self.instagram_grants = InstagramGrants()
        self.instagram_codes = AuthorizationCodes(INSTAGRAM_CODE_LIFETIME)
        self.instagram_tokens = Tokens(INSTAGRAM_TOKEN_PREFIX)
        self.instagram_subscriptions = WebhookSubscriptions()
