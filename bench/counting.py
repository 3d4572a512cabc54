"""Counts the calls of a refresh and of a batch of webhooks; `connecting` counts those of a connection.

The benchmarks report these counts, the costs are computed from them, and tests/integration/test_budgets.py limits them.
"""

import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

from bench.frontend import Frontend
from bench.recording import Recording, recorded
from bench.system import context, silent
from instagram_connect.models import Provider
from instagram_connect.refresh.models import Claim
from instagram_connect.refresh.queue import ClaimedBatch
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from local.database import connect

# Leaves five days to a token of sixty.
AGE = timedelta(days=55)


def age(frontend: Frontend, user_ids: Sequence[str]) -> None:
    """Advance Meta's clock, and make the stored data of these users older by the same time."""
    frontend.meta("POST", "/clock", {"advance_seconds": AGE.total_seconds()})
    with connect(frontend.stack["database_url"], autocommit=True) as database:
        database.execute(
            "update instagram_credentials set issued_at = issued_at - %(age)s, expires_at = expires_at - %(age)s, "
            "data_access_expires_at = data_access_expires_at - %(age)s where business_account_id in "
            "(select id from instagram_business_accounts where user_id = any(%(users)s::uuid[]))",
            {"age": AGE, "users": list(user_ids)},
        )
        database.execute(
            "update instagram_business_accounts set connected_at = connected_at - %(age)s "
            "where user_id = any(%(users)s::uuid[])",
            {"age": AGE, "users": list(user_ids)},
        )


def refresh(
    frontend: Frontend, provider: Provider, user_ids: Sequence[str], *, renew: bool, check_subscription: bool
) -> Recording:
    """Record the calls of a worker that gets the accounts of these users in one message.

    Their leases are taken beforehand and not counted, because the sweep does that. Raises RuntimeError unless all
    accounts are refreshed.
    """
    from functions.refresh_worker import app  # reads the environment on import

    owner = str(uuid.uuid4())
    claims = []
    with closing(DataApi(frontend.stack["supabase_url"], frontend.stack["supabase_secret_key"])) as data_api:
        repository = RefreshRepository(Rpcs(data_api), utc_now)
        for user_id, account_id, _ in _accounts(frontend, user_ids):
            claimed = repository.claim_one(account_id, user_id=user_id, owner=owner, lease_s=600, deadline=Deadline(30))
            if claimed is None or claimed.state != "claimed":
                raise RuntimeError(f"An account cannot be refreshed: {claimed and claimed.state}")
            claims.append(
                Claim(account_id=account_id, provider=provider, renew=renew, check_subscription=check_subscription)
            )
    event = _sqs_event([ClaimedBatch(owner=owner, claims=tuple(claims)).model_dump_json()])
    app.dependencies()
    with recorded(frontend.stack) as calls, silent():
        answer = app.lambda_handler(event, context())
    if answer["batchItemFailures"] or _count_refreshed(frontend, user_ids, renew=renew) != len(claims):
        raise RuntimeError("Not all accounts were refreshed.")
    return calls


def webhook(stack: Mapping[str, str], body: str) -> dict[str, Any]:
    """Return API Gateway's event for a webhook from Meta with this body."""
    digest = hmac.digest(stack["instagram_app_secret"].encode(), body.encode(), "sha256").hex()
    return {
        "httpMethod": "POST",
        "path": "/api/instagram/webhook",
        "headers": {"X-Hub-Signature-256": f"sha256={digest}", "Host": "example.com"},
        "queryStringParameters": None,
        "requestContext": {"requestId": str(uuid.uuid4()), "path": "/live/api/instagram/webhook"},
        "body": body,
        "isBase64Encoded": False,
    }


def acknowledge(frontend: Frontend, body: str) -> Recording:
    """Record the calls of the function that receives webhooks. Raises RuntimeError unless it returns 200."""
    from functions.webhook import app

    event = webhook(frontend.stack, body)
    app.dependencies().secrets.get()
    with recorded(frontend.stack) as calls, silent():
        answer = app.lambda_handler(event, context())
    if answer["statusCode"] != 200:
        raise RuntimeError(f"A webhook was refused: {answer['statusCode']}")
    return calls


def ingest(frontend: Frontend, bodies: Sequence[str]) -> Recording:
    """Record the calls of a worker that gets these webhooks in one batch. Raises RuntimeError if any fails."""
    from functions.webhook_worker import app

    app.dependencies()
    with recorded(frontend.stack) as calls, silent():
        answer = app.lambda_handler(_sqs_event(bodies), context())
    if answer["batchItemFailures"]:
        raise RuntimeError("Not all webhooks were stored.")
    return calls


def messages(frontend: Frontend, user_id: str, number: int) -> str:
    """Return a webhook with this number of new direct messages to a user's first account."""
    _, _, instagram_id = _accounts(frontend, [user_id])[0]
    now_ms = int(utc_now().timestamp() * 1000)
    talks = [
        {
            "sender": {"id": f"9001{index % 100:02}"},
            "recipient": {"id": instagram_id},
            "timestamp": now_ms + index,
            "message": {"mid": f"bench-{uuid.uuid4().hex}", "text": "Are you open today?"},
        }
        for index in range(number)
    ]
    return json.dumps({"object": "instagram", "entry": [{"id": instagram_id, "time": now_ms, "messaging": talks}]})


def count_events(frontend: Frontend, user_id: str) -> int:
    """Return the number of stored webhook events of a user's accounts."""
    with connect(frontend.stack["database_url"]) as database:
        row = database.execute(
            "select count(*) from webhook_events where business_account_id in "
            "(select id from instagram_business_accounts where user_id = %s)",
            [user_id],
        ).fetchone()
    assert row is not None
    return int(row[0])


def _accounts(frontend: Frontend, user_ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return the user id, row id and Instagram id of each account."""
    with connect(frontend.stack["database_url"]) as database:
        return database.execute(
            "select user_id::text, id::text, instagram_business_id from instagram_business_accounts "
            "where user_id = any(%s::uuid[])",
            [list(user_ids)],
        ).fetchall()


def _count_refreshed(frontend: Frontend, user_ids: Sequence[str], *, renew: bool) -> int:
    done = "last_refreshed_at > now() - interval '1 minute'" if renew else "true"
    with connect(frontend.stack["database_url"]) as database:
        row = database.execute(
            "select count(*) from instagram_credentials as credentials join instagram_business_accounts as account "
            "on account.id = credentials.business_account_id where account.user_id = any(%s::uuid[]) "
            f"and lease_owner is null and {done}",
            [list(user_ids)],
        ).fetchone()
    assert row is not None
    return int(row[0])


def _sqs_event(bodies: Sequence[str]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "r",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q",
                "awsRegion": "us-east-1",
            }
            for body in bodies
        ]
    }
