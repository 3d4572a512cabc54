"""A direct connection to the project's Postgres, if the deployment has its URL, for what the Data API cannot do.

pg8000 is pure Python, so the layer builds for every runtime and architecture. It is loaded on first use: a function
whose Data API works never needs it.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import pg8000.native

CHANNEL = "pgrst"
RELOAD_PAYLOAD = "reload schema"
# The rows of pg_stat_activity for sessions in which PostgREST waits for reloads.
IS_LISTENING = (
    f"datname = current_database() and pid <> pg_backend_pid() and query ~* '^\\s*listen\\s+\"?{CHANNEL}\"?\\s*;?\\s*$'"
)
# On one line, because an operator may have to run it.
END_LISTENERS = f"select pg_terminate_backend(pid) from pg_stat_activity where {IS_LISTENING}"  # noqa: S608 - ours
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


class DatabaseError(Exception):
    """The database could not be reached or refused a statement; `code` is the SQLSTATE, None without an answer."""

    def __init__(self, code: str | None) -> None:
        super().__init__(code or "unreachable")
        self.code = code


class Database:
    """Postgres at `postgresql://user:password@host:port/name`. Each use opens its own connection."""

    def __init__(self, url: str) -> None:
        self._text = url

    def __repr__(self) -> str:
        return "Database(...)"  # the URL holds the password

    def reload_schema_cache(self, *, limit_s: float) -> None:
        """Ask PostgREST to reload the schema, after moving the tail of the notification queue.

        Moving it cures a listener that died over old queue entries (PostgREST issue 3147). Raises DatabaseError.
        """
        with self.connected(limit_s) as connection:
            connection.run("select pg_notification_queue_usage()")
            connection.run("select pg_notify(:channel, :payload)", channel=CHANNEL, payload=RELOAD_PAYLOAD)

    def restart_listener(self, *, limit_s: float) -> None:
        """End the session in which PostgREST listens, so that it opens a new one and reads the schema.

        For a listener that ignores notifications although its session looks alive. Does nothing if no session listens.
        Raises DatabaseError, with code 42501 if the role may not end PostgREST's sessions.
        """
        with self.connected(limit_s) as connection:
            connection.run("select pg_notification_queue_usage()")
            connection.run(END_LISTENERS)

    @contextmanager
    def connected(self, limit_s: float) -> "Iterator[pg8000.native.Connection]":
        """A connection on which every wait ends within the limit. Raises DatabaseError, for its statements too."""
        import pg8000.exceptions
        import pg8000.native

        try:
            url = urlsplit(self._text)  # here, so that an invalid URL fails only its users
            connection = pg8000.native.Connection(
                unquote(url.username or "postgres"),
                host=url.hostname or "localhost",
                port=url.port or 5432,
                database=unquote(url.path.lstrip("/")) or "postgres",
                password=unquote(url.password) if url.password else None,
                timeout=limit_s,
                ssl_context=_ssl_context(url),
                application_name="instagram-connect",
            )
            try:
                yield connection
            finally:
                connection.close()
        except pg8000.exceptions.DatabaseError as error:
            raise DatabaseError(_sqlstate(error)) from None
        except (pg8000.exceptions.Error, OSError) as error:
            raise DatabaseError(None) from error
        except ValueError:
            # Its text may quote the URL, and with it the password.
            raise DatabaseError(None) from None


def _ssl_context(url: SplitResult) -> ssl.SSLContext | None:
    mode = parse_qs(url.query).get("sslmode", [""])[-1]
    if mode == "disable" or (not mode and url.hostname in LOOPBACK_HOSTS):
        return None
    context = ssl.create_default_context()
    if not mode.startswith("verify"):
        # libpq's `require`: encrypted, but Supabase's own certificate authority is not in any list.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _sqlstate(error: Exception) -> str | None:
    fields: Any = error.args[0] if error.args else None
    return fields.get("C") if isinstance(fields, dict) else None
