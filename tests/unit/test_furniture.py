"""What stands around the code: workflows, the license, and documents whose links lead somewhere."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What is installed and built is in folders that begin with a dot, or in node_modules.
NOT_OURS = re.compile(r"(^|/)(\.(?!github/)[^/]*|node_modules)/")
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not NOT_OURS.search(path.relative_to(ROOT).as_posix()))
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCUMENTS if path.is_relative_to(DOCS))

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
ANCHOR = re.compile(r'<a id="([^"]+)">')


def prose(path: Path) -> str:
    """A document without its code blocks."""
    return FENCE.sub("", path.read_text())


def links(path: Path) -> list[str]:
    """Links to files and headings of the repository."""
    return [target for target in LINK.findall(prose(path)) if ":" not in target]


def anchors(path: Path) -> set[str]:
    """What a link to this document may have after its `#`: headings as GitHub names them, and explicit ids."""
    headings = (re.sub(r"\]\([^)]*\)", "]", heading) for heading in HEADING.findall(prose(path)))
    slugs = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
    return {*slugs, *ANCHOR.findall(path.read_text())}


def leads_somewhere(link: str, document: Path) -> bool:
    name, _, anchor = unquote(link).partition("#")
    target = (document.parent / name).resolve() if name else document
    return target.exists() and (not anchor or target.suffix != ".md" or anchor in anchors(target))


def actions(node: Any) -> list[str]:
    """Every `uses` of a workflow."""
    if isinstance(node, list):
        return [action for entry in node for action in actions(entry)]
    if isinstance(node, dict):
        own = [node["uses"]] if "uses" in node else []
        return own + [action for entry in node.values() for action in actions(entry)]
    return []


def test_there_are_workflows_and_documents() -> None:
    assert {path.name for path in WORKFLOWS} == {"ci.yml", "release.yml"}
    assert ROOT / "docs" / "README.md" in DOCUMENTS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pins_every_action_by_its_commit(path: Path) -> None:
    used = actions(yaml.safe_load(path.read_text()))

    assert used
    assert not [action for action in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    assert not [link for link in links(path) if not leads_somewhere(link, path)]


@pytest.mark.parametrize("page", [page for page in PAGES if page != "README.md"])
def test_every_page_is_listed_in_the_index(page: str) -> None:
    assert page in {link.partition("#")[0] for link in links(DOCS / "README.md")}


def test_the_license_is_there_and_names_itself() -> None:
    assert "MIT" in (ROOT / "LICENSE").read_text()
