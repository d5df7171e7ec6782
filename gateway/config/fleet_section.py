"""The section `fleet`: gateways in front of one instance that keep its limits together."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gateway.config.section import Secret, Section


class Fleet(Section):
    """`fleet`: a Redis or Valkey store through which gateways of one instance share its limits."""

    url: Secret | None = None
    """redis://, rediss:// (TLS) or unix://; +sentinel://hosts/service, +cluster://hosts; unset: no fleet."""
    password_file: Path | None = None
    """File that holds the store's password, in place of one in url; read again for each connection."""
    ca_file: Path | None = None
    """Trust this CA (PEM) as well as the public ones for the store."""
    expected_size: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many gateways there are at most; without the store each takes this part of jobs.rate."""
