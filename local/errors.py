"""The error that the local system raises for problems that its user can fix."""


class LocalSystemError(Exception):
    """The message says what failed and what to do; it is shown without a traceback."""
