"""Prints a release's section of CHANGELOG.md: `python -m tools.release_notes v0.1.0`.

Fails unless the section has a date and the tag is the version of pyproject.toml. Needs the standard library only, so
that the release workflow can run it without installing anything.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class ReleaseError(Exception):
    """The repository is not ready for this release."""


def notes(tag: str, changelog: str, version: str) -> str:
    """The text under `## [version] - YYYY-MM-DD`. Raises ReleaseError."""
    if tag != f"v{version}":
        raise ReleaseError(f"The tag is {tag}, the version in pyproject.toml is {version}.")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}$"
    found = re.search(rf"{heading}\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD' with a text.")
    return found[1].strip()


def main() -> int:
    """Print the notes, or say on stderr why there are none."""
    if len(sys.argv) != 2:
        sys.stderr.write("Usage: python -m tools.release_notes <tag>\n")
        return 2
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    try:
        sys.stdout.write(notes(sys.argv[1], (ROOT / "CHANGELOG.md").read_text(), version) + "\n")
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
