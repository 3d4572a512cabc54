"""A release is published with its own section of the changelog, or not at all."""

import pytest

from tools.release_notes import ReleaseError, notes

CHANGELOG = """# Changelog

## [Unreleased]

- Not yet.

## [0.2.0] - 2027-01-31

### Added

- A second thing.

## [0.1.0] - 2026-12-24

- The first thing.
"""


@pytest.mark.parametrize(
    ("version", "text"),
    [("0.2.0", "### Added\n\n- A second thing."), ("0.1.0", "- The first thing.")],
)
def test_the_notes_are_the_section_of_the_version(version: str, text: str) -> None:
    assert notes(f"v{version}", CHANGELOG, version) == text


@pytest.mark.parametrize(
    ("tag", "changelog"),
    [
        ("v0.3.0", CHANGELOG),
        ("0.1.0", CHANGELOG),
        ("v0.1.0", "## [0.1.0]\n\n- Without a date."),
        ("v0.1.0", "## [0.1.0] - 2026-12-24\n\n## [0.0.1] - 2026-12-01\n\n- An older thing."),
    ],
)
def test_there_is_no_release_without_its_tag_and_dated_section(tag: str, changelog: str) -> None:
    with pytest.raises(ReleaseError):
        notes(tag, changelog, "0.1.0")
