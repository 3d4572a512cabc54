"""The hourly schedule."""

import pytest

from functions.refresh_sweep import app
from functions.refresh_sweep.app import RESERVED_FOR_RETURNING_S, handle
from instagram_connect.errors import ConfigurationError, StorageError
from instagram_connect.runtime.deadline import Deadline
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import LoadEvent


class FakeSweep:
    """Hands so many accounts on; keeps how much time it was given."""

    def __init__(self) -> None:
        self.deadlines: list[Deadline] = []
        self.error: Exception | None = None

    def run(self, deadline: Deadline) -> int:
        self.deadlines.append(deadline)
        if self.error:
            raise self.error
        return 7


@pytest.fixture
def sweeping() -> FakeSweep:
    return FakeSweep()


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_sweep_counts_what_it_handed_on_and_gets_the_functions_time(
    sweeping: FakeSweep,
    load_event: LoadEvent,
    lambda_context: FakeLambdaContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lambda_context.remaining_s = 120
    monkeypatch.setattr(app, "dependencies", lambda: sweeping)

    assert app.lambda_handler(load_event("refresh_sweep"), lambda_context) == {"accounts": 7}  # type: ignore[arg-type]

    left_s = lambda_context.remaining_s - RESERVED_FOR_RETURNING_S
    assert left_s - 1 < sweeping.deadlines[0].remaining_s() <= left_s


def test_a_sweep_that_fails_shows(sweeping: FakeSweep) -> None:
    sweeping.error = StorageError(reason="DATA_API_UNREACHABLE", recoverable=True)

    with pytest.raises(StorageError):
        handle(sweeping, Deadline(58))  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_the_entry_point_without_settings_names_the_first_that_it_needs(
    load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        app.lambda_handler(load_event("refresh_sweep"), lambda_context)  # type: ignore[arg-type]

    assert caught.value.log_context == {"setting": "SUPABASE_URL"}
