"""AWS clients, with time-outs that fit every function.

They come from botocore: boto3 adds S3 transfers and resources, which nothing here uses, and takes nearly as long to
import as everything else that `webhook` needs.
"""

from functools import cache
from threading import Lock
from typing import Any

import botocore.session
from botocore.config import Config

# AWS responds within milliseconds or not at all; two short attempts (at most 4 s) fit every function's time-out.
CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=1,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=16,
)
# botocore's session is not thread-safe while it creates a client.
_making = Lock()


@cache
def session() -> botocore.session.Session:
    """The session of all clients, which share its endpoint data and service models."""
    made = botocore.session.get_session()
    made.set_default_client_config(CLIENT_CONFIG)
    return made


def client(service: str, config: Config | None = None) -> Any:
    """Create a client with `config`, by default CLIENT_CONFIG. Does no I/O."""
    with _making:
        return session().create_client(service, config=config)
