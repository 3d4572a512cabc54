"""The rules that keep the code findable, checked on the code itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from instagram_connect.storage.schema_contract import CATALOG_FUNCTIONS, CATALOG_RELATIONS
from local.template import section

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "shared" / "instagram_connect"
APPS = sorted((ROOT / "functions").glob("*/app.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))
# Elsewhere, names of tables and RPCs would spread.
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
def test_functions_import_the_package_and_never_each_other(path: Path) -> None:
    assert not [name for name in imported(path) if name.startswith(("functions", "."))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_the_package_imports_neither_functions_nor_tests_nor_the_local_system(path: Path) -> None:
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
def test_tables_and_rpcs_are_named_in_the_storage_modules_only(path: Path) -> None:
    assert not set(string_values(path)) & NAMES


def test_every_function_folder_is_one_lambda_of_the_same_name_and_no_lambda_lacks_one() -> None:
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
def test_every_handler_sends_its_error_reports_before_it_is_frozen(path: Path) -> None:
    (handler,) = [
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "lambda_handler"
    ]

    assert ast.unparse(handler.decorator_list[0]) == "sends_error_reports"


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.parent.name)
def test_a_handler_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 200


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_stays_readable_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300 or path.name in ("errors.py", "schema_catalog.py")
