"""The simulator depends on nothing but its own libraries."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "meta_simulator"
# Starlette imports it when it parses a form.
INDIRECT = {"python-multipart"}


def imported_packages() -> set[str]:
    """Return the top-level packages that the simulator imports, without the standard library."""
    return {name for path in PACKAGE.rglob("*.py") for name in _imports(path)} - sys.stdlib_module_names


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} has a relative import"
            yield node.module.split(".")[0]


def test_the_extra_lists_exactly_the_imported_libraries() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["meta-simulator"]
    listed = {re.split(r"[<>=~ ]", requirement)[0] for requirement in extra}

    # An import from elsewhere in this repository fails here too.
    assert imported_packages() - {"meta_simulator"} == listed - INDIRECT
    assert listed >= INDIRECT
