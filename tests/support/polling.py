"""Waiting for something to become true, instead of sleeping for as long as it may take."""

import time
from collections.abc import Callable


def eventually(is_true: Callable[[], bool], seconds: float = 10) -> bool:
    """Ask again and again; False when the time is up."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
