"""The files that are in use: whether they can be read, and how long what they hold is good for.

What `check` finds by itself is not looked at again in depth; files that only the platform's variables name,
and ends that come near, show here.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from gateway.config import Settings
from gateway.config.files import content_fault
from gateway.online.claims import read_claims
from gateway.online.finding import Finding, ok, skipped, warned
from gateway.online.secure import ReadSheet

_SOON: Final = 14 * 86_400.0
"""Seconds; a certificate that ends within them is warned of."""
_LARGEST: Final = 65_536

Named = tuple[str, Path]
"""The key or variable that names a file, and the file."""


def look_at_files(
    settings: Settings, environ: Mapping[str, str], read_sheet: ReadSheet, now: float
) -> Finding:
    """A line for each file; `now` is the wall clock, seconds since the epoch."""
    told, wrong = [], []
    for name, path in _named(settings, environ):
        line, fine = _look(name, path, read_sheet, now)
        told.append(line)
        wrong += [] if fine else [name]
    if wrong:
        return warned(f"look at {', '.join(wrong)}", *told, advice="Renew or mend what is named above.")
    if not told:
        return skipped("the configuration names no file")
    return ok("every file that is in use can be read", *told)


def _named(settings: Settings, environ: Mapping[str, str]) -> Iterator[Named]:
    listen, auth = settings.listen.tls, settings.auth
    candidates: list[tuple[str, Path | None]] = [
        ("listen.tls.certificate_file", listen.certificate_file),
        ("listen.tls.key_file", listen.key_file),
        ("listen.tls.client_ca_file", listen.client_ca_file),
        ("upstream.ca_file", settings.upstream.ca_file),
        *((f"auth.inbound.key_files.{name}", path) for name, path in auth.inbound.key_files.items()),
    ]
    if auth.mode == "oauth2":
        candidates += [
            ("auth.oauth2.client_secret_file", auth.oauth2.client_secret_file),
            ("auth.oauth2.ca_file", auth.oauth2.ca_file),
        ]
    if auth.mode == "file":
        candidates.append(("auth.file.path", auth.file.path))
    for name, path in candidates:
        if path is not None:
            yield name, path
    if auth.mode == "entra":
        yield from _of_entra(settings, environ)


def _of_entra(settings: Settings, environ: Mapping[str, str]) -> Iterator[Named]:
    entra = settings.auth.entra
    if entra.client_secret_file is not None:
        yield "auth.entra.client_secret_file", entra.client_secret_file
    for key, configured, variable, credential in (
        ("certificate_file", entra.certificate_file, "AZURE_CLIENT_CERTIFICATE_PATH", "certificate"),
        (
            "federated_token_file",
            entra.federated_token_file,
            "AZURE_FEDERATED_TOKEN_FILE",
            "workload_identity",
        ),
    ):
        if entra.credential not in {"default", credential}:
            continue
        if configured is not None:
            yield f"auth.entra.{key}", configured
        elif environ.get(variable):
            yield variable, Path(environ[variable])


def _look(name: str, path: Path, read_sheet: ReadSheet, now: float) -> tuple[str, bool]:
    """A line, and whether all is well."""
    if fault := content_fault(path):
        return f"{name}: {path}: {fault}", False
    read_end = _END.get(name)
    end = None if read_end is None else read_end(path, read_sheet)
    if end is None:
        return f"{name}: {path}", True
    day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))
    if end <= now:
        return f"{name}: {path}: ended {day}", False
    # A federated token is renewed by the platform every hour or so.
    soon = name in _CERTIFICATES and end - now < _SOON
    return f"{name}: {path}: good until {day}", not soon


def _certificate_end(path: Path, read_sheet: ReadSheet) -> float | None:
    sheet = read_sheet(_content(path))
    return None if sheet is None else sheet.not_after


def _token_end(path: Path, _: ReadSheet) -> float | None:
    claims = read_claims(_content(path).decode("ascii", "replace").strip())
    return None if claims is None else claims.expires_on


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""


_CERTIFICATES: Final = frozenset(
    {
        "listen.tls.certificate_file",
        "listen.tls.client_ca_file",
        "auth.entra.certificate_file",
        "AZURE_CLIENT_CERTIFICATE_PATH",
    }
)
_END: Final[Mapping[str, Callable[[Path, ReadSheet], float | None]]] = {
    **dict.fromkeys(_CERTIFICATES, _certificate_end),
    "auth.entra.federated_token_file": _token_end,
    "AZURE_FEDERATED_TOKEN_FILE": _token_end,
}
