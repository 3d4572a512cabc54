"""Errors of the control API."""


class ControlError(Exception):
    """The request cannot be carried out. The message says what to correct; `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
