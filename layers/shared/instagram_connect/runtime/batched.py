"""Items in groups, for AWS calls that take no more than so many at once."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Groups of `size` items, the last of what is left; `itertools.batched`, which comes with Python 3.12."""
    remaining = iter(items)
    while group := tuple(islice(remaining, size)):
        yield group
