"""The running system that is measured: real PostgREST and Postgres, the local AWS, the Meta simulator."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from instagram_connect.data_api import DataApi
from instagram_connect.deadline import Deadline
from instagram_connect.rpcs import Rpcs
from local import ports
from local.settings import ROOT
from local.stack import running

HOME = ROOT / ".local" / "bench"
SERVICES = ("postgres", "supabase", "postgrest", "aws", "meta")
REDIRECT_URI = "http://127.0.0.1/callback"


class CountingRpcs(Rpcs):
    """Counts calls to the database by function."""

    def __init__(self, data_api: DataApi, calls: Counter[str]) -> None:
        super().__init__(data_api)
        self._counts = calls

    def call(self, function: str, payload: Any, deadline: Deadline, **details: Any) -> Any:
        """As `Rpcs.call`."""
        self._counts[function] += 1
        return super().call(function, payload, deadline, **details)


@contextmanager
def measured_system() -> Iterator[dict[str, str]]:
    """What `stack.json` says of it; this process' AWS clients find it."""
    environment = {
        **os.environ,
        "DATA_API": "postgrest",
        "LOCAL_PORT_BASE": str(ports.free_base()),
        "OAUTH_REDIRECT_URIS": REDIRECT_URI,
    }
    # An empty database each time: what an earlier run left would be measured too.
    shutil.rmtree(HOME / "postgres", ignore_errors=True)
    (HOME / "migrations.json").unlink(missing_ok=True)
    with running(HOME, environment, only=SERVICES, deploy=False) as stack:
        os.environ |= {
            "AWS_ENDPOINT_URL": stack["aws_endpoint_url"],
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": stack["aws_region"],
        }
        yield stack
