"""Facts about the schema contract from PostgreSQL's catalogs.

They come through the Data API, from describe_schema(), or over a direct connection, which needs no function and sees
more. Only catalogs and the names of applied migrations are read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from instagram_connect.doctor.catalog_queries import FACTS_SQL, HISTORY_SQL, SURROUNDINGS_SQL
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.direct_connection import Database
from instagram_connect.storage.schema_contract import CATALOG_FUNCTIONS, CATALOG_RELATIONS, DESCRIBE_FUNCTION

CONTRACT: Mapping[str, Any] = {
    "relations": CATALOG_RELATIONS,
    "functions": {name: {"arguments": each.arguments, "body": each.body} for name, each in CATALOG_FUNCTIONS.items()},
}


@dataclass(frozen=True)
class MissingFunction:
    """A missing function of the contract, its arguments, and those of existing functions with its name."""

    name: str
    arguments: tuple[str, ...]
    existing: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return signature(self.name, self.arguments)


@dataclass(frozen=True)
class MissingGrant:
    """Privileges that service_role lacks on an object, spelled as in a GRANT."""

    object: str
    privileges: tuple[str, ...]

    @property
    def statement(self) -> str:
        """The statement that grants them."""
        return f"grant {', '.join(self.privileges)} on {self.object} to service_role;"


@dataclass(frozen=True)
class Facts:
    """The facts about one database.

    `started_at` is its server's start in Unix seconds; with the name it identifies the database. `read_only_source` is
    where default_transaction_read_only comes from, as in pg_settings.source. Names are qualified by their schema;
    `changed_functions` exist with another body than the code was written for.
    """

    name: str
    started_at: float
    is_in_recovery: bool
    is_read_only: bool
    read_only_source: str
    bypasses_row_security: bool
    protected_relations: tuple[str, ...]
    missing_relations: tuple[str, ...]
    missing_columns: tuple[str, ...]
    missing_functions: tuple[MissingFunction, ...]
    changed_functions: tuple[str, ...]
    missing_grants: tuple[MissingGrant, ...]
    event_triggers: Mapping[str, bool]

    @property
    def is_complete(self) -> bool:
        """Whether every relation, column and function of the contract exists."""
        return not (self.missing_relations or self.missing_columns or self.missing_functions)

    def is_same_database(self, other: "Facts") -> bool:
        """Whether both are about the same database on the same server."""
        return (self.name, self.started_at) == (other.name, other.started_at)


@dataclass(frozen=True)
class Surroundings:
    """The surroundings of the schema, seen over a direct connection.

    `listeners` are the application names of sessions that listen for reloads, None if they cannot be seen;
    `exposed_schemas` and `statement_timeout` are set on PostgREST's role, None if not; `recorded` are the applied
    migrations' versions, None without a history.
    """

    listeners: tuple[str, ...] | None
    data_api_sessions: int
    exposed_schemas: str | None
    absent_schemas: tuple[str, ...]
    statement_timeout: str | None
    recorded: frozenset[str] | None


def facts_through(data_api: DataApi, *, limit_s: float) -> Facts:
    """Facts about the database behind the Data API. Raises DataApiError."""
    return _facts(data_api.call(DESCRIBE_FUNCTION, {"payload": CONTRACT}, limit_s=limit_s))


def facts_of(database: Database, *, limit_s: float) -> tuple[Facts, Surroundings]:
    """Facts about the database of the direct connection. Raises DatabaseError."""
    with database.connected(limit_s) as connection:
        ((described,),) = connection.run(FACTS_SQL, contract=json.dumps(CONTRACT))
        ((around,),) = connection.run(SURROUNDINGS_SQL)
        has_history = around.pop("has_history")
        if around.pop("hides_sessions") and not around["listeners"]:
            around["listeners"] = None
        recorded = frozenset(version for (version,) in connection.run(HISTORY_SQL)) if has_history else None
    around = {name: tuple(value) if isinstance(value, list) else value for name, value in around.items()}
    return _facts(described), Surroundings(**around, recorded=recorded)


def signature(function: str, arguments: tuple[str, ...]) -> str:
    """A function as reports name it."""
    return f"{function}({', '.join(arguments)})"


def _facts(answer: Mapping[str, Any]) -> Facts:
    functions = tuple(
        MissingFunction(item["name"], tuple(item["arguments"]), tuple(map(tuple, item["existing"])))
        for item in answer["missing_functions"]
    )
    return Facts(
        name=answer["database"]["name"],
        started_at=float(answer["database"]["started_at"]),
        is_in_recovery=answer["is_in_recovery"],
        is_read_only=answer["is_read_only"],
        read_only_source=answer["read_only_source"],
        bypasses_row_security=bool(answer["bypasses_row_security"]),
        protected_relations=tuple(answer["protected_relations"]),
        missing_relations=tuple(answer["missing_relations"]),
        missing_columns=tuple(answer["missing_columns"]),
        missing_functions=functions,
        # A describe_schema() that does not report them is itself of an older version.
        changed_functions=tuple(answer.get("changed_functions", ["instagram_connect.describe_schema"])),
        missing_grants=tuple(
            MissingGrant(item["object"], tuple(item["privileges"])) for item in answer["missing_grants"]
        ),
        event_triggers=answer["event_triggers"],
    )
