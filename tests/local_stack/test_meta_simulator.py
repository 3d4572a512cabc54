"""`python -m meta_simulator` as a newcomer starts it: a real process, and the first login of its README."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "meta_simulator" / "README.md"


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def banner() -> Iterator[str]:
    """What a running simulator printed at its start; it is stopped after the test."""
    command = [sys.executable, "-m", "meta_simulator", "--port", str(_free_port())]
    environment = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield "".join(next(process.stdout) for _ in range(9))
        finally:
            process.terminate()


def _wait_until_ready(control_api_url: str) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(retries=8), trust_env=False) as client:  # for 13 s at most
        return client.get(f"{control_api_url}/health")


def test_simulator_prints_the_urls_that_health_returns(banner: str) -> None:
    urls = dict(re.findall(r"^  (\w+_url) +(http\S+)$", banner, re.MULTILINE))

    health = _wait_until_ready(urls.pop("control_api_url")).json()

    assert urls == {name: value for name, value in health.items() if name.endswith("_url")}
    assert all(url.startswith("http://127.0.0.1:") for url in urls.values())


def test_first_login_of_the_readme_lists_pages(banner: str) -> None:
    origin = re.findall(r"http://127\.0\.0\.1:\d+", banner)[0]
    _wait_until_ready(f"{origin}/_simulator")
    script = re.findall(r"```sh\n(M=.+?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:4600", origin)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    pages = json.loads(done.stdout)["data"]
    assert [page["instagram_business_account"]["username"] for page in pages] == ["cafe.azul", "estudio_ana"]
