"""The verbs of the local system: up, down, run and demo.

`up` brings a home folder into the state that the environment asks for. It starts missing services, restarts those that
were started with other settings or other code, and leaves the rest alone.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local import database, demo, ports
from local.deploy import Deployment
from local.errors import LocalSystemError
from local.lock import locked
from local.processes import Processes, end_of
from local.progress import say, step
from local.services import Service, all_services
from local.settings import REGION, ROOT, STACK_NAME, Settings

DEFAULT_HOME = ROOT / ".local"

# Enough for a cold start on a busy machine with two cores.
_READY_SECONDS = 90


def up(
    home: Path, environment: Mapping[str, str], *, only: Collection[str] | None = None, deploy: bool = True
) -> dict[str, str]:
    """Start, repair or reconfigure the system of a home folder; return the content of `stack.json`.

    `only` restricts this to the named services, and then nothing is deployed. Raises `LocalSystemError` if the system
    does not come up.
    """
    with locked(home):
        settings = Settings.load(home, environment)
        wanted = all_services(settings)
        processes = Processes(settings.home)
        if only is None:
            _stop_unwanted(processes, wanted)
        else:
            wanted = [service for service in wanted if service.name in only]
        _start_missing(settings, processes, wanted)
        api_url = _deploy(settings, processes) if deploy and only is None else ""
        stack = _stack(settings, api_url)
        if api_url:
            _register_callbacks(stack)
        _write(settings.home, stack)
        return stack


def down(home: Path, *, wipe: bool = False) -> None:
    """Stop all processes of a home folder; with `wipe`, delete its database, keys and builds too."""
    if not home.exists():
        return
    with locked(home):
        Processes(home.resolve()).stop_all()
        (home / "stack.json").unlink(missing_ok=True)
        if wipe:
            for path in home.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_stack(home: Path) -> dict[str, str]:
    """Return the running system's stack.json."""
    path = home / "stack.json"
    if not path.exists():
        raise LocalSystemError("The local system is not running: run `make up` first.")
    stack: dict[str, str] = json.loads(path.read_text())
    return stack


def forget_database(home: Path) -> None:
    """Make the next `up` start with an empty database. The system must be down."""
    shutil.rmtree(home / "postgres", ignore_errors=True)
    (home / "migrations.json").unlink(missing_ok=True)


def aws_environment(stack: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that point AWS clients at the local AWS."""
    return {
        "AWS_ENDPOINT_URL": stack["aws_endpoint_url"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": stack["aws_region"],
    }


@contextmanager
def guarded(home: Path) -> Iterator[None]:
    """Take a home folder's system down at the end of a with block or of this process, whichever comes first.

    A separate process does it when a pipe from this one closes, so it works even after kill -9.
    """
    reading, writing = os.pipe()
    watchdog = subprocess.Popen(
        [sys.executable, "-m", "local.watchdog", "--home", str(home.resolve())],
        cwd=ROOT,
        stdin=reading,
        start_new_session=True,
    )
    os.close(reading)
    try:
        yield
    finally:
        os.close(writing)
        watchdog.wait()


@contextmanager
def running(
    home: Path,
    environment: Mapping[str, str] | None = None,
    *,
    only: Collection[str] | None = None,
    deploy: bool = True,
) -> Iterator[dict[str, str]]:
    """Run a home folder's system for the duration of a with block.

    The default environment is this process's own, with a free range of ports.
    """
    if environment is None:
        environment = {**os.environ, "LOCAL_PORT_BASE": str(ports.free_base())}
    with guarded(home):
        yield up(home, environment, only=only, deploy=deploy)


def run(home: Path, environment: Mapping[str, str]) -> None:
    """Bring everything up, print the URLs, make one demo connection, and wait for Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with running(home, environment) as stack:
            _show(stack)
            demo.connect(stack)
            say("\nEverything is running. Ctrl-C stops it.")
            _watch(Processes(home.resolve()))
    except KeyboardInterrupt:
        say("\nStopped.")


def _stop_unwanted(processes: Processes, wanted: Collection[Service]) -> None:
    unwanted = processes.records().keys() - {service.name for service in wanted}
    if unwanted:
        processes.stop(unwanted)


def _start_missing(settings: Settings, processes: Processes, wanted: Collection[Service]) -> None:
    missing = [service for service in wanted if not _is_current(processes, service)]
    if missing:
        (settings.home / "stack.json").unlink(missing_ok=True)
        _make_room(processes, missing)
    for service in wanted:
        if service not in missing and not _becomes_ready(processes, service):
            # It was being killed when we looked.
            missing.append(service)
            _make_room(processes, [service])
        if service in missing:
            with step(f"Starting {service.title}"):
                _start(settings, processes, service)
        if service.name == "supabase":
            _migrate(settings, processes)


def _make_room(processes: Processes, services: Collection[Service]) -> None:
    """Stop what is left of these services, and make sure that their ports are free."""
    processes.stop([service.name for service in services])
    ports.refuse_taken({port: use for service in services for port, use in service.ports.items()})


def _is_current(processes: Processes, service: Service) -> bool:
    record = processes.running(service.name)
    return record is not None and record.fingerprint == service.command.fingerprint()


def _start(settings: Settings, processes: Processes, service: Service) -> None:
    if service.name == "postgres":
        database.prepare(settings)
    if service.name == "aws":
        # A killed MiniStack leaves the unpacked code of its functions behind, 70 MB each.
        shutil.rmtree(settings.home / "aws" / "tmp", ignore_errors=True)
        (settings.home / "aws" / "tmp").mkdir()
    processes.start(service.command)
    if not _becomes_ready(processes, service):
        raise LocalSystemError(f"{service.title} exited. {end_of(processes.log(service.name))}")


def _becomes_ready(processes: Processes, service: Service) -> bool:
    """Wait until a service is ready; return False if its process ends first."""
    deadline = time.monotonic() + _READY_SECONDS
    while not service.is_ready():
        if processes.running(service.name) is None:
            return False
        if time.monotonic() > deadline:
            raise LocalSystemError(
                f"{service.title} is not ready after {_READY_SECONDS} s. {end_of(processes.log(service.name))}"
            )
        time.sleep(0.05)
    return True


def _migrate(settings: Settings, processes: Processes) -> None:
    if database.missing_migrations(settings):
        processes.sweep(["migrations"])  # left behind by a `make up` that was killed
        with step("Applying the migrations"):
            database.migrate(settings)


def _deploy(settings: Settings, processes: Processes) -> str:
    aws = processes.running("aws")
    if aws is None:
        raise LocalSystemError("MiniStack has just exited: run `make up` again.")
    deployment = Deployment(settings)
    api_url = deployment.deployed_api_url(aws)
    if api_url is not None:
        return api_url
    (settings.home / "stack.json").unlink(missing_ok=True)
    processes.sweep(["sam"])  # left behind by a `make up` that was killed
    if not deployment.is_built():
        with step("Building the functions (sam build)"):
            deployment.build()
    with step("Deploying the stack (sam deploy)"):
        return deployment.deploy(aws)


def _stack(settings: Settings, api_url: str) -> dict[str, str]:
    return {
        "api_url": api_url,
        "web_url": settings.web_url,
        "supabase_url": settings.supabase_url,
        "supabase_publishable_key": settings.keys.supabase_publishable_key,
        "supabase_secret_key": settings.keys.supabase_secret_key,
        "database_url": settings.database_url,
        "meta_url": settings.meta_url,
        "aws_endpoint_url": settings.aws_url,
        "aws_region": REGION,
        "stack_name": STACK_NAME,
        "facebook_app_id": settings.facebook_app_id,
        "facebook_app_secret": settings.facebook_app_secret,
        "instagram_app_id": settings.instagram_app_id,
        "instagram_app_secret": settings.instagram_app_secret,
        "webhook_verify_token": settings.webhook_verify_token,
    }


def _register_callbacks(stack: Mapping[str, str]) -> None:
    """Register the callback URLs with the simulator, as an operator does in Meta's App Dashboard."""
    base = f"{stack['api_url']}/api/instagram"
    addresses = {
        "webhook_url": f"{base}/webhook",
        "deauthorize_url": f"{base}/deauthorize",
        "data_deletion_url": f"{base}/data-deletion",
    }
    request = urllib.request.Request(f"{stack['meta_url']}/_simulator/callbacks", json.dumps(addresses).encode())
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except OSError as error:
        raise LocalSystemError(f"The Meta simulator did not accept the callback URLs: {error}.") from error


def _write(home: Path, stack: Mapping[str, str]) -> None:
    draft = home / "stack.json.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(stack, indent=2) + "\n")
    draft.replace(home / "stack.json")


def _show(stack: Mapping[str, str]) -> None:
    say("")
    for title, key in [
        ("Web page", "web_url"),
        ("API", "api_url"),
        ("Supabase", "supabase_url"),
        ("Postgres", "database_url"),
        ("AWS", "aws_endpoint_url"),
        ("Meta simulator", "meta_url"),
    ]:
        say(f"  {title:<15} {stack[key]}")


def _watch(processes: Processes) -> None:
    """Wait for a signal; report services that exit in the meantime."""
    reported: set[str] = set()
    while True:
        time.sleep(1)
        ended = {name for name in processes.records() if processes.running(name) is None}
        for name in sorted(ended - reported):
            say(f"{name} has exited: see {processes.log(name)}. Run `make up` in another terminal to restart it.")
        reported = ended


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run one verb and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.stack", description="Start or stop the local system.")
    parser.add_argument("verb", choices=["up", "down", "run", "demo"])
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="folder for its files (default: .local)")
    parser.add_argument("--wipe", action="store_true", help="with down: also delete the database, keys and builds")
    arguments = parser.parse_args()
    home: Path = arguments.home
    try:
        if arguments.verb == "up":
            _show(up(home, os.environ))
        elif arguments.verb == "down":
            down(home, wipe=arguments.wipe)
        elif arguments.verb == "run":
            run(home, os.environ)
        else:
            demo.connect(read_stack(home))
    except LocalSystemError as error:
        say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
