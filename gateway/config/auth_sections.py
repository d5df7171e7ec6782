"""The sections of `auth`: where the token comes from, and who may use it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.section import Seconds, Secret, Section, Text


class OAuth2(Section):
    """`auth.oauth2`: client credentials (RFC 6749, section 4.4) with any issuer."""

    token_url: str | None = None
    """Token endpoint; https, or http to loopback."""
    client_id: Text | None = None
    """Client identifier."""
    client_secret: Secret | None = None
    """Client secret; prefer client_secret_file or the environment."""
    client_secret_file: Path | None = None
    """File that holds the client secret; read again when the issuer refuses the old one."""
    authentication: Literal["post", "basic"] = "post"
    """Send the client's credentials in the form (post) or as HTTP Basic (basic)."""
    ca_file: Path | None = None
    """Trust this CA (PEM) as well as the public ones for the token endpoint."""
    extra: dict[str, str] = Field(default_factory=dict)
    """Further form parameters, e.g. { audience = "…" }."""


class TokenFile(Section):
    """`auth.file`: a token that something else keeps fresh."""

    path: Path | None = None
    """File with a bare access token, or JSON with access_token and expires_in or expires_on."""


class StaticToken(Section):
    """`auth.static`: a fixed token, for tests."""

    token: Secret | None = None
    """The access token."""


class Entra(Section):
    """`auth.entra`: Microsoft Entra ID; unset values come from the AZURE_* variables."""

    credential: Literal[
        "default", "client_secret", "certificate", "workload_identity", "managed_identity", "cli"
    ] = "default"
    """Which credential of azure-identity is used; default tries its standard chain."""
    tenant_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")] | None = None
    """Directory (tenant) id."""
    client_id: Text | None = None
    """Application (client) id, or that of a user-assigned managed identity."""
    client_secret: Secret | None = None
    """Client secret; prefer client_secret_file or AZURE_CLIENT_SECRET."""
    client_secret_file: Path | None = None
    """File that holds the client secret."""
    certificate_file: Path | None = None
    """Client certificate with its private key, PEM or PFX."""
    federated_token_file: Path | None = None
    """Token file of workload identity."""
    authority: str | None = None
    """Authority host, e.g. login.microsoftonline.us."""


class Inbound(Section):
    """`auth.inbound`: who may use the gateway; all that is set must hold, unset is every local process."""

    keys: dict[str, Secret] = Field(default_factory=dict)
    """Shared keys by caller name; two names with two keys are both valid during a rotation."""
    key_files: dict[str, Path] = Field(default_factory=dict)
    """Files with shared keys by caller name; read again when they change."""
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] = "x-gateway-key"
    """Header that carries the key; `Authorization: Bearer <key>` works too, except with passthrough."""
    client_names: tuple[str, ...] = ()
    """Names in client certificates (DNS, URI, email, IP; not the CN) that may use the gateway; empty: all."""
    peer_uids: tuple[Annotated[int, Field(ge=0, le=4_294_967_294)], ...] = ()
    """User ids whose processes may use listen.unix_socket (Linux only); empty: all that can open it."""


class Auth(Section):
    """`auth`: how the gateway gets its token for the upstream."""

    mode: Literal["entra", "oauth2", "file", "static", "passthrough", "none"] = "entra"
    """Source of the token; passthrough forwards the app's own, none sends none."""
    scope: Annotated[str, Field(pattern=r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$")] = (
        "https://digitaltwins.azure.net/.default"
    )
    """Scope to ask for (RFC 6749, section 3.3)."""
    timeout: Seconds = 10.0
    """Longest time for one token request."""
    entra: Entra = Entra()
    oauth2: OAuth2 = OAuth2()
    file: TokenFile = TokenFile()
    static: StaticToken = StaticToken()
    inbound: Inbound = Inbound()
