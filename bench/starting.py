"""Measures how long each function takes to start, and the size of what is deployed.

It starts what `sam build` made, each time in a new process with the function, the layer and the packages of Lambda's
runtime, and nothing else of this machine. A function is ready when it has been imported, has built its dependencies,
has read its secrets, and has the clients that a usual event needs. The baseline does the same with boto3 and httpx.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import boto3

from bench.figures import Figure
from bench.system import HOME
from local.deploy import Deployment
from local.install import MINISTACK_ENVIRONMENT
from local.progress import step
from local.settings import ROOT, Settings

WARM_STARTS = 9
COLD_STARTS = 5
# boto3 and its dependencies, which Lambda's runtimes include.
IN_THE_RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")
# The functions' settings; they are used to call the local AWS only.
SETTINGS = {
    "ALERT_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:alerts",
    "ALLOWED_ORIGINS": "https://app.example.com",
    "EVENT_BUS_NAME": "events",
    "FACEBOOK_APP_ID": "1180000000000001",
    "FACEBOOK_DIALOG_URL": "https://www.facebook.com",
    "FACEBOOK_GRAPH_URL": "https://graph.facebook.com",
    "FACEBOOK_SCOPES": "instagram_basic",
    "GRAPH_VERSION": "v25.0",
    "INSTAGRAM_API_URL": "https://api.instagram.com",
    "INSTAGRAM_APP_ID": "2290000000000002",
    "INSTAGRAM_DIALOG_URL": "https://www.instagram.com",
    "INSTAGRAM_GRAPH_URL": "https://graph.instagram.com",
    "INSTAGRAM_SCOPES": "instagram_business_basic",
    "LOGIN_RECORDS_TABLE": "login-records",
    "OAUTH_REDIRECT_URIS": "https://app.example.com/callback",
    "PARKED_CONNECTIONS_TABLE": "parked-connections",
    "PARKING_QUEUE_URL": "http://127.0.0.1/queue",
    "POWERTOOLS_METRICS_NAMESPACE": "InstagramConnect",
    "PRIVACY_QUEUE_URL": "http://127.0.0.1/queue",
    "PYDANTIC_DISABLE_PLUGINS": "true",
    "REFRESH_DEAD_LETTER_QUEUE_URL": "http://127.0.0.1/queue",
    "REFRESH_LEAD_DAYS": "10",
    "REFRESH_QUEUE_URL": "http://127.0.0.1/queue",
    "REQUIRE_STATE": "false",
    "SUPABASE_URL": "https://project.supabase.co",
    "TOKEN_KEY_ARN": "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000",
    "WEBHOOK_DEAD_LETTER_QUEUE_URL": "http://127.0.0.1/queue",
    "WEBHOOK_QUEUE_URL": "http://127.0.0.1/queue",
}
_BASELINE = "a bare function with the same clients"
_START = """
import time
began, computing = time.perf_counter(), time.process_time()
{code}
seconds, computing = time.perf_counter() - began, time.process_time() - computing
import json, sys
modules = list(sys.modules)
print()
print(json.dumps([seconds * 1000, computing * 1000, modules]))
"""


@dataclass(frozen=True)
class Function:
    """A function, the code that makes it ready, its AWS clients, and whether it also calls others (`http`)."""

    name: str
    ready: str
    clients: str
    http: bool = True

    @property
    def logical_id(self) -> str:
        """Its name in the template, and the name of its folder in the build."""
        return "".join(word.title() for word in self.name.split("_")) + "Function"


FUNCTIONS = (
    Function("webhook", "app.dependencies().secrets.get(); app.dependencies().queue._queue._client", "sqs", http=False),
    Function("exchange_token", "app._api(); app.dependencies()", "dynamodb kms"),
    Function("authorize", "app._api(); app.dependencies()", ""),
    Function("accounts", "app._api(); app.dependencies().account_list.parking._dynamodb", "dynamodb kms"),
    Function("health", "app._api(); app.repository()", ""),
    Function("parked_connections", "app.dependencies().parking._dynamodb", "dynamodb kms"),
    Function("refresh_token", "app._api(); app.dependencies().on_demand.batch().queue._queue._client", "sqs kms"),
    Function("refresh_sweep", "app.dependencies().queue._queue._client", "sqs"),
    Function("refresh_worker", "app.dependencies().events._client", "events kms"),
    Function("webhook_worker", "app.dependencies().bus._client", "events"),
    Function("webhook_maintenance", "app.dependencies().bus._client", "events"),
    Function("privacy", "app.dependencies().queue._queue._client", "sqs"),
    Function("privacy_worker", "app.repository()", ""),
    Function("doctor", "app.dependencies().examine.args[0].data_api", ""),
    Function(
        "schema_reload",
        "app.dependencies().last_report.args[0].data_api; app.aws.client('cloudformation')",
        "cloudformation",
    ),
)


@dataclass(frozen=True)
class Start:
    """One start: its wall-clock and processor time until ready, and the modules loaded by then."""

    ms: float
    computing_ms: float
    modules: frozenset[str]


@dataclass(frozen=True)
class Artifact:
    """The output of `sam build`, a copy of the runtime's packages, and the functions' environment."""

    build: Path
    runtime: Path
    environment: Mapping[str, str]

    @classmethod
    def of_build(cls, build: Path, environment: Mapping[str, str]) -> "Artifact":
        """Return the artifact; `environment` names the AWS endpoint and the secrets."""
        return cls(build, _runtime(build.parent / "runtime"), {**SETTINGS, **environment})

    @property
    def layer(self) -> Path:
        """The layer's folder on the Python path."""
        return self.build / "SharedLayer" / "python"

    def start(self, function: Function) -> Start:
        """Start a function."""
        return self._start(self.build / function.logical_id, f"import app; {function.ready}", function)

    def start_bare(self, function: Function) -> Start:
        """Start a function's baseline."""
        code = "import bare_start; made = bare_start.dependencies()"
        if function.name == "webhook":
            code = "import bare_webhook; bare_webhook.secret(); bare_webhook.sqs()"
        return self._start(ROOT / "bench", code, function)

    def forget(self) -> None:
        """Drop all its files from the system's memory. The interpreter's own library stays there."""
        for folder in (self.build, self.runtime):
            for path in folder.rglob("*"):
                if path.is_file():
                    with path.open("rb") as file:
                        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _start(self, folder: Path, code: str, function: Function) -> Start:
        environment = {
            **self.environment,
            "POWERTOOLS_SERVICE_NAME": function.name,
            "BARE_CLIENTS": function.clients,
            **({"BARE_HTTP": "1"} if function.http else {}),
            # The same order as in Lambda.
            "PYTHONPATH": os.pathsep.join(map(str, (folder, self.layer, self.runtime))),
            # Lambda's disk is read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            # Without the packages of this environment.
            [sys.executable, "-S", "-c", _START.format(code=code)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{function.name} does not start:\n{done.stderr}")
        ms, computing_ms, modules = json.loads(done.stdout.splitlines()[-1])
        return Start(ms, computing_ms, frozenset(modules))


def by_turns(
    artifact: Artifact, function: Function, starts: int, *, cold: bool = False
) -> tuple[list[Start], list[Start]]:
    """Start a function and its baseline alternately; unless `cold`, the first pair is a warm-up and not returned."""
    ours: list[Start] = []
    bare: list[Start] = []
    for _ in range(starts if cold else starts + 1):
        for made, start in ((ours, artifact.start), (bare, artifact.start_bare)):
            if cold:
                artifact.forget()
            made.append(start(function))
    return ours[-starts:], bare[-starts:]


def measure(stack: Mapping[str, str]) -> list[Figure]:
    """Return all figures for starts and sizes."""
    deployment = Deployment(Settings.load(HOME, {}))
    if not deployment.is_built():
        with step("Building the functions (sam build)"):
            deployment.build()
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    secrets = {
        "meta": {name: stack[name] for name in ("facebook_app_secret", "instagram_app_secret")}
        | {"webhook_verify_token": "token"},
        "supabase": {"supabase_secret_key": stack["supabase_secret_key"]},
        "signing": {"state_signing_key": "0" * 64},
    }
    environment = {name: os.environ[name] for name in names}
    for kind, values in secrets.items():
        environment[f"{kind.upper()}_SECRET_NAME"] = f"bench-starting/{kind}"
        boto3.client("secretsmanager").create_secret(Name=f"bench-starting/{kind}", SecretString=json.dumps(values))
    artifact = Artifact.of_build(HOME / "sam" / "build", environment)
    return [*figures_of(artifact), *sizes(artifact)]


def figures_of(artifact: Artifact) -> Iterator[Figure]:
    """Yield the time that each function takes to start, and the number of modules it loads."""
    kinds = [("warm", WARM_STARTS)]
    if hasattr(os, "posix_fadvise"):
        kinds.append(("cold", COLD_STARTS))
    for kind, starts in kinds:
        for function in FUNCTIONS:
            with step(f"Starting {function.name} and its baseline {starts} times, {kind} disk"):
                ours, bare = by_turns(artifact, function, starts, cold=kind == "cold")
            yield Figure.against(
                f"start: {function.name}, {kind} disk, median",
                statistics.median(start.ms for start in ours),
                statistics.median(start.ms for start in bare),
                "ms",
                baseline_is=_BASELINE,
                runs=[start.ms for start in ours],
                baseline_runs=[start.ms for start in bare],
            )
            if kind == "warm":
                yield Figure.against(
                    f"start: {function.name}, processor time, median",
                    statistics.median(start.computing_ms for start in ours),
                    statistics.median(start.computing_ms for start in bare),
                    "ms",
                    baseline_is=_BASELINE,
                )
                loaded = (len(ours[0].modules), len(bare[0].modules))
                yield Figure.against(
                    f"start: {function.name}, loaded modules", *loaded, "modules", baseline_is=_BASELINE
                )


def sizes(artifact: Artifact) -> Iterator[Figure]:
    """Yield the sizes of the layer and of each function."""
    for folder in (artifact.layer.parent, *(artifact.build / function.logical_id for function in FUNCTIONS)):
        unit, bytes_of_unit = ("MB", 1_000_000) if folder.name == "SharedLayer" else ("kB", 1_000)
        yield Figure(f"size: {folder.name}, zipped", round(zipped_bytes(folder) / bytes_of_unit, 1), unit)
        unzipped = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        yield Figure(f"size: {folder.name}, unzipped", round(unzipped / bytes_of_unit, 1), unit)


def zipped_bytes(folder: Path) -> int:
    """Return the size of a folder as `sam deploy` uploads it."""
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return written.tell()


def _runtime(folder: Path) -> Path:
    """Create, once, a folder with the packages of Lambda's runtime, compiled in favour of the baseline."""
    (packages,) = MINISTACK_ENVIRONMENT.glob("lib/python*/site-packages")
    (stamp,) = packages.glob("botocore-*.dist-info")
    if not (folder / stamp.name).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in IN_THE_RUNTIME:
            copy = shutil.copy2 if name.endswith(".py") else shutil.copytree
            copy(packages / name, folder / name)
        compiling = ["-m", "compileall", "-q", "-f", "-j", "0", "--invalidation-mode=unchecked-hash", str(folder)]
        subprocess.run([sys.executable, *compiling], check=True)
        (folder / stamp.name).mkdir()
    return folder
