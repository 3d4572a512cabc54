"""The error classes that a caller can get."""

from collections.abc import Iterator

from instagram_connect.errors import InstagramConnectError


def public_errors(base: type[InstagramConnectError] = InstagramConnectError) -> Iterator[type[InstagramConnectError]]:
    children = base.__subclasses__()
    if not children:
        yield base
    for child in children:
        yield from public_errors(child)
