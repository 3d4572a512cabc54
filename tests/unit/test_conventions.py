"""Rules that keep the code easy to navigate, checked on the code itself."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from instagram_connect.storage.schema_contract import CATALOG_FUNCTIONS, CATALOG_RELATIONS
from local.template import section

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "shared" / "instagram_connect"
APPS = sorted((ROOT / "functions").glob("*/app.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
TESTS = ROOT / "tests"
TEST_MODULES = sorted(TESTS.rglob("*.py"))
SUITES = {"unit", "integration", "local_stack", "e2e", "faults"}
# Nowhere else may tables and RPCs be named.
NAMES = {name.rpartition(".")[2] for name in (*CATALOG_RELATIONS, *CATALOG_FUNCTIONS)}
MAY_NAME_TABLES = {"repository.py", "schema_catalog.py", "schema_contract.py", "schema_cache.py"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def string_values(path: Path) -> Iterator[str]:
    """String constants that are not docstrings."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_functions_never_import_each_other(path: Path) -> None:
    assert not [name for name in imported(path) if name.startswith(("functions", "."))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_package_does_not_import_functions_tests_or_tools(path: Path) -> None:
    assert not [
        name
        for name in imported(path)
        if name.split(".")[0] in ("functions", "tests", "local", "meta_simulator", "operations", "tools")
    ]


def test_errors_import_the_standard_library_only() -> None:
    assert set(imported(PACKAGE / "errors.py")) == {"collections.abc", "enum", "http", "typing"}


@pytest.mark.parametrize(
    "path", [path for path in [*MODULES, *APPS] if path.name not in MAY_NAME_TABLES], ids=lambda path: path.name
)
def test_tables_and_rpcs_are_named_only_in_storage_modules(path: Path) -> None:
    assert not set(string_values(path)) & NAMES


def test_function_folders_match_the_lambdas() -> None:
    lambdas = {
        name: resource["Properties"]
        for name, resource in section("Resources").items()
        if resource["Type"] == "AWS::Serverless::Function"
    }

    expected = {"".join(word.title() for word in app.parent.name.split("_")) + "Function": app for app in APPS}
    assert set(lambdas) == set(expected)
    for name, app in expected.items():
        assert lambdas[name]["CodeUri"] == f"functions/{app.parent.name}"
        assert lambdas[name]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == app.parent.name
        assert (app.parent / "requirements.txt").exists()


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_handlers_send_error_reports(path: Path) -> None:
    (handler,) = [
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "lambda_handler"
    ]

    assert ast.unparse(handler.decorator_list[0]) == "sends_error_reports"


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_handlers_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 200


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300 or path.name in ("errors.py", "schema_catalog.py")


@pytest.mark.parametrize("path", TEST_MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_test_modules_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 600


@pytest.mark.parametrize("path", TEST_MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_nothing_is_imported_from_a_conftest_or_a_test_module(path: Path) -> None:
    """Shared helpers live in tests/support."""
    parts = {part for name in imported(path) for part in name.split(".")}

    assert not [part for part in parts if part == "conftest" or part.startswith("test_")]


def test_every_test_lies_in_a_marked_suite() -> None:
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]

    assert {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")} == SUITES
    assert {marker.split(":")[0] for marker in markers} == SUITES


def test_unit_tests_mirror_the_packages() -> None:
    folders = {path.relative_to(TESTS / "unit").parts[0] for path in (TESTS / "unit").glob("*/**/test_*.py")}

    assert folders == PACKAGES | {"functions", "meta_simulator", "operations", "tools"}
