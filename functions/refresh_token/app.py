"""POST /api/instagram/refresh-token for one's own account, and the hourly sweep of EventBridge Scheduler.

Promises that an account is worked on by one caller at a time, whoever asked. An event that is no request of API Gateway
is a sweep: it hands what is due to the workers and asks Meta nothing itself. Never logs a token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import TypeAdapter

from instagram_connect.api import routing
from instagram_connect.api.schemas import RefreshedAccount, RefreshTokenRequest
from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.outbox.repository import OutboxRepository
from instagram_connect.refresh.on_demand import RefreshOnDemand
from instagram_connect.refresh.queue import RefreshQueue
from instagram_connect.refresh.repository import RefreshRepository, RefreshRules
from instagram_connect.refresh.sweep import RefreshSweep
from instagram_connect.runtime import settings
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, sends_error_reports
from instagram_connect.security.identity import IdentityVerifier
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs

if TYPE_CHECKING:
    from instagram_connect.refresh.batch import RefreshBatch

REQUEST = TypeAdapter(RefreshTokenRequest)
RESERVED_FOR_RETURNING_S = 1.0
# A sweep may take longer; API Gateway gives up after 29 seconds, which a cold start is part of.
ANSWERING_S = 22.0


@dataclass(frozen=True)
class Dependencies:
    """What one request or sweep needs of the outside world."""

    identity: IdentityVerifier
    on_demand: RefreshOnDemand
    sweep: RefreshSweep


@cache
def dependencies() -> Dependencies:
    """Built at the first event and kept while the sandbox lives. Raises ConfigurationError."""
    secrets = settings.load_secrets()
    supabase_url = settings.required("SUPABASE_URL")
    data_api = DataApi(supabase_url, secrets.required("supabase_secret_key"))
    rpcs = Rpcs(data_api, secrets.optional("database_url"))
    repository = RefreshRepository(rpcs, utc_now, RefreshRules.of_deployment())
    queue = RefreshQueue(settings.required("REFRESH_QUEUE_URL"), settings.required("REFRESH_DEAD_LETTER_QUEUE_URL"))
    events = EventPublisher(settings.required("EVENT_BUS_NAME"), OutboxRepository(rpcs, utc_now))

    @cache
    def batch() -> "RefreshBatch":
        # A sweep asks Meta nothing and opens no token: what that takes is slow to load.
        from instagram_connect.refresh.batch import RefreshBatch

        return RefreshBatch.of_deployment(secrets, repository, queue, events)

    return Dependencies(
        identity=IdentityVerifier.of_project(supabase_url, secrets.optional("supabase_jwt_secret")),
        on_demand=RefreshOnDemand(batch, repository),
        sweep=RefreshSweep(repository, queue, events),
    )


def build_api(allowed_origins: tuple[str, ...], dependencies: Callable[[], Dependencies]) -> APIGatewayRestResolver:
    """The route, with everything it needs passed in."""
    api = routing.create_api(allowed_origins)

    @api.post("/api/instagram/refresh-token")
    def refresh_token() -> Response[dict[str, Any]]:
        event = api.current_event
        deadline = routing.deadline(api).within(ANSWERING_S)
        deps = dependencies()
        caller = deps.identity.identify(event.headers.get("Authorization"))
        body = routing.parse_body(event, REQUEST)
        account = deps.on_demand.refresh(
            routing.row_id(body.business_account_id),
            user_id=caller.user_id,
            deadline=deadline,
        )
        return routing.success(event, RefreshedAccount(account=account))

    return api


def sweep(deps: Dependencies, context: LambdaContext) -> dict[str, Any]:
    """Sweeps once; how many accounts the workers got. Raises StorageError: a sweep that fails has to show."""
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - RESERVED_FOR_RETURNING_S)
    return {"accounts": deps.sweep.run(deadline)}


@cache
def _api() -> APIGatewayRestResolver:
    return build_api(settings.required_list("ALLOWED_ORIGINS"), dependencies)


@sends_error_reports
@logger.inject_lambda_context(log_event=False, correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point of the Lambda: an API Gateway proxy event and its answer, or a sweep and its count."""
    if routing.is_request(event):
        return _api().resolve(event, context)
    return sweep(dependencies(), context)
