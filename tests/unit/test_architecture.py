"""The layer's packages import downwards only, and ARCHITECTURE.md shows them as they are."""

import ast

import pytest

from tools import architecture
from tools.architecture import DOCUMENT, FLOORS

FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def test_every_package_has_a_floor_and_every_floor_its_packages() -> None:
    assert set(architecture.imports()) == set(FLOOR_OF)


@pytest.mark.parametrize(("room", "targets"), architecture.imports().items())
def test_a_package_imports_from_lower_floors_only(room: str, targets: set[str]) -> None:
    assert [target for target in targets if FLOOR_OF[target] >= FLOOR_OF[room]] == []


def test_the_house_stays_small() -> None:
    assert len(FLOOR_OF) <= 15
    assert len(FLOORS) <= 6


def test_package_inits_import_nothing() -> None:
    """`webhook` would pay for it at each start."""
    for path in architecture.LAYER.rglob("__init__.py"):
        assert not [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
        ]


def test_the_diagram_is_current() -> None:
    text = DOCUMENT.read_text()

    assert architecture.with_diagram(text) == text, "run `make diagram`"
