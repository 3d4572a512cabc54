"""The server of the web page."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from local import web

Get = Callable[[str], httpx.Response]


@pytest.fixture
def get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Get:
    pages = tmp_path / "web"
    pages.mkdir()
    (pages / "index.html").write_text("<title>page</title>")
    (pages / "app.js").write_text("start()")
    (tmp_path / "secret.txt").write_text("not for the web")
    monkeypatch.setattr(web, "_PAGES", pages)
    page = web.application({"supabaseUrl": "http://supabase", "stackFile": str(tmp_path / "stack.json")})

    async def ask(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://web") as client:
            return await client.get(path)

    return lambda path: asyncio.run(ask(path))


@pytest.mark.parametrize("path", ["/", "/callback", "/accounts/1"])
def test_a_path_of_the_page_is_the_page(get: Get, path: str) -> None:
    assert "<title>page</title>" in get(path).text


def test_a_file_is_served_and_a_missing_one_is_404(get: Get) -> None:
    assert get("/app.js").text == "start()"
    assert get("/missing.js").status_code == 404


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"])
def test_nothing_outside_the_folder_is_served(get: Get, path: str) -> None:
    answer = get(path)

    assert "not for the web" not in answer.text


def test_the_configuration_follows_the_deployment(get: Get, tmp_path: Path) -> None:
    before = get("/config.json").json()
    (tmp_path / "stack.json").write_text('{"api_url": "http://api", "supabase_secret_key": "sb_secret_x"}')
    after = get("/config.json").json()

    assert before == {"supabaseUrl": "http://supabase", "apiUrl": None}
    assert after == {"supabaseUrl": "http://supabase", "apiUrl": "http://api"}
