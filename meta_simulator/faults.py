"""Planned failures of API calls: which calls fail, how often, and how."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from meta_simulator.graph.call import ApiHost, GraphCall
from meta_simulator.named_errors import ERROR_NAMES

OUTCOMES = ("error", "status", "disconnect", "apply_then_disconnect", "hang_seconds")
MAX_WAIT_SECONDS = 600


class Fault(BaseModel):
    """One planned failure, as posted to the control API.

    A fault matches calls by `operation`, `path` (a glob over what follows the host, in which `*` also matches
    slashes), `host`, `account` (whose tokens the call carries) and `method`; all that are given must match. The first
    `skip` matching calls pass, then the fault fires `times` times, or without limit if `times` is null. `latency_ms`
    delays any outcome, or is the only effect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: str | None = None
    path: str | None = None
    host: ApiHost | None = None
    account: str | None = None
    method: str | None = None
    times: Annotated[int, Field(ge=1)] | None = 1
    skip: Annotated[int, Field(ge=0)] = 0
    latency_ms: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS * 1000)] = 0
    error: str | None = None
    regain_minutes: Annotated[int, Field(ge=0)] = 5
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: dict[str, object] | str = ""
    disconnect: Literal[True] | None = None
    apply_then_disconnect: Literal[True] | None = None
    hang_seconds: Annotated[float, Field(gt=0, le=MAX_WAIT_SECONDS)] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Fault":
        if {self.operation, self.path, self.host, self.account} == {None}:
            raise ValueError("name an operation, a path, a host or an account")
        if self.error is not None and self.error not in ERROR_NAMES:
            raise ValueError(f"unknown error name; use one of {', '.join(ERROR_NAMES)}")
        chosen = [name for name in OUTCOMES if getattr(self, name) is not None]
        if len(chosen) > 1:
            raise ValueError(f"more than one outcome: {', '.join(chosen)}")
        if not chosen and not self.latency_ms:
            raise ValueError(f"choose an outcome: latency_ms, {', '.join(OUTCOMES)}")
        return self

    @property
    def outcome(self) -> str:
        """The error's name, the field that sets the outcome, or "latency"."""
        chosen = next((name for name in OUTCOMES if getattr(self, name) is not None), "latency")
        return self.error or chosen

    def matches(self, call: GraphCall, operation: str) -> bool:
        """Return whether the call matches everything but `account`."""
        return (
            self.operation in (None, operation)
            and (self.path is None or fnmatchcase(call.path, self.path))
            and self.host in (None, call.host)
            and (self.method is None or self.method.upper() == call.method)
        )


class _PlannedFault:
    """A fault with its counters and the ids that its `account` stands for."""

    def __init__(self, fault_id: int, fault: Fault, account_ids: frozenset[str]) -> None:
        self.id = fault_id
        self.fault = fault
        self._account_ids = account_ids
        self.met = 0
        self.happened = 0

    def take(self, call: GraphCall, operation: str, token_owners: frozenset[str]) -> bool:
        """Return whether the fault fires for this call, and count the call."""
        is_spent = self.fault.times is not None and self.happened >= self.fault.times
        is_owner = self.fault.account is None or bool(self._account_ids & token_owners)
        if is_spent or not is_owner or not self.fault.matches(call, operation):
            return False
        self.met += 1
        if self.met <= self.fault.skip:
            return False
        self.happened += 1
        return True

    def view(self) -> dict[str, object]:
        given = self.fault.model_dump(exclude_defaults=True)
        return {"id": self.id, **given, "met": self.met, "happened": self.happened}


class FaultPlan:
    """The planned faults in the order they were added. The first one that matches fires."""

    def __init__(self) -> None:
        self._planned: list[_PlannedFault] = []
        self._count = 0

    def add(self, fault: Fault, account_ids: frozenset[str]) -> dict[str, object]:
        """Plan a fault and return its view. `account_ids` are the token owners that its `account` stands for."""
        self._count += 1
        planned = _PlannedFault(self._count, fault, account_ids)
        self._planned.append(planned)
        return planned.view()

    def take(self, call: GraphCall, operation: str, token_owners: frozenset[str]) -> Fault | None:
        """Return the fault that fires for this call and count it, or None. `token_owners` own the call's tokens."""
        return next((planned.fault for planned in self._planned if planned.take(call, operation, token_owners)), None)

    def views(self) -> list[dict[str, object]]:
        """Return all planned faults, with how many calls each matched (`met`) and failed (`happened`)."""
        return [planned.view() for planned in self._planned]

    def remove(self, fault_id: int) -> bool:
        """Remove one fault. Returns False if no fault has this id."""
        kept = [planned for planned in self._planned if planned.id != fault_id]
        removed = len(kept) < len(self._planned)
        self._planned = kept
        return removed

    def clear(self) -> None:
        """Remove all faults. Ids are not reused."""
        self._planned.clear()
