"""The certificates that HTTP clients trust."""

import ssl
from functools import cache

import httpx


@cache
def context() -> ssl.SSLContext:
    """One for all clients: a client left to itself reads the certificates again, which takes as long as its import."""
    return httpx.create_ssl_context()
