"""Puts events on an EventBridge bus, so that an app can act on them without asking us or touching this code.

An event is written down in the transaction that it tells of, and published afterwards, at least once: consumers know
one that comes again by its `id`. docs/events.md describes them. Source of the limits: EventBridge, "PutEvents".
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Event
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.runtime import aws
from instagram_connect.runtime.batches import batches
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger

SOURCE = "instagram-connect"
MAX_ENTRIES_PER_CALL = 10  # entries of one PutEvents call
# Of all entries of a call together: below the 256 KB that it could always have.
MAX_BYTES_PER_CALL = 240_000
CONCURRENT_CALLS = 8
EVENTS_PER_ROUND = 100
# Another publisher may have them after that: longer than publishing takes, far shorter than anybody minds.
LEASE_S = 60
# One call to the bus takes 4 s at worst, forgetting what it took a moment.
MIN_REMAINING_S = 6.0


@dataclass(frozen=True)
class EventPublisher:
    """The bus. Shared between invocations."""

    bus_name: str
    repository: OutboxRepository

    def publish_pending(self, deadline: Deadline) -> int:
        """Publishes what waits, and tells how many; what the bus does not take waits on.

        Raises StorageError.
        """
        published = 0
        while deadline.remaining_s() > MIN_REMAINING_S and (
            events := self.repository.take(EVENTS_PER_ROUND, LEASE_S, deadline)
        ):
            taken = self.publish(events, deadline)
            published += taken
            if taken < len(events) or len(events) < EVENTS_PER_ROUND:
                break
        return published

    def publish(self, events: Sequence[Mapping[str, Any]], deadline: Deadline) -> int:
        """Publishes events that the caller has taken, and tells how many; the bus may refuse some, which wait on.

        Raises StorageError.
        """
        groups = list(_groups(events))
        if not groups:
            return 0
        _ = self._client  # made by one thread, for all
        is_down = Event()

        def put(group: Sequence[tuple[str, dict[str, str]]]) -> list[str]:
            # A bus that hangs is not waited for group by group.
            if is_down.is_set() or deadline.remaining_s() < MIN_REMAINING_S:
                return []
            answer = self._put(group)
            if answer is None:
                is_down.set()
            return answer or []

        with ThreadPoolExecutor(min(CONCURRENT_CALLS, len(groups))) as threads:
            taken = [event_id for ids in threads.map(put, groups) for event_id in ids]
        if taken:
            self.repository.forget(taken, deadline)
        return len(taken)

    def _put(self, group: Sequence[tuple[str, dict[str, str]]]) -> list[str] | None:
        """The ids of the events that the bus took; None when it does not answer."""
        entries = [{**entry, "EventBusName": self.bus_name} for _, entry in group]
        try:
            results = self._client.put_events(Entries=entries)["Entries"]
        except (BotoCoreError, ClientError) as error:
            logger.warning("Could not publish events", cause=type(error).__name__, events=len(entries))
            return None
        refused = [result["ErrorCode"] for result in results if "ErrorCode" in result]
        if refused:
            logger.warning("The event bus refused events", cause=refused[0], events=len(refused))
        return [event_id for (event_id, _), result in zip(group, results, strict=True) if "ErrorCode" not in result]

    # Made when there is something to tell.
    @cached_property
    def _client(self) -> Any:
        return aws.client("events")


def _groups(events: Iterable[Mapping[str, Any]]) -> Iterator[list[tuple[str, dict[str, str]]]]:
    """Entries with their events' ids, as many together as one call takes."""
    entries = (
        (event["id"], {"Source": SOURCE, "DetailType": event["type"], "Detail": _detail(event)}) for event in events
    )
    return batches(
        entries,
        MAX_ENTRIES_PER_CALL,
        size=MAX_BYTES_PER_CALL,
        size_of=lambda pair: sum(len(text) for text in pair[1].values()),
    )


def _detail(event: Mapping[str, Any]) -> str:
    detail = {"id": event["id"], **event["detail"]}
    text = json.dumps(detail)  # ASCII: as many bytes as characters
    if len(text) > MAX_BYTES_PER_CALL - len(event["type"]) - len(SOURCE):
        # The row has it whole.
        text = json.dumps({**detail, "data": {}, "isTruncated": True})
    return text
