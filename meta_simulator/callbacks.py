"""The app's callback URLs, as its Meta dashboard would hold them: webhook, deauthorize, data deletion."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from meta_simulator.outgoing import LoopbackUrl


class Callbacks(BaseModel):
    """The callback URLs of the app, shared by both products, and the verify token of its webhook."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook_url: LoopbackUrl | None = None
    webhook_verify_token: str | None = Field(default=None, repr=False)
    deauthorize_url: LoopbackUrl | None = None
    data_deletion_url: LoopbackUrl | None = None

    def view(self) -> dict[str, object]:
        """Return the URLs, and whether a verify token is set, but not the token itself."""
        urls = self.model_dump(exclude={"webhook_verify_token"})
        return {**urls, "has_webhook_verify_token": bool(self.webhook_verify_token)}


def callbacks_from_environment(environment: Mapping[str, str]) -> Callbacks:
    """Read WEBHOOK_URL, WEBHOOK_VERIFY_TOKEN, DEAUTHORIZE_URL and DATA_DELETION_URL. Empty means unset.

    Raises pydantic's ValidationError for a URL that is not on this machine.
    """
    return Callbacks.model_validate({name: environment.get(name.upper()) or None for name in Callbacks.model_fields})
