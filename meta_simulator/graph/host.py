"""What every API host does around a call: logs it, plays faults, counts it, turns errors into answers.

A host brings its own table of operations, and its own shape of errors if it is no Graph host.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from meta_simulator.callers import token_owners
from meta_simulator.calls import LoggedCall
from meta_simulator.connection import DroppedConnection
from meta_simulator.errors import GraphError
from meta_simulator.faults import Fault
from meta_simulator.graph.answer import GRAPH_ERRORS, ErrorShape, data_answer
from meta_simulator.graph.call import ApiHost, GraphCall, read_call
from meta_simulator.graph.usage import count_call
from meta_simulator.named_errors import named_answer
from meta_simulator.simulator import Simulator

# An operation answers at once, without awaiting: nothing can happen between its steps.
Answer = Callable[[Simulator, GraphCall], object]
METHODS = ["GET", "POST", "DELETE"]


@dataclass(frozen=True)
class Operation:
    """A named thing that a host can do; the name appears in the call log and in faults."""

    name: str
    answer: Answer


Resolve = Callable[[Simulator, GraphCall], Operation]


def mount_graph_host(
    simulator: Simulator, host: ApiHost, resolve: Resolve, error_shape: ErrorShape = GRAPH_ERRORS
) -> Mount:
    """Return the routes of a host under the path prefix /<host>."""

    async def endpoint(request: Request) -> Response:
        call = await read_call(request, host)
        return await _serve(simulator, call, resolve(simulator, call), error_shape)

    return Mount(f"/{host}", routes=[Route("/{path:path}", endpoint, methods=METHODS)])


async def _serve(simulator: Simulator, call: GraphCall, operation: Operation, error_shape: ErrorShape) -> Response:
    entry = simulator.calls.begin(call, operation.name, simulator.clock.now())
    fault = simulator.faults.take(call, operation.name, token_owners(simulator, call))
    status: int | None = None
    try:
        if fault is not None:
            entry.fault = fault.outcome
            early = await _play(fault, call, simulator, error_shape)
            if early is not None:
                status = None if isinstance(early, DroppedConnection) else early.status_code
                return early
        response = _answer(simulator, call, operation, error_shape, entry)
        if fault is not None and fault.apply_then_disconnect:
            return DroppedConnection()
        status = response.status_code
        return response
    finally:
        entry.finish(status)


def _answer(
    simulator: Simulator, call: GraphCall, operation: Operation, error_shape: ErrorShape, entry: LoggedCall
) -> Response:
    """Let the rules answer: those of the rate limits first, then those of the operation."""
    usage = count_call(simulator, call)
    try:
        usage.require_room()
        response = data_answer(operation.answer(simulator, call), call.version)
    except GraphError as error:
        entry.error_code, entry.error_subcode = error.code, error.subcode
        response = error_shape.write(error, call.version)
    response.headers.update(usage.headers())
    return response


async def _play(fault: Fault, call: GraphCall, simulator: Simulator, error_shape: ErrorShape) -> Response | None:
    """Wait as planned; return what stands in for the answer, or None to go on."""
    await asyncio.sleep(fault.latency_ms / 1000)
    if fault.hang_seconds is not None:
        await asyncio.sleep(fault.hang_seconds)
        return DroppedConnection()
    if fault.disconnect:
        return DroppedConnection()
    if fault.error is not None:
        return named_answer(fault.error, call, simulator.clock.now(), fault.regain_minutes, error_shape)
    if fault.status is not None:
        return _raw_answer(fault.status, fault.body)
    return None


def _raw_answer(status: int, body: dict[str, object] | str) -> Response:
    if isinstance(body, str):
        return Response(body, status_code=status, media_type="text/html" if body else None)
    return Response(json.dumps(body), status_code=status, media_type="application/json")
