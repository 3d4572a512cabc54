"""How much the property tests try: what fits into `make test`, or FUZZ times as much; `make fuzz` sets it."""

import os

from hypothesis import HealthCheck, settings

FACTOR = float(os.environ.get("FUZZ", "1"))
# Of `make fuzz`, which prints it; None: another one every time.
SEED = int(os.environ["FUZZ_SEED"]) if "FUZZ_SEED" in os.environ else None


def examples(count: int) -> int:
    """So many in `make test`, and in `make fuzz` as many more as it was asked for."""
    return max(1, round(count * FACTOR))


def load_profile() -> None:
    """For all property tests; to be called before they are imported. No absolute time fails a test."""
    settings.register_profile(
        "budget",
        max_examples=examples(100),
        deadline=None,
        # What fixtures give is shared by all examples of a test, and every test that uses one is written for that.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        print_blob=True,
    )
    settings.load_profile("budget")
