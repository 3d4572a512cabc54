"""Progress lines on the terminal: each step and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Print a line immediately, even if the output is a file or a pipe."""
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print `title ... 1.2 s` around a with block, or `title ... failed` if it raises."""
    started = time.monotonic()
    print(f"{title} ... ", end="", flush=True)
    try:
        yield
    except BaseException:
        say("failed")
        raise
    seconds = time.monotonic() - started
    say(f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s")
    sys.stdout.flush()
