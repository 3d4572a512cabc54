"""What the code needs of the database: one declaration for the deploy gate, the doctor, the healing and the tests.

`schema_catalog` lists every table, column and function, and is generated from supabase/schemas. This module says which
of them the Data API has to reach.
"""

from collections.abc import Mapping

from instagram_connect.storage.schema_catalog import FUNCTIONS as CATALOG_FUNCTIONS
from instagram_connect.storage.schema_catalog import MIGRATIONS
from instagram_connect.storage.schema_catalog import RELATIONS as CATALOG_RELATIONS

__all__ = [
    "CATALOG_FUNCTIONS",
    "CATALOG_RELATIONS",
    "DESCRIBE_FUNCTION",
    "FUNCTIONS",
    "MIGRATIONS",
    "RELATIONS",
    "RELOAD_FUNCTION",
    "function_behind",
    "rpc_name",
]

# The Data API exposes `public`, where our functions must not take a name that the app may want.
_EXPOSED, _PREFIX = "public.", "instagram_connect_"


def rpc_name(function: str) -> str:
    """The function in `public` through which the Data API calls `instagram_connect.<function>`."""
    return f"{_PREFIX}{function}"


def function_behind(name: str) -> str:
    """The function that one in `public` calls: the inverse of `rpc_name`, with its schema."""
    return f"instagram_connect.{name.removeprefix(_PREFIX)}"


RELOAD_FUNCTION = rpc_name("reload_schema_cache")
DESCRIBE_FUNCTION = rpc_name("describe_schema")

# Relations in `public` with their columns.
RELATIONS: Mapping[str, tuple[str, ...]] = {
    name.removeprefix(_EXPOSED): columns for name, columns in CATALOG_RELATIONS.items() if name.startswith(_EXPOSED)
}
# Functions in `public` with their arguments. Called with null they do nothing and return null, so the Data API can be
# asked whether it knows a function, and whether we may call it, without any effect.
FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    name.removeprefix(_EXPOSED): function.arguments
    for name, function in CATALOG_FUNCTIONS.items()
    if name.startswith(_EXPOSED)
}
