"""The certificates that HTTP clients trust."""

import ssl
from functools import cache

import httpx


@cache
def context() -> ssl.SSLContext:
    """The context of all HTTP clients; reading the certificates takes as long as importing httpx."""
    return httpx.create_ssl_context()
