"""What the control API says when it cannot do what it was asked."""


class ControlRefusedError(Exception):
    """The request cannot be carried out; the message says what to correct, `status` is HTTP's."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
