"""All state of one running simulator, in one place, so that a reset is a new start."""

from local.meta_simulator.authorization_codes import AuthorizationCodes
from local.meta_simulator.calls import CallLog
from local.meta_simulator.clock import Clock
from local.meta_simulator.faults import FaultPlan
from local.meta_simulator.grants import Grants
from local.meta_simulator.meta_apps import MetaApp
from local.meta_simulator.page_subscriptions import PageSubscriptions
from local.meta_simulator.seed import seeded_world
from local.meta_simulator.settings import Settings
from local.meta_simulator.tokens import Tokens


class Simulator:
    """The world, what logins made of it, and how the simulator is asked to behave.

    Only the event loop touches it, and no rule awaits between a check and the change that
    depends on it: that is what makes single-use codes safe without locks.
    """

    def __init__(self, main_app: MetaApp, clock: Clock | None = None) -> None:
        self.main_app = main_app
        self.clock = clock or Clock()
        self.calls = CallLog()
        self._start_afresh()

    def reset(self) -> None:
        """Go back to the seeded world: no logins, faults or calls, default switches, real time."""
        self.clock.reset()
        self.calls.clear()
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.apps: dict[str, MetaApp] = {self.main_app.id: self.main_app}
        self.world = seeded_world()
        self.grants = Grants()
        self.codes = AuthorizationCodes()
        self.tokens = Tokens()
        self.subscriptions = PageSubscriptions()
        self.settings = Settings()
        self.faults = FaultPlan()
