"""Puts events about connections on an EventBridge bus, so that an app can tell its users without asking us.

An event is written down in the transaction that it tells of, and published afterwards, at least once: consumers know
one that comes again by its `id`. docs/events.md describes them. Source of the limits: EventBridge, "PutEvents".
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .batched import batched
from .deadline import Deadline
from .observability import logger
from .refresh_repository import RefreshRepository
from .settings import AWS_CLIENT_CONFIG

SOURCE = "instagram-connect"
MOST_AT_ONCE = 10  # entries of one PutEvents call
MOST_TAKEN = 100
# Another publisher may have them after that: longer than publishing takes, far shorter than anybody minds.
LEASE_S = 60


@dataclass(frozen=True)
class ConnectionEvents:
    """The bus. Shared between invocations."""

    bus_name: str
    repository: RefreshRepository

    def publish_pending(self, deadline: Deadline) -> int:
        """Publishes what waits, and tells how many; what the bus does not take waits on.

        Raises StorageError.
        """
        published = 0
        while events := self.repository.take_events(MOST_TAKEN, LEASE_S, deadline):
            taken = [event_id for part in batched(events, MOST_AT_ONCE) for event_id in self._put(part)]
            if taken:
                self.repository.delete_events(taken, deadline)
            published += len(taken)
            if len(taken) < len(events) or len(events) < MOST_TAKEN:
                break
        return published

    def _put(self, events: Sequence[dict[str, Any]]) -> list[str]:
        entries = [
            {
                "Source": SOURCE,
                "DetailType": event["type"],
                "Detail": json.dumps({"id": event["id"], **event["detail"]}),
                "EventBusName": self.bus_name,
            }
            for event in events
        ]
        try:
            results = self._client.put_events(Entries=entries)["Entries"]
        except (BotoCoreError, ClientError) as error:
            logger.warning("Could not publish events", cause=type(error).__name__, events=len(events))
            return []
        refused = [result["ErrorCode"] for result in results if "ErrorCode" in result]
        if refused:
            logger.warning("The event bus refused events", cause=refused[0], events=len(refused))
        return [event["id"] for event, result in zip(events, results, strict=True) if "ErrorCode" not in result]

    # Made when there is something to tell, which is seldom.
    @cached_property
    def _client(self) -> Any:
        return boto3.client("events", config=AWS_CLIENT_CONFIG)
