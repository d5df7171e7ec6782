"""The azure-identity credential that `auth.entra` and the AZURE_* variables mean.

`default` becomes the credential whose secret, certificate or token file is configured, else azure-identity's
chain, which reads the process's own AZURE_* variables, as managed identity does its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from azure.core.credentials_async import AsyncSupportsTokenInfo
from azure.identity import aio as azure

from gateway.config import Entra
from gateway.tokens.token import Reason, SourceError

Options = Mapping[str, Any]
"""Keyword arguments of azure-core's pipeline."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the gateway is to Entra; empty where it is set nowhere."""

    tenant: str
    client: str
    secret: str = field(repr=False)
    certificate: str
    password: str = field(repr=False)
    federated: str
    authority: Options
    process_timeout: int
    """Whole seconds for a command line tool to answer."""

    def need(self, key: str, variable: str, value: str) -> str:
        """`value`, or `SourceError` with what is to be set."""
        if not value:
            raise SourceError(
                Reason.CREDENTIAL_UNAVAILABLE, f"Neither auth.entra.{key} nor {variable} is set."
            )
        return value

    def principal(self) -> dict[str, str]:
        """Tenant and client, which every credential of an application needs."""
        return {
            "tenant_id": self.need("tenant_id", "AZURE_TENANT_ID", self.tenant),
            "client_id": self.need("client_id", "AZURE_CLIENT_ID", self.client),
        }


def identity_of(entra: Entra, secret: str, environ: Mapping[str, str], timeout: float) -> Identity:
    """The settings, completed from the environment; `secret` is the configured one, already read."""

    def either(value: str | Path | None, variable: str) -> str:
        return str(value) if value else environ.get(variable, "")

    authority = either(entra.authority, "AZURE_AUTHORITY_HOST")
    return Identity(
        tenant=either(entra.tenant_id, "AZURE_TENANT_ID"),
        client=either(entra.client_id, "AZURE_CLIENT_ID"),
        secret=either(secret, "AZURE_CLIENT_SECRET"),
        certificate=either(entra.certificate_file, "AZURE_CLIENT_CERTIFICATE_PATH"),
        password=environ.get("AZURE_CLIENT_CERTIFICATE_PASSWORD", ""),
        federated=either(entra.federated_token_file, "AZURE_FEDERATED_TOKEN_FILE"),
        authority={"authority": authority} if authority else {},
        process_timeout=max(1, int(timeout)),
    )


def kind_of(entra: Entra) -> str:
    """The name of the credential: a configured secret or file decides where the setting says `default`."""
    if entra.credential != "default":
        return entra.credential
    if entra.client_secret is not None or entra.client_secret_file is not None:
        return "client_secret"
    if entra.certificate_file is not None:
        return "certificate"
    return "default" if entra.federated_token_file is None else "workload_identity"


def _client_secret(who: Identity, options: Options) -> AsyncSupportsTokenInfo:
    secret = who.need("client_secret", "AZURE_CLIENT_SECRET", who.secret)
    return azure.ClientSecretCredential(**who.principal(), client_secret=secret, **who.authority, **options)


def _certificate(who: Identity, options: Options) -> AsyncSupportsTokenInfo:
    path = who.need("certificate_file", "AZURE_CLIENT_CERTIFICATE_PATH", who.certificate)
    password = who.password or None
    try:
        return azure.CertificateCredential(
            **who.principal(), certificate_path=path, password=password, **who.authority, **options
        )
    except TypeError as error:
        # How cryptography tells of an encrypted key without a password, and of a password for a plain one.
        raise ValueError("the certificate's key and its password do not fit") from error


def _workload_identity(who: Identity, options: Options) -> AsyncSupportsTokenInfo:
    path = who.need("federated_token_file", "AZURE_FEDERATED_TOKEN_FILE", who.federated)
    return azure.WorkloadIdentityCredential(
        **who.principal(), token_file_path=path, **who.authority, **options
    )


def _managed_identity(who: Identity, options: Options) -> AsyncSupportsTokenInfo:
    return azure.ManagedIdentityCredential(client_id=who.client or None, **options)


def _cli(who: Identity, _: Options) -> AsyncSupportsTokenInfo:
    return azure.AzureCliCredential(tenant_id=who.tenant, process_timeout=who.process_timeout)


def _default(who: Identity, options: Options) -> AsyncSupportsTokenInfo:
    known: dict[str, Any] = {"process_timeout": who.process_timeout, **who.authority, **options}
    if who.client:
        known["managed_identity_client_id"] = who.client
    if who.tenant:
        known["workload_identity_tenant_id"] = who.tenant
    return azure.DefaultAzureCredential(**known)


BUILDERS: Mapping[str, Callable[[Identity, Options], AsyncSupportsTokenInfo]] = MappingProxyType(
    {
        "client_secret": _client_secret,
        "certificate": _certificate,
        "workload_identity": _workload_identity,
        "managed_identity": _managed_identity,
        "cli": _cli,
        "default": _default,
    }
)
"""Each builds one credential; raises `SourceError` for a missing value, ValueError for a bad one."""
