"""What every API host does around a call: log it, apply faults, count it, format errors.

Each host has its own table of operations, and may have its own error format.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from meta_simulator.call_log import LoggedCall
from meta_simulator.callers import token_owners
from meta_simulator.connection import DroppedConnection
from meta_simulator.errors import GraphError
from meta_simulator.faults import Fault
from meta_simulator.graph.call import ApiHost, GraphCall, read_call
from meta_simulator.graph.response import GRAPH_ERRORS, ErrorFormat, data_response
from meta_simulator.graph.usage import count_call
from meta_simulator.named_errors import named_response
from meta_simulator.simulator import Simulator

# Handlers are synchronous, so no other call can run between their steps.
Handler = Callable[[Simulator, GraphCall], object]
METHODS = ["GET", "POST", "DELETE"]


@dataclass(frozen=True)
class Operation:
    """A named operation of a host. The name appears in the call log and in faults."""

    name: str
    handler: Handler


Resolve = Callable[[Simulator, GraphCall], Operation]


def mount_graph_host(
    simulator: Simulator, host: ApiHost, resolve: Resolve, error_format: ErrorFormat = GRAPH_ERRORS
) -> Mount:
    """Return the routes of a host under the path prefix /<host>."""

    async def endpoint(request: Request) -> Response:
        call = await read_call(request, host)
        return await _serve(simulator, call, resolve(simulator, call), error_format)

    return Mount(f"/{host}", routes=[Route("/{path:path}", endpoint, methods=METHODS)])


async def _serve(simulator: Simulator, call: GraphCall, operation: Operation, error_format: ErrorFormat) -> Response:
    entry = simulator.calls.begin(call, operation.name, simulator.clock.now())
    fault = simulator.faults.take(call, operation.name, token_owners(simulator, call))
    status: int | None = None
    try:
        if fault is not None:
            entry.fault = fault.outcome
            early = await _apply_fault(fault, call, simulator, error_format)
            if early is not None:
                status = None if isinstance(early, DroppedConnection) else early.status_code
                return early
        response = _run_operation(simulator, call, operation, error_format, entry)
        if fault is not None and fault.apply_then_disconnect:
            return DroppedConnection()
        status = response.status_code
        return response
    finally:
        entry.finish(status)


def _run_operation(
    simulator: Simulator, call: GraphCall, operation: Operation, error_format: ErrorFormat, entry: LoggedCall
) -> Response:
    """Check the rate limits, then run the operation."""
    usage = count_call(simulator, call)
    try:
        usage.require_within_limits()
        response = data_response(operation.handler(simulator, call), call.version)
    except GraphError as error:
        entry.error_code, entry.error_subcode = error.code, error.subcode
        response = error_format.render(error, call.version)
    response.headers.update(usage.headers())
    return response


async def _apply_fault(
    fault: Fault, call: GraphCall, simulator: Simulator, error_format: ErrorFormat
) -> Response | None:
    """Wait as the fault demands; return the response that replaces the real one, or None to continue."""
    await asyncio.sleep(fault.latency_ms / 1000)
    if fault.hang_seconds is not None:
        await asyncio.sleep(fault.hang_seconds)
        return DroppedConnection()
    if fault.disconnect:
        return DroppedConnection()
    if fault.error is not None:
        return named_response(fault.error, call, simulator.clock.now(), fault.regain_minutes, error_format)
    if fault.status is not None:
        return _raw_response(fault.status, fault.body)
    return None


def _raw_response(status: int, body: dict[str, object] | str) -> Response:
    if isinstance(body, str):
        return Response(body, status_code=status, media_type="text/html" if body else None)
    return Response(json.dumps(body), status_code=status, media_type="application/json")
