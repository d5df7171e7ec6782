"""What can be chosen about the emulator, at the start and (where noted) while it runs."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

import msgspec

AUDIENCE: Final = "https://digitaltwins.azure.net"
RESOURCE_ID: Final = "0b07f429-9f4b-4714-9392-cc5e8e80c8b0"
CHANGEABLE: Final = (
    "job_start_seconds",
    "job_seconds",
    "cancel_seconds",
    "retry_after",
    "rate_limit",
    "verify_tokens",
    "expires_in",
    "page_size",
)
"""Settings that `POST /_emulator/settings` may change."""


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """Choices for one emulator; times are in seconds. Raises ValueError for a value that makes no sense."""

    tenant: str = "00000000-0000-0000-0000-000000000001"
    """The tenant of the instance. A token of another tenant gets 404 "Sub-domain not found.", as in Azure."""
    client_id: str = "demo-app"
    """The one registered client of the token issuer."""
    client_secret: str = field(default="demo-secret", repr=False)
    """Its secret."""
    expires_in: int = 3600
    """Lifetime of an issued token. Changeable."""
    verify_tokens: bool = True
    """Whether the data plane asks for a token and checks it. Changeable."""
    rate_limit: float | None = 1.0
    """Jobs requests per second, more get 429; None switches the limit off. Changeable."""
    job_start_seconds: float = 1.0
    """How long a new job stays `notstarted`. Changeable, for jobs created afterwards, as are the next two."""
    job_seconds: float = 5.0
    """How long a job is `running`."""
    cancel_seconds: float = 1.0
    """How long a cancelled import is `cancelling`."""
    retry_after: int | None = 1
    """`Retry-After` on the answers about an unfinished deletion, which pollers follow; None omits it.
    Changeable.
    """
    page_size: int = 100
    """Items of a page when the request does not say. Changeable."""
    public_url: str | None = None
    """Origin of absolute links; None takes the request's Host."""
    max_body: int = 64 * 1024 * 1024
    """Largest request body in bytes; more gets 413."""
    journal_size: int = 1000
    """How many requests are remembered for `/_emulator/requests`."""
    journal_body: int = 4096
    """How many bytes of each request body are remembered."""

    def __post_init__(self) -> None:
        for name in ("job_start_seconds", "job_seconds", "cancel_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("expires_in", "page_size", "max_body", "journal_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.rate_limit is not None and self.rate_limit <= 0:
            raise ValueError("rate_limit must be above 0, or null for no limit")
        if self.retry_after is not None and self.retry_after < 0:
            raise ValueError("retry_after must not be negative")

    def changed(self, changes: dict[str, Any]) -> "EmulatorSettings":
        """These settings with some values changed. Raises ValueError that names what cannot be."""
        unknown = sorted(set(changes) - set(CHANGEABLE))
        if unknown:
            raise ValueError(f"cannot be changed: {', '.join(unknown)}; can be: {', '.join(CHANGEABLE)}")
        try:
            return msgspec.convert({**asdict(self), **changes}, EmulatorSettings)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    def shown(self) -> dict[str, Any]:
        """The settings for `/_emulator/settings`, without the secret."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.repr}
