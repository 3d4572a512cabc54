"""Which project an operator's command works on."""

import ast
import json
from pathlib import Path

import pytest

from instagram_connect.doctor.project import Project
from operations import project
from operations.project import UsageError, read_project

FOLDER = Path(project.__file__).parent
HOSTED = {"SUPABASE_URL": "https://example.supabase.co", "SUPABASE_SECRET_KEY": "sb_secret_hosted"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder of a running local system."""
    stack = {"supabase_url": "http://local", "supabase_secret_key": "sb_secret_local", "database_url": "postgresql://l"}
    (tmp_path / "stack.json").write_text(json.dumps(stack))
    return tmp_path


def test_without_variables_it_is_the_local_system(home: Path) -> None:
    assert read_project(home, {"SUPABASE_URL": ""}) == Project("http://local", "sb_secret_local", "postgresql://l")


def test_variables_never_mix_with_the_local_system(home: Path) -> None:
    assert read_project(home, HOSTED) == Project("https://example.supabase.co", "sb_secret_hosted", None)


@pytest.mark.parametrize(
    "environment", [{"SUPABASE_URL": "https://a.supabase.co"}, {"SUPABASE_SECRET_KEY": "k"}, {"DATABASE_URL": "p"}]
)
def test_incomplete_variables_are_a_usage_error(home: Path, environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(environment))):
        read_project(home, environment)


def test_a_local_system_that_is_not_running_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="make up"):
        read_project(tmp_path, {})


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_commands_for_production_do_not_import_the_local_system(path: Path) -> None:
    imported = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]

    assert not [name for name in imported if name and name.split(".")[0] == "local"]
