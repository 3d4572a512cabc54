"""All state of one running simulator, in one place, so that a reset is a new start."""

from datetime import timedelta

from local.meta_simulator.authorization_codes import AuthorizationCodes
from local.meta_simulator.calls import CallLog
from local.meta_simulator.clock import Clock
from local.meta_simulator.faults import FaultPlan
from local.meta_simulator.grants import Grants
from local.meta_simulator.instagram_grants import InstagramGrants
from local.meta_simulator.meta_apps import MetaApp, instagram_app_from_environment
from local.meta_simulator.recent_calls import RecentCalls
from local.meta_simulator.seed import seeded_world
from local.meta_simulator.settings import Settings
from local.meta_simulator.tokens import Tokens
from local.meta_simulator.webhook_subscriptions import WebhookSubscriptions

FACEBOOK_TOKEN_PREFIX = "EAA"
INSTAGRAM_TOKEN_PREFIX = "IGAA"
FACEBOOK_CODE_LIFETIME = timedelta(minutes=10)
INSTAGRAM_CODE_LIFETIME = timedelta(hours=1)


class Simulator:
    """The world, what logins made of it, and how the simulator is asked to behave.

    Only the event loop touches it, and no rule awaits between a check and the change that
    depends on it: that is what makes single-use codes safe without locks. The two login products
    share people, clock, faults and log, but no app, grant, code, token or subscription.
    """

    def __init__(self, main_app: MetaApp, clock: Clock | None = None, *, instagram_app: MetaApp | None = None) -> None:
        self.main_app = main_app
        self.instagram_app = instagram_app or instagram_app_from_environment({})
        self.clock = clock or Clock()
        self.calls = CallLog()
        self._start_afresh()

    def reset(self) -> None:
        """Go back to the seeded world: no logins, faults or calls, default switches, real time."""
        self.clock.reset()
        self.calls.clear()
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.world = seeded_world()
        self.settings = Settings()
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
