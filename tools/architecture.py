"""Draws which packages of the layer import which, and keeps the drawing in ARCHITECTURE.md current (`make diagram`).

A package imports from lower floors only; tests/unit/test_architecture.py fails for an import that points up or
sideways.
"""

import ast
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYER = ROOT / "layers" / "shared" / "instagram_connect"
DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- made by `make diagram` -->\n", "<!-- end of what `make diagram` makes -->\n"

# From the ground up. A new package gets a place here.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "models"),
    ("runtime",),
    ("api", "meta", "security", "storage"),
    ("connections", "doctor", "outbox", "privacy"),
    ("refresh", "webhooks"),
)


def imports() -> dict[str, set[str]]:
    """Each package or top-level module of the layer, with those that it imports, lazy imports included."""
    found: dict[str, set[str]] = {}
    for path in sorted(LAYER.rglob("*.py")):
        relative = path.relative_to(LAYER).with_suffix("")
        room = relative.parts[0]
        if room == "__init__":
            continue
        targets = found.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("instagram_connect"):
                continue
            parts = (node.module or "").split(".")[1:]
            targets |= {parts[0]} if parts else {alias.name for alias in node.names}
        targets.discard(room)
    return found


def diagram(graph: Mapping[str, set[str]]) -> str:
    """A Mermaid flowchart, one row a floor. An arrow that follows from two others is left out."""
    lines = ["```mermaid", "flowchart TD"]
    for number, floor in reversed(list(enumerate(FLOORS, 1))):
        lines += [f'  subgraph floor{number}["floor {number}"]', *(f"    {room}" for room in floor), "  end"]
    for room in sorted(graph):
        implied = set().union(*(_reachable(graph, target) for target in graph[room]))
        lines += [f"  {room} --> {target}" for target in sorted(graph[room] - implied)]
    return "\n".join([*lines, "```", ""])


def with_diagram(text: str) -> str:
    """The document with a current diagram between the two markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{diagram(imports())}\n{END}{after}"


def _reachable(graph: Mapping[str, set[str]], room: str) -> set[str]:
    found = set(graph[room])
    for target in graph[room]:
        found |= _reachable(graph, target)
    return found


if __name__ == "__main__":
    DOCUMENT.write_text(with_diagram(DOCUMENT.read_text()))
