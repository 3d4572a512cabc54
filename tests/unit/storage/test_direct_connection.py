"""The direct connection goes where the URL says, is encrypted by default, and its errors quote nothing."""

import ssl
from typing import Any

import pg8000.exceptions
import pg8000.native
import pytest

from instagram_connect.storage.direct_connection import Database, DatabaseError

PASSWORD = "p@ss/w:rd#1+%"
URL = "postgresql://postgres.abc:p%40ss%2Fw%3Ard%231%2B%25@aws-0.pooler.example.com:6543/postgres"


class Connections:
    """Stands in for pg8000: records connection arguments and statements."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.ran: list[tuple[str, dict[str, Any]]] = []
        self.closed = 0
        self.refuses_connections: Exception | None = None
        self.refuses_statements: Exception | None = None

    def __call__(self, user: str, **options: Any) -> "Connections":
        self.made.append({"user": user, **options})
        if self.refuses_connections:
            raise self.refuses_connections
        return self

    def run(self, sql: str, **parameters: Any) -> list[list[Any]]:
        self.ran.append((sql, parameters))
        if self.refuses_statements:
            raise self.refuses_statements
        return []

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> Connections:
    connections = Connections()
    monkeypatch.setattr(pg8000.native, "Connection", connections)
    return connections


def made_for(postgres: Connections, url: str) -> dict[str, Any]:
    with Database(url).connected(3.0):
        pass
    return postgres.made[-1]


def test_url_parts_are_decoded(postgres: Connections) -> None:
    made = made_for(postgres, URL)

    assert (made["user"], made["password"]) == ("postgres.abc", PASSWORD)
    assert (made["host"], made["port"], made["database"]) == ("aws-0.pooler.example.com", 6543, "postgres")


def test_missing_url_parts_have_postgres_defaults(postgres: Connections) -> None:
    made = made_for(postgres, "postgresql://db.example.com")

    assert (made["user"], made["password"]) == ("postgres", None)
    assert (made["host"], made["port"], made["database"]) == ("db.example.com", 5432, "postgres")


def test_every_wait_is_limited(postgres: Connections) -> None:
    assert made_for(postgres, URL)["timeout"] == 3.0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres@localhost/postgres",
        "postgresql://postgres@127.0.0.1:54322/postgres",
        "postgresql://postgres@[::1]:54322/postgres",
        "postgresql://postgres@db.example.com/postgres?sslmode=disable",
    ],
)
def test_unencrypted_only_on_loopback_or_when_requested(postgres: Connections, url: str) -> None:
    assert made_for(postgres, url)["ssl_context"] is None


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"{URL}?sslmode=require",
        f"{URL}?sslmode=prefer",
        "postgresql://postgres@localhost/postgres?sslmode=require",
    ],
)
def test_remote_connection_is_encrypted_without_certificate_verification(postgres: Connections, url: str) -> None:
    context = made_for(postgres, url)["ssl_context"]

    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_certificate_is_verified_when_the_url_asks_for_it(postgres: Connections, mode: str) -> None:
    context = made_for(postgres, f"{URL}?sslmode={mode}")["ssl_context"]

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_reload_advances_the_notification_queue_before_notifying(postgres: Connections) -> None:
    Database(URL).reload_schema_cache(limit_s=1.0)

    (tail, _), (notify, parameters) = postgres.ran
    assert "pg_notification_queue_usage()" in tail
    assert "pg_notify" in notify
    assert list(parameters.values()) == ["pgrst", "reload schema"]
    assert postgres.closed == 1


def test_connection_is_closed_after_a_failed_statement(postgres: Connections) -> None:
    postgres.refuses_statements = pg8000.exceptions.DatabaseError({"C": "42501", "M": "permission denied"})

    with pytest.raises(DatabaseError) as caught:
        Database(URL).reload_schema_cache(limit_s=1.0)

    assert caught.value.code == "42501"
    assert postgres.closed == 1


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (pg8000.exceptions.DatabaseError({"C": "28P01", "M": f"password {PASSWORD} refused"}), "28P01"),
        (pg8000.exceptions.DatabaseError(f"something about {PASSWORD}"), None),
        (pg8000.exceptions.DatabaseError(), None),
        (pg8000.exceptions.InterfaceError("Can't create a connection"), None),
        (TimeoutError("timed out"), None),
        (ConnectionRefusedError(111, "Connection refused"), None),
        (ssl.SSLCertVerificationError("self-signed certificate"), None),
    ],
)
def test_unreachable_database_reports_only_its_code(
    postgres: Connections, refused: Exception, code: str | None
) -> None:
    postgres.refuses_connections = refused

    with pytest.raises(DatabaseError) as caught:
        Database(URL).reload_schema_cache(limit_s=1.0)

    assert caught.value.code == code
    assert PASSWORD not in f"{caught.value} {caught.value!r}"


def test_our_own_exceptions_are_not_reported_as_database_errors(postgres: Connections) -> None:
    postgres.refuses_statements = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        Database(URL).reload_schema_cache(limit_s=1.0)
    assert postgres.closed == 1


def test_repr_has_no_password() -> None:
    database = Database(URL)

    assert "p%40ss" not in f"{database} {database!r}"
    assert PASSWORD not in f"{database} {database!r}"
