"""The web page's server and its build."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from local import install, web
from local.errors import LocalSystemError

Get = Callable[[str], httpx.Response]


@pytest.fixture
def get(tmp_path: Path) -> Get:
    files = tmp_path / "files"
    (files / "assets").mkdir(parents=True)
    (files / "index.html").write_text("<title>page</title>")
    (files / "assets" / "app-1a2b3c.js").write_text("start()")
    (files / "assets" / "app-1a2b3c.css").write_text("p {}")
    (tmp_path / "secret.txt").write_text("not for the web")
    (files / "link.txt").symlink_to(tmp_path / "secret.txt")
    page = web.application({"supabaseUrl": "http://supabase", "stackFile": str(tmp_path / "stack.json")}, files)

    async def ask(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://web") as client:
            return await client.get(path)

    return lambda path: asyncio.run(ask(path))


@pytest.mark.parametrize("path", ["/", "/callback", "/callback?code=a.b", "/accounts/1"])
def test_page_is_served_for_its_paths_and_revalidated_each_time(get: Get, path: str) -> None:
    answer = get(path)

    assert "<title>page</title>" in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "media_type"), [("/assets/app-1a2b3c.js", "text/javascript"), ("/assets/app-1a2b3c.css", "text/css")]
)
def test_asset_has_its_type_and_is_cached_permanently(get: Get, path: str, media_type: str) -> None:
    answer = get(path)

    assert answer.headers["content-type"].split(";")[0] == media_type
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["/assets/app-old.js", "/favicon.ico", "/%00.js", "/" + "x" * 5000 + ".js"])
def test_missing_file_is_not_found(get: Get, path: str) -> None:
    assert get(path).status_code == 404


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/link.txt"])
def test_nothing_outside_the_folder_is_served(get: Get, path: str) -> None:
    answer = get(path)

    assert answer.status_code == 404
    assert "not for the web" not in answer.text


def test_configuration_follows_the_deployment(get: Get, tmp_path: Path) -> None:
    before = get("/config.json").json()
    (tmp_path / "stack.json").write_text('{"api_url": "http://api", "supabase_secret_key": "sb_secret_x"}')
    after = get("/config.json").json()

    assert before == {"supabaseUrl": "http://supabase", "apiUrl": None}
    assert after == {"supabaseUrl": "http://supabase", "apiUrl": "http://api"}


def program(folder: Path, script: str) -> Path:
    """Create an executable that is run in place of Node."""
    path = folder / "node"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def runtime() -> Path:
    found = install.node()
    assert found is not None
    return found


def test_page_is_built_once_for_the_same_sources(tmp_path: Path, runtime: Path) -> None:
    files = web.built(tmp_path, runtime)
    first = {path: path.stat().st_mtime_ns for path in files.rglob("*")}

    web.built(tmp_path, runtime)

    assert {path: path.stat().st_mtime_ns for path in files.rglob("*")} == first
    assert "/assets/" in (files / "index.html").read_text()


def test_page_is_built_again_after_a_source_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, builds = tmp_path / "page", tmp_path / "builds"
    (page / "src").mkdir(parents=True)
    (page / "src" / "main.tsx").write_text("one")
    monkeypatch.setattr(web, "WEB", page)
    tool = program(tmp_path, f"echo built >> {builds}; mkdir -p {tmp_path}/web")

    web.built(tmp_path, tool)
    web.built(tmp_path, tool)
    (page / "src" / "main.tsx").write_text("two")
    web.built(tmp_path, tool)

    assert builds.read_text().splitlines() == ["built", "built"]


def test_failed_build_shows_the_output_of_the_tool(tmp_path: Path) -> None:
    tool = program(tmp_path, "echo 'src/App.tsx: unexpected token'; exit 1")

    with pytest.raises(LocalSystemError, match="unexpected token"):
        web.built(tmp_path, tool)


def test_lock_file_names_no_registry() -> None:
    lock = (install.WEB / "package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert '"integrity"' in lock
