"""Rules of `auth.oauth2`, `auth.file` and `auth.static`: what the chosen mode needs, it has."""

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.config.auth_sections import OAuth2
from gateway.config.files import authorities_fault, secret_fault
from gateway.config.problem import Problem
from gateway.config.rules.given import Given, private_url_fault

_RESERVED = ("client_assertion", "client_id", "client_secret", "grant_type", "scope")
_BEARER = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""Syntax of a bearer token (RFC 6750, section 2.1)."""


def token_url(given: Given) -> Iterator[Problem]:
    """The client secret travels to an issuer that is named, and not in clear."""
    if oauth2 := _oauth2(given):
        fault = private_url_fault(oauth2.token_url) if oauth2.token_url else _required("oauth2")
        yield from given.fault("auth.oauth2.token_url", fault)


def client_id(given: Given) -> Iterator[Problem]:
    """The client has a name."""
    if (oauth2 := _oauth2(given)) and oauth2.client_id is None:
        yield given.problem("auth.oauth2.client_id", _required("oauth2"))


def client_secret(given: Given) -> Iterator[Problem]:
    """The client's secret is there exactly once."""
    if not (oauth2 := _oauth2(given)):
        return
    if oauth2.client_secret is None and oauth2.client_secret_file is None:
        yield given.problem(
            "auth.oauth2.client_secret", _required("oauth2") + "; client_secret_file does as well"
        )
    if oauth2.client_secret_file is not None:
        if oauth2.client_secret is not None:
            yield given.problem(
                "auth.oauth2.client_secret_file", "must not be set together with client_secret"
            )
        yield from given.fault("auth.oauth2.client_secret_file", secret_fault(oauth2.client_secret_file))


def oauth2_ca_file(given: Given) -> Iterator[Problem]:
    """The issuer's CA can be loaded."""
    if (oauth2 := _oauth2(given)) and oauth2.ca_file is not None:
        yield from given.fault("auth.oauth2.ca_file", authorities_fault(oauth2.ca_file))


def extra(given: Given) -> Iterator[Problem]:
    """Further parameters leave those of the grant alone."""
    for name in sorted(given.settings.auth.oauth2.extra):
        if name in _RESERVED:
            yield given.problem_at(
                ("auth", "oauth2", "extra", name), f"must be none of {', '.join(_RESERVED)}"
            )


def token_file(given: Given) -> Iterator[Problem]:
    """The token file can be read; where there is none yet, whoever keeps it fresh may be slower to start."""
    if given.settings.auth.mode != "file":
        return
    path = given.settings.auth.file.path
    if path is None or not _is_missing(path):
        yield from given.fault("auth.file.path", secret_fault(path) if path else _required("file"))


def static_token(given: Given) -> Iterator[Problem]:
    """The fixed token can stand in a header."""
    if given.settings.auth.mode != "static":
        return
    token = given.settings.auth.static.token
    if token is None:
        yield given.problem("auth.static.token", _required("static"))
    elif not _BEARER.fullmatch(token.get_secret_value()):
        yield given.problem("auth.static.token", "must be a bearer token: letters, digits and -._~+/, then =")


def _is_missing(path: Path) -> bool:
    # `Path.exists` raises where the folder cannot be looked into, or, since Python 3.14, calls it missing.
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _oauth2(given: Given) -> OAuth2 | None:
    auth = given.settings.auth
    return auth.oauth2 if auth.mode == "oauth2" else None


def _required(mode: str) -> str:
    return f"is required with auth.mode = {mode}"
