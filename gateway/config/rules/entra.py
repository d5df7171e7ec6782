"""Rules of `auth.entra`: each credential has its parts, from its keys or from the AZURE_* variables."""

from collections.abc import Iterator
from pathlib import Path

from gateway.config.auth_sections import Entra
from gateway.config.files import content_fault, secret_fault
from gateway.config.origin import is_host, parse_origin
from gateway.config.problem import Problem
from gateway.config.rules.given import Given

_APPLICATIONS = ("client_secret", "certificate", "workload_identity")
"""Credentials of an application in a directory; the others find both by themselves."""


def tenant_id(given: Given) -> Iterator[Problem]:
    """The directory is known."""
    if entra := _entra(given, *_APPLICATIONS):
        yield from _needed(given, entra, "tenant_id", "AZURE_TENANT_ID")


def client_id(given: Given) -> Iterator[Problem]:
    """The application is known."""
    if entra := _entra(given, *_APPLICATIONS):
        yield from _needed(given, entra, "client_id", "AZURE_CLIENT_ID")


def client_secret(given: Given) -> Iterator[Problem]:
    """The application's secret is there, once."""
    if not (entra := _entra(given, "client_secret")):
        return
    if entra.client_secret_file is None:
        yield from _needed(given, entra, "client_secret", "AZURE_CLIENT_SECRET")
        return
    if entra.client_secret is not None:
        yield given.problem("auth.entra.client_secret_file", "must not be set together with client_secret")
    yield from given.fault("auth.entra.client_secret_file", secret_fault(entra.client_secret_file))


def certificate_file(given: Given) -> Iterator[Problem]:
    """The application's certificate is there."""
    if entra := _entra(given, "certificate"):
        yield from _needed_file(given, entra, "certificate_file", "AZURE_CLIENT_CERTIFICATE_PATH")


def federated_token_file(given: Given) -> Iterator[Problem]:
    """The platform's token is there."""
    if entra := _entra(given, "workload_identity"):
        yield from _needed_file(given, entra, "federated_token_file", "AZURE_FEDERATED_TOKEN_FILE")


def authority(given: Given) -> Iterator[Problem]:
    """Secrets go to an authority by https only; azure-identity takes a bare host as well."""
    key, variable = "auth.entra.authority", "AZURE_AUTHORITY_HOST"
    if not (entra := _entra(given)):
        return
    value = entra.authority or given.variable(variable)
    if value and not _is_authority(value):
        message = "must be a host name or an https:// URL without a path"
        yield given.problem(key, message) if entra.authority else Problem("", message, variable)


def _entra(given: Given, *credentials: str) -> Entra | None:
    """The section where it is in use, with one of these credentials if any is named."""
    auth = given.settings.auth
    wanted = not credentials or auth.entra.credential in credentials
    return auth.entra if auth.mode == "entra" and wanted else None


def _needed(given: Given, entra: Entra, name: str, variable: str) -> Iterator[Problem]:
    if getattr(entra, name) is None and given.variable(variable) is None:
        yield given.problem(
            f"auth.entra.{name}",
            f"is required with auth.entra.credential = {entra.credential}; {variable} does as well",
        )


def _needed_file(given: Given, entra: Entra, name: str, variable: str) -> Iterator[Problem]:
    configured: Path | None = getattr(entra, name)
    elsewhere = given.variable(variable)
    if configured is not None:
        yield from given.fault(f"auth.entra.{name}", content_fault(configured))
    elif elsewhere is None:
        yield from _needed(given, entra, name, variable)
    elif fault := content_fault(Path(elsewhere)):
        yield Problem("", fault, variable)


def _is_authority(text: str) -> bool:
    if is_host(text):
        return True
    try:
        return parse_origin(text).scheme == "https"
    except ValueError:
        return False
