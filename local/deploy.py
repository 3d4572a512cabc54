"""Deploys the application to the local AWS as to the real one: `sam build`, then `sam deploy`.

It builds again if the code changed, and deploys again if anything that a function can see changed, or if MiniStack was
restarted and so lost the stack.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import template
from local.errors import LocalSystemError
from local.install import NO_TELEMETRY
from local.processes import Record, end_of, marks
from local.services import aws_environment
from local.settings import REGION, ROOT, SECRET_PREFIX, STACK_NAME, Settings

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

_BUCKET = f"{STACK_NAME}-artifacts"
# A stack in one of these states can only be deleted.
_DEAD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


@dataclass(frozen=True)
class Deployment:
    """The application, as deployed from this checkout's code with these settings."""

    settings: Settings

    @cached_property
    def code_hash(self) -> str:
        """Return a hash of the inputs of `sam build`: template, code, Python version and machine."""
        digest = hashlib.sha256(f"{_runtime()} {_architecture()}".encode())
        for path in [template.PATH, *_code(ROOT / "functions"), *_code(ROOT / "layers")]:
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @cached_property
    def secrets(self) -> dict[str, dict[str, str]]:
        """The contents of the secrets that the functions read, by name after SECRET_PREFIX."""
        return {
            "meta": {
                "facebook_app_secret": self.settings.facebook_app_secret,
                "instagram_app_secret": self.settings.instagram_app_secret,
                "webhook_verify_token": self.settings.webhook_verify_token,
            },
            "supabase": {
                "supabase_secret_key": self.settings.keys.supabase_secret_key,
                "database_url": self.settings.database_url,
            },
            "signing": {
                "state_signing_key": self.settings.keys.state_signing_key,
                "supabase_jwt_secret": self.settings.keys.supabase_jwt_secret,
            },
        }

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The values of those parameters that the template declares."""
        settings = self.settings
        wanted = {
            "PythonRuntime": _runtime(),
            "Architecture": _architecture(),
            "SecretPrefix": SECRET_PREFIX,
            "SupabaseUrl": settings.supabase_url,
            "FacebookAppId": settings.facebook_app_id,
            "InstagramAppId": settings.instagram_app_id,
            "FacebookGraphUrl": settings.meta.facebook_graph,
            "FacebookDialogUrl": settings.meta.facebook_dialog,
            "InstagramGraphUrl": settings.meta.instagram_graph,
            "InstagramApiUrl": settings.meta.instagram_api,
            "InstagramDialogUrl": settings.meta.instagram_dialog,
            "OAuthRedirectUris": settings.oauth_redirect_uris,
            "AllowedOrigins": settings.web_url,
            "Revision": self.revision,
        }
        return {name: value for name, value in wanted.items() if name in template.parameters()}

    @cached_property
    def revision(self) -> str:
        """A hash of code, schema and secrets; a new one restarts the functions and runs the deploy gate."""
        digest = hashlib.sha256(f"{self.code_hash}{json.dumps(self.secrets)}".encode())
        for path in sorted((ROOT / "supabase" / "migrations").glob("*.sql")):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:12]

    def is_built(self) -> bool:
        """Whether the last build finished and was of this code."""
        stamp = self._build_folder / "built"
        return stamp.exists() and stamp.read_text() == self.code_hash

    def build(self) -> None:
        """Build the functions and the layer."""
        stamp = self._build_folder / "built"
        stamp.unlink(missing_ok=True)
        self._sam(
            "build",
            "--cached",
            "--parallel",
            f"--build-dir={self._build_folder}",
            f"--cache-dir={self.settings.home / 'sam' / 'cache'}",
            f"--template-file={template.PATH}",
            *self._overrides,
        )
        stamp.write_text(self.code_hash)

    def deployed_api_url(self, aws: Record) -> str | None:
        """Return the API's address if exactly this is deployed on this MiniStack process, else None."""
        if not self._stamp_file.exists():
            return None
        deployed: dict[str, str] = json.loads(self._stamp_file.read_text())
        is_same = deployed["content"] == self._content(aws) and self._is_standing()
        return deployed["api_url"] if is_same else None

    def deploy(self, aws: Record) -> str:
        """Write the secrets, deploy the build and return the API's address. Errors contain CloudFormation's reasons."""
        self._stamp_file.unlink(missing_ok=True)
        self._put_secrets()
        # Not --resolve-s3: it creates its bucket with a stack of its own, which it polls every 15 s.
        self._session.client("s3", endpoint_url=self.settings.aws_url).create_bucket(Bucket=_BUCKET)
        self._clear_the_way()
        started = datetime.now(UTC)
        try:
            self._sam(
                "deploy",
                f"--template-file={self._build_folder / 'template.yaml'}",
                f"--stack-name={STACK_NAME}",
                f"--region={REGION}",
                f"--s3-bucket={_BUCKET}",
                "--no-progressbar",
                "--capabilities",
                "CAPABILITY_IAM",
                "CAPABILITY_NAMED_IAM",
                "CAPABILITY_AUTO_EXPAND",
                "--no-confirm-changeset",
                "--no-fail-on-empty-changeset",
                *self._overrides,
            )
        except LocalSystemError as error:
            reasons = "\n".join(f"  {reason}" for reason in _failures(self._cloudformation, started))
            raise LocalSystemError(f"The deployment failed:\n{reasons}" if reasons else str(error)) from error
        api_url = self._api_url()
        self._configure(api_url)
        self._stamp_file.write_text(json.dumps({"content": self._content(aws), "api_url": api_url}))
        return api_url

    @property
    def _build_folder(self) -> Path:
        return self.settings.home / "sam" / "build"

    @property
    def _overrides(self) -> list[str]:
        return ["--parameter-overrides", *(f"{name}={value}" for name, value in self.parameters.items())]

    @property
    def _stamp_file(self) -> Path:
        return self.settings.home / "deployed.json"

    def _content(self, aws: Record) -> str:
        seen = [self.parameters, self.secrets, self.code_hash, aws.pid, aws.started_at]
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()

    def _is_standing(self) -> bool:
        """Whether MiniStack has the complete stack; a plain request, because boto3 takes a second to load."""
        request = urllib.request.Request(
            self.settings.aws_url,
            data=urllib.parse.urlencode({"Action": "DescribeStacks", "StackName": STACK_NAME}).encode(),
            headers={"Authorization": f"AWS4-HMAC-SHA256 Credential=test/0/{REGION}/cloudformation/aws4_request"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                description = response.read().decode()
        except OSError:
            return False
        return re.search(r"<StackStatus>(CREATE|UPDATE)_COMPLETE<", description) is not None

    @cached_property
    def _session(self) -> "boto3.Session":
        # Imported here because it takes a third of a second, which a `make up` that deploys nothing can save.
        import boto3

        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)

    @cached_property
    def _cloudformation(self) -> "CloudFormationClient":
        return self._session.client("cloudformation", endpoint_url=self.settings.aws_url)

    def _put_secrets(self) -> None:
        client = self._session.client("secretsmanager", endpoint_url=self.settings.aws_url)
        for name, values in self.secrets.items():
            secret, text = f"{SECRET_PREFIX}/{name}", json.dumps(values)
            try:
                client.create_secret(Name=secret, SecretString=text)
            except client.exceptions.ResourceExistsException:
                client.put_secret_value(SecretId=secret, SecretString=text)

    def _clear_the_way(self) -> None:
        """Wait for an interrupted deployment to end, and delete a stack whose creation failed."""
        deadline = time.monotonic() + 120
        while (stack := _describe(self._cloudformation)) is not None:
            if stack["StackStatus"] in _DEAD:
                self._cloudformation.delete_stack(StackName=STACK_NAME)
            elif not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return
            if time.monotonic() > deadline:
                raise LocalSystemError(f"The stack is stuck in {stack['StackStatus']}: run `make down up`.")
            time.sleep(0.2)

    def _api_url(self) -> str:
        return f"{self.settings.aws_url}/_aws/execute-api/{self._physical_name('Api')}/live"

    def _configure(self, api_url: str) -> None:
        """Set what the template cannot: the API's address, known only after deployment, and a limit on processes."""
        functions = self._session.client("lambda", endpoint_url=self.settings.aws_url)
        privacy = self._physical_name("PrivacyFunction")
        variables = functions.get_function_configuration(FunctionName=privacy)["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=privacy, Environment={"Variables": {**variables, "PUBLIC_URL": api_url}}
        )
        worker = self._physical_name("WebhookWorkerFunction")
        for mapping in functions.list_event_source_mappings(FunctionName=worker)["EventSourceMappings"]:
            # Each worker is a process; starting ten at once takes about 15 s.
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": 2})

    def _physical_name(self, logical_id: str) -> str:
        described = self._cloudformation.describe_stack_resource(StackName=STACK_NAME, LogicalResourceId=logical_id)
        return described["StackResourceDetail"].get("PhysicalResourceId", "")

    def _sam(self, verb: str, *arguments: str) -> None:
        tools = Path(sys.executable).parent
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **NO_TELEMETRY,
            **aws_environment(self.settings),
            **marks(self.settings.home, "sam"),
            # sam looks for python3.x by name.
            "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "SAM_CLI_POLL_DELAY": "0.2",  # the default is 5 s
            "__SAM_CLI_APP_DIR": str(self.settings.home / "sam" / "cli"),
        }
        log = self.settings.home / "logs" / f"sam-{verb}.log"
        for folder in (log.parent, self.settings.home / "sam"):
            folder.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            done = subprocess.run(
                # An environment that samconfig.toml does not contain: its stacks are real ones.
                [str(tools / "sam"), verb, "--config-env=local-system", *arguments],
                cwd=self.settings.home / "sam",  # sam keeps its downloads there
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise LocalSystemError(f"`sam {verb}` failed. {end_of(log)}")


def _code(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _runtime() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _architecture() -> str:
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def _describe(client: "CloudFormationClient") -> "StackTypeDef | None":
    """Return the stack, or None if it does not exist."""
    try:
        return client.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    except client.exceptions.ClientError:
        return None


def _failures(client: "CloudFormationClient", since: datetime) -> Sequence[str]:
    """Return why resources failed, in chronological order."""
    try:
        events = client.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    except client.exceptions.ClientError:
        return []
    failed: list[Mapping[str, Any]] = [
        event for event in events if event["Timestamp"] >= since and event.get("ResourceStatus", "").endswith("FAILED")
    ]
    failed.sort(key=lambda event: event["Timestamp"])
    return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason')}" for event in failed]
