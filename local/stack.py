"""The verbs of the local system: up, down, run and demo.

`up` brings a home folder to the state that the environment asks for, from whatever state it is in: it starts what is
missing, restarts what was started with other settings or other code, and leaves alone what is as it should be.
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

# A cold start on a busy machine with two cores; what is not there by then is not coming.
_READY_SECONDS = 90


def up(
    home: Path, environment: Mapping[str, str], *, only: Collection[str] | None = None, deploy: bool = True
) -> dict[str, str]:
    """Start, repair or reconfigure the system of a home folder; return what `stack.json` then says.

    `only` names the services to care for and leaves the others as they are; nothing is deployed then. Raises
    `LocalSystemError` when the system cannot be brought up.
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
    """Stop everything of a home folder; with `wipe`, delete its database, keys and builds too."""
    if not home.exists():
        return
    with locked(home):
        Processes(home.resolve()).stop_all()
        (home / "stack.json").unlink(missing_ok=True)
        if wipe:
            for path in home.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def forget_database(home: Path) -> None:
    """Have the next `up` begin with an empty database, of a system that is down."""
    shutil.rmtree(home / "postgres", ignore_errors=True)
    (home / "migrations.json").unlink(missing_ok=True)


def aws_environment(stack: Mapping[str, str]) -> dict[str, str]:
    """With which AWS clients find the local one."""
    return {
        "AWS_ENDPOINT_URL": stack["aws_endpoint_url"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": stack["aws_region"],
    }


@contextmanager
def guarded(home: Path) -> Iterator[None]:
    """Whatever is up in a home folder at the end of a with block, or of this process, is taken down.

    Another process does it, which notices the end of this one by the end of a pipe: even after a kill -9 nothing
    stays behind.
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
    """The system of a home folder, up for the length of a with block and down after it, whatever happens here.

    Without an environment it is this process' own, with ports that are free.
    """
    if environment is None:
        environment = {**os.environ, "LOCAL_PORT_BASE": str(ports.free_base())}
    with guarded(home):
        yield up(home, environment, only=only, deploy=deploy)


def run(home: Path, environment: Mapping[str, str]) -> None:
    """Everything in the foreground: up, the URLs, one demo connection, then nothing until Ctrl-C stops it all."""
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
        processes.stop([service.name for service in missing])
        ports.refuse_taken({port: use for service in missing for port, use in service.ports.items()})
    for service in wanted:
        if service in missing:
            with step(f"Starting {service.title}"):
                _start(settings, processes, service)
        else:
            _wait(processes, service)
        if service.name == "supabase":
            _migrate(settings)


def _is_current(processes: Processes, service: Service) -> bool:
    record = processes.running(service.name)
    return record is not None and record.fingerprint == service.command.fingerprint()


def _start(settings: Settings, processes: Processes, service: Service) -> None:
    if service.name == "postgres":
        database.prepare(settings)
    if service.name == "aws":
        # A killed MiniStack leaves the unpacked code of its functions behind, 70 MB for each.
        shutil.rmtree(settings.home / "aws" / "tmp", ignore_errors=True)
        (settings.home / "aws" / "tmp").mkdir()
    processes.start(service.command)
    _wait(processes, service)


def _wait(processes: Processes, service: Service) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not service.is_ready():
        if processes.running(service.name) is None:
            raise LocalSystemError(f"{service.title} ended. {end_of(processes.log(service.name))}")
        if time.monotonic() > deadline:
            raise LocalSystemError(
                f"{service.title} does not answer after {_READY_SECONDS} s. {end_of(processes.log(service.name))}"
            )
        time.sleep(0.05)


def _migrate(settings: Settings) -> None:
    if database.missing_migrations(settings):
        with step("Applying the migrations"):
            database.migrate(settings)


def _deploy(settings: Settings, processes: Processes) -> str:
    aws = processes.running("aws")
    if aws is None:
        raise LocalSystemError("MiniStack ended just now: run `make up` again.")
    deployment = Deployment(settings)
    api_url = deployment.deployed_api_url(aws)
    if api_url is not None:
        return api_url
    (settings.home / "stack.json").unlink(missing_ok=True)
    processes.sweep(["sam"])  # of a call that was killed
    if not deployment.is_built():
        with step("Building the functions (sam build)"):
            deployment.build()
    with step("Deploying them (sam deploy)"):
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
    """Does at the simulator what an operator does in Meta's App Dashboard."""
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
        raise LocalSystemError(f"The Meta simulator does not take the callback URLs: {error}.") from error


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
    """Wait for a signal, and say so when a service ends meanwhile."""
    reported: set[str] = set()
    while True:
        time.sleep(1)
        ended = {name for name in processes.records() if processes.running(name) is None}
        for name in sorted(ended - reported):
            say(f"{name} has ended: see {processes.log(name)}. `make up` in another terminal starts it again.")
        reported = ended


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run one verb and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.stack", description="The local system.")
    parser.add_argument("verb", choices=["up", "down", "run", "demo"])
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="where it keeps its files (default: .local)")
    parser.add_argument("--wipe", action="store_true", help="with down: delete the database, keys and builds too")
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
            demo.connect(demo.read_stack(home))
    except LocalSystemError as error:
        say(f"\n{error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
