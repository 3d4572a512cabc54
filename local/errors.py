"""The one error that the local system raises for something that its user can put right."""


class LocalSystemError(Exception):
    """The local system cannot do what was asked; its message says why and what to do, without a traceback."""
