"""How `make up` reads its environment; nothing is started."""

from pathlib import Path

import pytest

from local.errors import LocalSystemError
from local.settings import Keys, Settings


def test_defaults_point_at_this_machine(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {})

    assert settings.supabase_url == "http://127.0.0.1:8401"
    assert settings.meta.facebook_graph == "http://127.0.0.1:8404/graph.facebook.com"
    assert settings.oauth_redirect_uris == "http://127.0.0.1:8400/callback"
    assert settings.data_api == "lite"


def test_port_base_moves_every_address(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {"LOCAL_PORT_BASE": "9000"})

    assert settings.web_url == "http://127.0.0.1:9000"
    assert settings.database_url.endswith("@127.0.0.1:9002/postgres")
    assert settings.meta.instagram_api.startswith("http://127.0.0.1:9004/")


def test_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert Settings.load(tmp_path, {"FACEBOOK_APP_ID": ""}) == Settings.load(tmp_path, {})


@pytest.mark.parametrize(
    "environment", [{"DATA_API": "graphql"}, {"LOCAL_PORT_BASE": "many"}, {"LOCAL_PORT_BASE": "80"}]
)
def test_invalid_value_is_refused_with_its_name(tmp_path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(LocalSystemError, match=next(iter(environment))):
        Settings.load(tmp_path, environment)


def test_keys_are_saved_and_differ_between_homes(tmp_path: Path) -> None:
    first = Keys.of_home(tmp_path / "one")

    assert Keys.of_home(tmp_path / "one") == first
    assert Keys.of_home(tmp_path / "two").supabase_secret_key != first.supabase_secret_key


def test_keys_are_private_and_not_in_the_repr(tmp_path: Path) -> None:
    keys = Keys.of_home(tmp_path)

    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert keys.supabase_secret_key not in repr(Settings.load(tmp_path, {}))
