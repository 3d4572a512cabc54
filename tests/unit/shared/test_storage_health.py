"""What the Data API's answers mean. Codes from PostgREST's and Postgres's error references."""

import httpx
import pytest
from postgrest import APIError, SyncPostgrestClient

from instagram_connect.schema_contract import FUNCTIONS, RELATIONS
from instagram_connect.storage_health import diagnose, storage_error, unknown_to_the_data_api


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("PGRST000", "DATABASE_UNAVAILABLE"),
        ("PGRST002", "SCHEMA_CACHE_EMPTY"),
        ("PGRST003", "DATABASE_UNAVAILABLE"),
        ("PGRST202", "SCHEMA_CACHE_STALE"),
        ("PGRST204", "SCHEMA_CACHE_STALE"),
        ("PGRST205", "SCHEMA_CACHE_STALE"),
        ("PGRST301", "KEY_REJECTED"),
        ("PGRST303", "KEY_REJECTED"),
        ("PGRST116", "UNEXPECTED_ANSWER"),
        ("42501", "PERMISSION_DENIED"),
        ("42P01", "SCHEMA_OBJECT_MISSING"),
        ("42883", "SCHEMA_OBJECT_MISSING"),
        ("23505", "DATA_REJECTED"),
        ("22P02", "DATA_REJECTED"),
        ("08006", "DATABASE_UNAVAILABLE"),
        ("57P01", "DATABASE_UNAVAILABLE"),
        ("404", "SCHEMA_CACHE_STALE"),
        ("401", "KEY_REJECTED"),
        ("502", "DATA_API_UNREACHABLE"),
        ("504", "DATA_API_UNREACHABLE"),
        ("400", "UNEXPECTED_ANSWER"),
        ("XX000", "UNEXPECTED_ANSWER"),
        (503, "DATA_API_UNREACHABLE"),
    ],
)
def test_each_code_has_its_cause(code: str | int | None, reason: str) -> None:
    assert diagnose(APIError({"code": code})).reason == reason


def test_a_network_failure_is_the_data_api_out_of_reach() -> None:
    assert diagnose(httpx.ConnectTimeout("x")).reason == "DATA_API_UNREACHABLE"


def test_the_text_of_the_database_does_not_leave_the_module() -> None:
    row = "Failing row contains (EAAtoken, anna@example.com)"

    error = storage_error(APIError({"code": "23502", "details": row, "message": row, "hint": row}), "store_connection")

    assert "EAA" not in f"{error} {error.details} {error.log_context}"
    assert error.log_context["storage_code"] == "23502"


def answering(answer: httpx.Response, requests: list[httpx.Request]) -> SyncPostgrestClient:
    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(answer.status_code, content=answer.content)

    http = httpx.Client(transport=httpx.MockTransport(handle))
    return SyncPostgrestClient("https://project.example.com/rest/v1", http_client=http, retry_enabled=False)


def test_the_whole_contract_is_asked_for_without_writing_anything() -> None:
    requests: list[httpx.Request] = []

    unknown = unknown_to_the_data_api(answering(httpx.Response(201, json=[]), requests))

    assert unknown == []
    assert len(requests) == len(RELATIONS) + len(FUNCTIONS)
    accounts = next(request for request in requests if request.url.path.endswith("/instagram_business_accounts"))
    assert accounts.url.params["columns"].split(",") == list(RELATIONS["instagram_business_accounts"])
    assert accounts.content == b"[]"
    store = next(request for request in requests if request.url.path.endswith("/rpc/store_connection"))
    assert store.content == b'{"payload":null}'


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(404, json={"code": "PGRST205", "message": "m"}), "SCHEMA_CACHE_STALE (PGRST205)"),
        (httpx.Response(404, json={}), "SCHEMA_CACHE_STALE"),
        (httpx.Response(401, json={"message": "Invalid API key", "hint": "h"}), "KEY_REJECTED"),
        (httpx.Response(503, json={"message": "no healthy upstream"}), "DATA_API_UNREACHABLE"),
        (httpx.Response(503, text="<html>"), "DATA_API_UNREACHABLE"),
        (httpx.Response(404), "SCHEMA_CACHE_STALE (404)"),
        (httpx.Response(403, json={"code": "42501", "message": "m"}), "PERMISSION_DENIED (42501)"),
    ],
)
def test_what_is_refused_is_named_with_its_cause(answer: httpx.Response, said: str) -> None:
    unknown = unknown_to_the_data_api(answering(answer, []))

    assert len(unknown) == len(RELATIONS) + len(FUNCTIONS)
    assert unknown[0].startswith("instagram_business_accounts: ")
    assert said in unknown[0]
