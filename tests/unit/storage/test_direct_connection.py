"""The direct connection goes where the URL says, encrypted unless told otherwise, and its failures quote nothing."""

import ssl
from typing import Any

import pg8000.exceptions
import pg8000.native
import pytest

from instagram_connect.storage.direct_connection import Database, DatabaseError

PASSWORD = "p@ss/w:rd#1+%"
URL = "postgresql://postgres.abc:p%40ss%2Fw%3Ard%231%2B%25@aws-0.pooler.example.com:6543/postgres"


class Connections:
    """Stands in for pg8000: keeps how connections are made and what is run on them."""

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


def test_the_parts_of_the_url_are_decoded(postgres: Connections) -> None:
    made = made_for(postgres, URL)

    assert (made["user"], made["password"]) == ("postgres.abc", PASSWORD)
    assert (made["host"], made["port"], made["database"]) == ("aws-0.pooler.example.com", 6543, "postgres")


def test_what_the_url_leaves_out_is_what_postgres_assumes(postgres: Connections) -> None:
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
def test_only_this_machine_or_an_explicit_wish_goes_unencrypted(postgres: Connections, url: str) -> None:
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
def test_another_machine_is_spoken_to_encrypted_without_asking_who_signed(postgres: Connections, url: str) -> None:
    context = made_for(postgres, url)["ssl_context"]

    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_verification_is_done_when_the_url_asks_for_it(postgres: Connections, mode: str) -> None:
    context = made_for(postgres, f"{URL}?sslmode={mode}")["ssl_context"]

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_reload_moves_the_tail_of_the_notification_queue_before_it_notifies(postgres: Connections) -> None:
    Database(URL).reload_schema_cache(limit_s=1.0)

    (tail, _), (notify, parameters) = postgres.ran
    assert "pg_notification_queue_usage()" in tail
    assert "pg_notify" in notify
    assert list(parameters.values()) == ["pgrst", "reload schema"]
    assert postgres.closed == 1


def test_a_connection_is_closed_although_a_statement_failed(postgres: Connections) -> None:
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
def test_a_database_that_cannot_be_reached_says_its_code_if_any_and_nothing_more(
    postgres: Connections, refused: Exception, code: str | None
) -> None:
    postgres.refuses_connections = refused

    with pytest.raises(DatabaseError) as caught:
        Database(URL).reload_schema_cache(limit_s=1.0)

    assert caught.value.code == code
    assert PASSWORD not in f"{caught.value} {caught.value!r}"


def test_a_defect_of_ours_is_not_taken_for_one_of_the_database(postgres: Connections) -> None:
    postgres.refuses_statements = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        Database(URL).reload_schema_cache(limit_s=1.0)
    assert postgres.closed == 1


def test_the_password_is_not_in_what_a_database_looks_like() -> None:
    database = Database(URL)

    assert "p%40ss" not in f"{database} {database!r}"
    assert PASSWORD not in f"{database} {database!r}"
