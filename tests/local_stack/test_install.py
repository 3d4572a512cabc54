"""The installer's stamps: nothing is installed twice, and incomplete parts are installed again."""

from pathlib import Path

import pytest

from local.errors import LocalSystemError
from local.install import Part, is_new_enough


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("one==1")
    return path


def test_part_is_installed_once_until_its_inputs_change(tmp_path: Path, requirements: Path) -> None:
    made: list[str] = []
    part = Part("Part", tmp_path, [requirements], lambda: made.append(requirements.read_text()))

    part.ensure()
    part.ensure()
    requirements.write_text("one==2")
    part.ensure()

    assert made == ["one==1", "one==2"]


def test_failed_part_is_installed_again(tmp_path: Path, requirements: Path) -> None:
    attempts: list[int] = []

    def fail_first() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise LocalSystemError("the registry failed")

    part = Part("Part", tmp_path, [requirements], fail_first)
    with pytest.raises(LocalSystemError):
        part.ensure()

    part.ensure()

    assert len(attempts) == 2


@pytest.mark.parametrize("answer", ["v20.19.0\n", "v20.20.2\n", "v22.12.0\n", "v24.1.0\n"])
def test_suitable_node_is_used(answer: str) -> None:
    assert is_new_enough(answer)


@pytest.mark.parametrize("answer", ["", "v18.20.4\n", "v20.18.3\n", "v21.7.0\n", "v22.11.0\n", "node: not found\n"])
def test_unsuitable_node_is_not_used(answer: str) -> None:
    assert not is_new_enough(answer)
