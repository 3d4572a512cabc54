"""Each function's settings, environment and rights to secrets agree."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import pytest

from instagram_connect.runtime.observability import ReportingSettings
from local.deploy import Deployment
from local.settings import ROOT, Settings
from local.template import section

LAYER = ROOT / "layers" / "shared" / "instagram_connect"
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
# Powertools and pydantic read these themselves.
OF_LIBRARIES = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "PYDANTIC_DISABLE_PLUGINS"}
# Modules of the layer that may touch the environment: the reporting settings, which each function has.
MAY_READ_THE_ENVIRONMENT = {"runtime/observability.py"}
# The keys that a function asks its secrets for, in its app.py or in what it builds.
WEBHOOK_MUST_NOT_READ = {"supabase_secret_key", "database_url", "supabase_jwt_secret", "state_signing_key"}


class Recorder(Mapping[str, str]):
    """An environment that has everything, and keeps which names were read."""

    def __init__(self) -> None:
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return "1"

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("settings are read by name")

    def __len__(self) -> int:
        raise AssertionError("settings are read by name")


def declared(function: str) -> set[str]:
    """The names that a function's settings read."""
    environment = Recorder()
    import_module(f"functions.{function}.app").Settings.from_env(environment)
    ReportingSettings.from_env(environment)
    return environment.read


@cache
def properties(function: str) -> dict[str, Any]:
    logical_id = "".join(word.title() for word in function.split("_")) + "Function"
    found: dict[str, Any] = section("Resources")[logical_id]["Properties"]
    return found


def given(function: str) -> set[str]:
    """The names in a function's environment."""
    everywhere = section("Globals")["Function"]["Environment"]["Variables"]
    return {*everywhere, *properties(function)["Environment"]["Variables"]}


def secrets_of(names: set[str]) -> set[str]:
    return {name.removesuffix("_SECRET_NAME").lower() for name in names if name.endswith("_SECRET_NAME")}


def readable_secrets(function: str) -> set[str]:
    """The secrets that a function's policies let it read."""
    return {
        match[1]
        for policy in properties(function)["Policies"]
        for statement in policy["Statement"]
        if "secretsmanager:GetSecretValue" in statement["Action"]
        for match in [re.search(r"\$\{SecretPrefix\}/(\w+)-\?{6}$", statement["Resource"])]
        if match
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_gets_exactly_the_settings_that_it_declares(function: str) -> None:
    assert given(function) - OF_LIBRARIES == declared(function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_functions_settings_cannot_be_changed(function: str) -> None:
    settings = import_module(f"functions.{function}.app").Settings

    assert settings.__dataclass_params__.frozen


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_read_exactly_the_secrets_that_it_declares(function: str) -> None:
    assert readable_secrets(function) == secrets_of(declared(function))
    for name, value in properties(function)["Environment"]["Variables"].items():
        if name.endswith("_SECRET_NAME"):
            assert value == f"${{SecretPrefix}}/{name.removesuffix('_SECRET_NAME').lower()}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_policy_reads_all_secrets(function: str) -> None:
    resources = [
        statement["Resource"]
        for policy in properties(function)["Policies"]
        for statement in policy["Statement"]
        if any("secretsmanager" in action for action in _listed(statement["Action"]))
        and statement["Action"] != "secretsmanager:DescribeSecret"
    ]

    assert all(resource.endswith("-??????") and "*" not in resource for resource in resources)
    assert len(resources) == len(readable_secrets(function)) > 0


def test_webhook_cannot_read_the_service_key_or_the_database(tmp_path: Any) -> None:
    filled = Deployment(Settings.load(tmp_path, {})).secrets

    keys = {key for secret in readable_secrets("webhook") for key in filled[secret]}

    assert "instagram_app_secret" in keys
    assert not keys & WEBHOOK_MUST_NOT_READ
    assert {"webhook_verify_token"} | WEBHOOK_MUST_NOT_READ <= {key for secret in filled.values() for key in secret}


def test_authorize_cannot_read_the_service_key() -> None:
    assert readable_secrets("authorize") == {"meta", "signing"}


def test_each_secret_key_that_the_code_reads_is_filled_and_documented(tmp_path: Any) -> None:
    filled = {key for secret in Deployment(Settings.load(tmp_path, {})).secrets.values() for key in secret}
    guide = (ROOT / "docs" / "deployment.md").read_text()

    read = {
        str(ast.literal_eval(node.args[0]))
        for path in [*LAYER.rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("required", "optional")
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
    }

    assert len(read) > 5
    assert read <= filled
    assert not [key for key in filled if f"`{key}`" not in guide]


@pytest.mark.parametrize("path", sorted(LAYER.rglob("*.py")), ids=lambda path: path.relative_to(LAYER).as_posix())
def test_the_layer_reads_no_environment_behind_a_functions_back(path: Any) -> None:
    if path.relative_to(LAYER).as_posix() in MAY_READ_THE_ENVIRONMENT:
        return
    names = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}

    assert not names & {"os.environ", "os.getenv"}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
