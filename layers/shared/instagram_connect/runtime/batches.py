"""Groups items for AWS calls and messages, which limit how many and how much they take."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def batches(
    items: Iterable[Item],
    count: float = math.inf,
    *,
    size: float = math.inf,
    size_of: Callable[[Item], int] = lambda _: 0,
) -> Iterator[list[Item]]:
    """Group consecutive items into lists of at most `count` items and at most `size` in total.

    An item larger than `size` gets a list of its own. No items, no lists.
    """
    batch: list[Item] = []
    filled = 0
    for item in items:
        item_size = size_of(item)
        if batch and (len(batch) >= count or filled + item_size > size):
            yield batch
            batch, filled = [], 0
        batch.append(item)
        filled += item_size
    if batch:
        yield batch
