"""The error that the local system raises for problems that its user can fix."""


class LocalSystemError(Exception):
    """The local system cannot do what was asked. The message says why and what to do; it is shown without a traceback."""
