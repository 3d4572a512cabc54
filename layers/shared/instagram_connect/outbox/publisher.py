"""Publishes events on an EventBridge bus, so that applications can react without polling or changing this code.

An event is written in the same transaction as the change it reports and published afterwards, at least once. Consumers
recognise duplicates by `id`. Documented in docs/events.md. Source of the limits: EventBridge, "PutEvents".
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
MAX_ENTRIES_PER_CALL = 10
# Total size of a call's entries, below the limit of 256 KB.
MAX_BYTES_PER_CALL = 240_000
CONCURRENT_CALLS = 8
EVENTS_PER_ROUND = 100
# Longer than publishing takes, short enough for another publisher to take over soon.
LEASE_S = 60
# A PutEvents call takes at most 4 s; deleting the published events needs a little more.
MIN_REMAINING_S = 6.0


@dataclass(frozen=True)
class EventPublisher:
    """Publishes to one bus. Shared between invocations."""

    bus_name: str
    repository: OutboxRepository

    def publish_pending(self, deadline: Deadline) -> int:
        """Publish pending events and return how many were accepted. Rejected events stay pending.

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
        """Publish events that the caller has leased and return how many were accepted. Rejected ones stay pending.

        Raises StorageError.
        """
        groups = list(_groups(events))
        if not groups:
            return 0
        _ = self._client  # create the client once, before the threads share it
        is_down = Event()

        def put(group: Sequence[tuple[str, dict[str, str]]]) -> list[str]:
            # Once a call has failed, do not wait for the bus again with every group.
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
        """Return the ids of the events that the bus accepted, or None if the call failed."""
        entries = [{**entry, "EventBusName": self.bus_name} for _, entry in group]
        try:
            results = self._client.put_events(Entries=entries)["Entries"]
        except (BotoCoreError, ClientError) as error:
            logger.warning("Could not publish events", cause=type(error).__name__, events=len(entries))
            return None
        refused = [result["ErrorCode"] for result in results if "ErrorCode" in result]
        if refused:
            logger.warning("The event bus rejected events", cause=refused[0], events=len(refused))
        return [event_id for (event_id, _), result in zip(group, results, strict=True) if "ErrorCode" not in result]

    # Created on first use: most invocations publish nothing.
    @cached_property
    def _client(self) -> Any:
        return aws.client("events")


def _groups(events: Iterable[Mapping[str, Any]]) -> Iterator[list[tuple[str, dict[str, str]]]]:
    """Group events into calls, each entry with its event's id."""
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
        # The row in the database is complete.
        text = json.dumps({**detail, "data": {}, "isTruncated": True})
    return text
