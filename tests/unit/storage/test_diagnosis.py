"""The meaning of the Data API's responses. Codes from PostgREST's and Postgres's error references."""

import httpx
import pytest

from instagram_connect.storage.data_api import DataApiError
from instagram_connect.storage.diagnosis import Diagnosis, diagnose, storage_error
from tests.support.fakes import data_api

# The remedy for a cause: reloading the schema cache, waiting, or neither.
RELOAD, WAITING, NEITHER = "a reload", "waiting", "neither"


def what_helps(diagnosis: Diagnosis) -> str:
    if diagnosis.reload_helps:
        return RELOAD
    return WAITING if diagnosis.waiting_helps else NEITHER


# Every code that PostgREST gives, up to version 16, with its HTTP status.
POSTGREST = [
    ("PGRST000", 503, "DATABASE_UNAVAILABLE", WAITING),
    ("PGRST001", 503, "DATABASE_UNAVAILABLE", WAITING),
    ("PGRST002", 503, "SCHEMA_CACHE_EMPTY", RELOAD),
    ("PGRST003", 504, "DATABASE_BUSY", WAITING),
    ("PGRST100", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST101", 405, "REQUEST_REJECTED", NEITHER),
    ("PGRST102", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST103", 416, "REQUEST_REJECTED", NEITHER),
    ("PGRST105", 405, "REQUEST_REJECTED", NEITHER),
    ("PGRST106", 406, "SCHEMA_NOT_EXPOSED", NEITHER),
    ("PGRST107", 406, "REQUEST_REJECTED", NEITHER),
    ("PGRST108", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST111", 500, "REQUEST_REJECTED", NEITHER),
    ("PGRST112", 500, "REQUEST_REJECTED", NEITHER),
    ("PGRST114", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST115", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST116", 406, "REQUEST_REJECTED", NEITHER),
    ("PGRST117", 405, "REQUEST_REJECTED", NEITHER),
    ("PGRST118", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST120", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST121", 500, "REQUEST_REJECTED", NEITHER),
    ("PGRST122", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST123", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST124", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST125", 404, "REQUEST_REJECTED", NEITHER),
    ("PGRST126", 404, "REQUEST_REJECTED", NEITHER),
    ("PGRST127", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST128", 400, "REQUEST_REJECTED", NEITHER),
    ("PGRST200", 400, "SCHEMA_CACHE_STALE", RELOAD),
    ("PGRST201", 300, "REQUEST_REJECTED", NEITHER),
    ("PGRST202", 404, "SCHEMA_CACHE_STALE", RELOAD),
    ("PGRST203", 300, "REQUEST_REJECTED", NEITHER),
    ("PGRST204", 400, "SCHEMA_CACHE_STALE", RELOAD),
    ("PGRST205", 404, "SCHEMA_CACHE_STALE", RELOAD),
    ("PGRST300", 500, "DATA_API_MISCONFIGURED", NEITHER),
    ("PGRST301", 401, "KEY_REJECTED", NEITHER),
    ("PGRST302", 401, "KEY_REJECTED", NEITHER),
    ("PGRST303", 401, "KEY_REJECTED", NEITHER),
    ("PGRSTX00", 500, "DATABASE_FAILED", WAITING),
    ("PGRST999", 400, "UNEXPECTED_ANSWER", NEITHER),
]
# Every class or code of Postgres's that PostgREST treats in its own way, with the status that it gives it.
POSTGRES = [
    ("08000", 503, "DATABASE_UNAVAILABLE", WAITING),
    ("08006", 503, "DATABASE_UNAVAILABLE", WAITING),
    ("09000", 500, "DATABASE_DEFECT", NEITHER),
    ("0A000", 400, "SCHEMA_CHANGING", RELOAD),
    ("0L000", 403, "PERMISSION_DENIED", NEITHER),
    ("0P000", 403, "PERMISSION_DENIED", NEITHER),
    ("21000", 500, "REQUEST_REJECTED", NEITHER),
    ("21000", 400, "REQUEST_REJECTED", NEITHER),
    ("22001", 400, "DATA_REJECTED", NEITHER),
    ("22023", 400, "DATA_REJECTED", NEITHER),
    ("22023", 401, "KEY_REJECTED", NEITHER),  # the role in the key does not exist
    ("22P02", 400, "DATA_REJECTED", NEITHER),
    ("23502", 400, "DATA_REJECTED", NEITHER),
    ("23503", 409, "OWNER_MISSING", NEITHER),
    ("23505", 409, "DATA_REJECTED", NEITHER),
    ("23514", 400, "DATA_REJECTED", NEITHER),
    ("23P01", 400, "DATA_REJECTED", NEITHER),
    ("25006", 405, "DATABASE_READ_ONLY", NEITHER),
    ("25P02", 500, "DATABASE_DEFECT", NEITHER),
    ("28000", 403, "PERMISSION_DENIED", NEITHER),
    ("28P01", 403, "PERMISSION_DENIED", NEITHER),
    ("2D000", 500, "DATABASE_DEFECT", NEITHER),
    ("38000", 500, "DATABASE_DEFECT", NEITHER),
    ("39000", 500, "DATABASE_DEFECT", NEITHER),
    ("3B000", 500, "DATABASE_DEFECT", NEITHER),
    ("3F000", 400, "SCHEMA_DEFECT", NEITHER),
    ("40001", 500, "DATABASE_BUSY", WAITING),
    ("40P01", 500, "DATABASE_BUSY", WAITING),
    ("42501", 403, "PERMISSION_DENIED", NEITHER),
    ("42501", 401, "PERMISSION_DENIED", NEITHER),
    ("42601", 400, "SCHEMA_DEFECT", NEITHER),
    ("42703", 400, "COLUMN_MISSING", NEITHER),
    ("42804", 400, "SCHEMA_DEFECT", NEITHER),
    ("42883", 404, "FUNCTION_MISSING", NEITHER),
    ("42P01", 404, "TABLE_MISSING", NEITHER),
    ("42P10", 400, "SCHEMA_DEFECT", NEITHER),
    ("42P17", 500, "SCHEMA_DEFECT", NEITHER),
    ("53100", 503, "DATABASE_BUSY", WAITING),
    ("53300", 503, "DATABASE_BUSY", WAITING),
    ("53400", 500, "DATABASE_BUSY", WAITING),
    ("54000", 500, "DATABASE_DEFECT", NEITHER),
    ("55P03", 500, "DATABASE_BUSY", WAITING),
    ("57014", 500, "DATABASE_BUSY", WAITING),
    ("57P01", 503, "DATABASE_UNAVAILABLE", WAITING),
    ("57P03", 500, "DATABASE_UNAVAILABLE", WAITING),
    ("58030", 500, "DATABASE_FAILED", WAITING),
    ("F0000", 500, "DATABASE_DEFECT", NEITHER),
    ("HV000", 500, "DATABASE_DEFECT", NEITHER),
    ("P0001", 400, "DATA_REJECTED", NEITHER),
    ("P0002", 500, "DATA_REJECTED", NEITHER),
    ("PT418", 418, "DATA_REJECTED", NEITHER),
    ("XX000", 500, "DATABASE_FAILED", WAITING),
    ("44000", 400, "UNEXPECTED_ANSWER", NEITHER),
]
PAGE = "<html><body>Not the Data API</body></html>"
# Answers without a code: a gateway's, another server's, or PostgREST 12's about what its cache does not know.
WITHOUT_CODE = [
    (httpx.Response(401), "KEY_REJECTED", NEITHER),
    (httpx.Response(401, json={}), "KEY_REJECTED", NEITHER),
    (httpx.Response(401, json={"message": "Invalid API key", "hint": "h"}), "KEY_REJECTED", NEITHER),
    (httpx.Response(402), "PROJECT_RESTRICTED", NEITHER),
    (httpx.Response(402, json={}), "PROJECT_RESTRICTED", NEITHER),
    (httpx.Response(403), "KEY_REJECTED", NEITHER),
    (httpx.Response(403, json={}), "KEY_REJECTED", NEITHER),
    (httpx.Response(404), "SCHEMA_CACHE_STALE", RELOAD),
    (httpx.Response(404, json={}), "SCHEMA_CACHE_STALE", RELOAD),
    (httpx.Response(404, html=PAGE), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(404, json={"message": "no Route matched"}), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(400), "UNEXPECTED_ANSWER", NEITHER),
    (httpx.Response(302, headers={"Location": "/login"}), "UNEXPECTED_ANSWER", NEITHER),
    (httpx.Response(429), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(429, json={"message": "API rate limit exceeded"}), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(500, html=PAGE), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(502, html=PAGE), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(503), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(503, json={"message": "no healthy upstream"}), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(504, html=PAGE), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(522, html=PAGE), "DATA_API_UNREACHABLE", WAITING),
    (httpx.Response(540, json={"message": "Project paused"}), "DATA_API_UNREACHABLE", WAITING),
]


@pytest.mark.parametrize(("code", "status", "reason", "helps"), POSTGREST + POSTGRES)
def test_each_code_has_its_cause_and_remedy(code: str, status: int, reason: str, helps: str) -> None:
    diagnosis = diagnose(DataApiError(code=code, status=status))

    assert (diagnosis.reason, what_helps(diagnosis)) == (reason, helps)


@pytest.mark.parametrize(("answer", "reason", "helps"), WITHOUT_CODE)
def test_response_without_a_code_is_diagnosed_by_its_status(answer: httpx.Response, reason: str, helps: str) -> None:
    with pytest.raises(DataApiError) as caught:
        data_api(lambda _: answer).call("list_accounts", {"payload": None})

    diagnosis = diagnose(caught.value)
    assert caught.value.code is None
    assert (diagnosis.reason, what_helps(diagnosis)) == (reason, helps)


@pytest.mark.parametrize("network", ["DNS", "TLS", "TIMEOUT", "REFUSED", "BROKEN"])
def test_network_failure_means_data_api_unreachable(network: str) -> None:
    diagnosis = diagnose(DataApiError(network=network))

    assert (diagnosis.reason, what_helps(diagnosis)) == ("DATA_API_UNREACHABLE", WAITING)


@pytest.mark.parametrize(
    ("code", "actor"),
    [("40001", "nobody"), ("PGRST000", "nobody"), ("PGRST205", "operator"), ("42501", "operator"), ("23503", "user")],
)
def test_each_cause_names_who_must_act(code: str, actor: str) -> None:
    assert diagnose(DataApiError(code=code)).actor == actor


def test_storage_error_has_its_cause_and_operator_details() -> None:
    hint = "Perhaps you meant public.instagram_credentials"

    error = storage_error(DataApiError(code="PGRST205", status=404, hint=hint), "instagram_business_accounts", "Why.")

    assert (error.reason, error.actor, error.recoverable) == ("SCHEMA_CACHE_STALE", "operator", True)
    assert error.details == "Why."
    assert error.log_context == {
        "storage_operation": "instagram_business_accounts",
        "storage_code": "PGRST205",
        "storage_status": 404,
        "storage_hint": hint,
        "remedy": diagnose(DataApiError(code="PGRST205")).remedy,
    }


def test_network_failure_is_logged_by_kind() -> None:
    error = storage_error(DataApiError(network="DNS"), "store_connection")

    assert error.log_context["storage_code"] == "DNS"
    assert "storage_status" not in error.log_context


def test_database_text_does_not_leave_the_module() -> None:
    row = "Failing row contains (EAAtoken, anna@example.com)"
    answer = httpx.Response(400, json={"code": "23502", "details": row, "message": row, "hint": row})

    with pytest.raises(DataApiError) as caught:
        data_api(lambda _: answer).call("store_connection", {"payload": None})
    error = storage_error(caught.value, "store_connection")

    assert "EAA" not in f"{error!r} {error} {error.details} {error.log_context}"
    assert (error.log_context["storage_code"], error.log_context["storage_status"]) == ("23502", 400)
