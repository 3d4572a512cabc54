"""A route as its callers see it: recorded events in, responses out. Also the account that the fakes return."""

import json
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from instagram_connect.models import Account, Provider
from tests.support.fakes import NOW, access_token
from tests.support.lambda_context import FakeLambdaContext

ORIGIN = "https://app.example.com"
ORIGINS = (ORIGIN, "https://admin.example.com")
STATE_KEY = "a-signing-key-that-is-long-enough-for-hs256"
ACCOUNT = Account(
    id="9a000000-0000-4000-8000-000000000001",
    provider=Provider.FACEBOOK,
    instagram_business_id="17841400000000001",
    username="cafe.azul",
    name='Café "Azul" ☕',
    page_id="27640875392278831",
    page_name="Ana's Estúdio",
    profile_picture_url=None,
    followers_count=942,
    token_expires_at="2027-01-21T12:00:00+00:00",
    connected_at=NOW,
    status="active",
)

Answer = dict[str, Any]
Send = Callable[..., Answer]
LoadEvent = Callable[[str], Answer]


def sender(
    api: APIGatewayRestResolver, load_event: LoadEvent, context: FakeLambdaContext, event_name: str | None = None
) -> Send:
    """Sends a recorded event (by default `event_name`) of a signed-in user, with some fields changed."""

    def send(name: str | None = event_name, **changes: Any) -> Answer:
        assert name is not None
        event = load_event(name)
        headers = {"Authorization": f"Bearer {access_token()}", **changes.pop("headers", {})}
        event["headers"] = {**event["headers"], **headers}
        answer = api.resolve({**event, **changes}, context)  # type: ignore[arg-type]
        return {**answer, "json": json.loads(answer["body"]) if answer.get("body") else None}

    return send


def header(answer: Answer, name: str) -> str | None:
    values = answer["multiValueHeaders"].get(name)
    return values[0] if values else None
