"""Clients of AWS services, with time limits that fit every function.

They are made by botocore. boto3 is a layer above it, for S3 transfers and resources that nothing here uses, and takes
nearly as long to import as all else that the webhook function needs.
"""

from functools import cache
from threading import Lock
from typing import Any

import botocore.session
from botocore.config import Config

# AWS answers within milliseconds or not at all; two short attempts (4 s at worst) fit any function's time.
CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=1,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=16,
)
# botocore's session makes clients for one thread at a time.
_making = Lock()


@cache
def session() -> botocore.session.Session:
    """The one for all clients: what it has read of endpoints and service models is not read again."""
    made = botocore.session.get_session()
    made.set_default_client_config(CLIENT_CONFIG)
    return made


def client(service: str, config: Config | None = None) -> Any:
    """A client, with CLIENT_CONFIG where it gets no other. Does no I/O until it is called."""
    with _making:
        return session().create_client(service, config=config)
