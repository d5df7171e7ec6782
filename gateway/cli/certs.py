"""`certs`: a local CA and a certificate for the TLS listener, and how each client trusts it."""

import datetime as dt
import ipaddress
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.options import Version, complaints, output, refuse
from gateway.config.origin import is_host, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.certificates import Leaf, Outcome

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MOST_DAYS: Final = 397
"""Apple's systems refuse a server's certificate that is valid for longer than 398 days."""

_DEFAULT: Final = {
    "win32": "%LOCALAPPDATA%\\adt-gateway\\tls",
    "darwin": "~/Library/Application Support/adt-gateway/tls",
}.get(sys.platform, "~/.local/share/adt-gateway/tls (below XDG_DATA_HOME where that is set)")

Folder = Annotated[
    # As text: a Path makes the current directory of an empty one.
    str | None,
    typer.Option("--dir", metavar="DIR", help=f"Where the files are; default: {_DEFAULT}."),
]
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST",
        help="A name or address that clients use for the gateway, beside localhost, 127.0.0.1 and ::1;"
        " repeatable. Default: the hosts of the certificate that is there, else these three.",
    ),
]
Days = Annotated[
    int,
    typer.Option(min=1, max=_MOST_DAYS, help="Days that a new certificate is valid. The CA: ten years."),
]
Renew = Annotated[
    bool,
    typer.Option(
        "--renew", help="Make the certificate and its key anew. The CA stays, and with it the clients' trust."
    ),
]
Client = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Make a certificate for an app, too, for listen.tls.client_ca_file (mTLS)."
    ),
]


def certs(
    *,
    folder: Folder = None,
    host: Hosts = None,
    days: Days = 365,
    renew: Renew = False,
    client: Client = None,
    version: Version = False,
) -> None:
    """Make a local CA and a certificate for the TLS listener, and say how each SDK trusts it.

    What is there already is kept: the CA always, a certificate until 30 days
    before its end. The CA is good for these hosts and loopback only. No file
    that this command did not make is replaced.
    """
    del version
    from gateway import certificates as room  # noqa: PLC0415 - as in serve

    faults = [fault for name in host or [] if (fault := _host_fault(name))]
    if faults:
        refuse(*faults)
    if folder == "":
        refuse("--dir: must not be empty; for the current directory, say so: --dir .")
    if client is not None and not _NAME.fullmatch(client):
        refuse("--client: must be at most 64 letters, digits, - and _, and begin with a letter or digit")
    # An app on the gateway's own machine goes on to use loopback.
    hosts = list(dict.fromkeys((*room.LOOPBACK, *map(_normal, host)))) if host else []
    place, now = _directory(folder), dt.datetime.now(dt.UTC)
    try:
        outcome = room.prepare(place, hosts, days=days, renew=renew, client=client, now=now)
    except room.Refused as error:
        refuse(str(error))
    out = output()
    for line in (*_files(outcome), "", *_settings(outcome), "", *_trust(outcome)):
        out.print(line, markup=False, soft_wrap=True)
    for key in outcome.open_keys:
        complaints.print(f"warning: {key} can be read by others: chmod 600", markup=False)
    if outcome.open_folder:
        complaints.print(
            f"warning: others can write to {place}, and so put another CA or key there: chmod go-w",
            markup=False,
        )


def _host_fault(host: str) -> str | None:
    """Why no certificate can be made for the host, or None."""
    from gateway.console import printable  # noqa: PLC0415 - as in serve

    said = f"--host: '{printable(host)}'"
    if "*" in host:
        return f"{said} is a wildcard, which is not allowed; name each host, with a --host of its own"
    # A zone id says which interface of one machine is meant, so no certificate can hold it.
    if not is_host(host) or "%" in host:
        return f"{said} must be an IP address, without brackets, or a host name, without a port"
    try:
        is_any = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return None
    return f"{said} stands for every address; name those that clients use" if is_any else None


def _normal(host: str) -> str:
    """The host as a certificate gives it back: an address in its one spelling, a name in lower case."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def _directory(given: str | None) -> Path:
    if given is not None:
        return Path(given).absolute()
    try:
        return _data_directory() / "adt-gateway" / "tls"
    except RuntimeError:
        refuse("--dir: your user has no home directory: name one")


def _data_directory() -> Path:
    """Where programs of this user keep their data. Raises RuntimeError where there is no home directory."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    given = Path(os.environ.get("XDG_DATA_HOME", ""))
    # A relative one is to be ignored (XDG Base Directory Specification).
    return given if given.is_absolute() else Path.home() / ".local" / "share"


def _files(outcome: "Outcome") -> "Iterator[str]":
    server, client = outcome.server, outcome.client
    yield f"In {outcome.files.folder}:"
    yield ""
    yield f"  ca.pem   what clients trust: {outcome.authority}, until {outcome.authority_not_after:%Y-%m-%d}"
    yield "  ca.key   signs renewals; it stays on this machine, and out of images and repositories. What it"
    yield "           signs is good for the hosts below and loopback only"
    yield f"  tls.crt  for {', '.join(server.hosts)}: {_state(server)}"
    yield "  tls.key  its key; the gateway's user must be able to read it, nobody else"
    if client is not None:
        yield f"  {client.certificate.name} and {client.key.name}"
        yield f"           for an app that shows who it is: {_state(client)}"
    if server.what == "renewed":
        yield ""
        yield "Clients that trust ca.pem need nothing new. A gateway that runs takes up the new certificate"
        yield "within seconds."


def _state(leaf: "Leaf") -> str:
    return f"{leaf.what}, until {leaf.not_after:%Y-%m-%d}"


def _settings(outcome: "Outcome") -> "Iterator[str]":
    """Lines of TOML."""
    from gateway.certificates import LOOPBACK  # noqa: PLC0415 - as in serve

    files, hosts = outcome.files, outcome.server.hosts
    yield "For the gateway's configuration:"
    yield ""
    if not all(map(is_loopback, hosts)):
        yield "[listen]"
        yield f"allowed_hosts = {_toml(list(dict.fromkeys((*LOOPBACK, *hosts))))}"
        yield ""
    yield "[listen.tls]"
    yield f"certificate_file = {_toml(str(files.certificate))}"
    yield f"key_file = {_toml(str(files.key))}"
    if outcome.client is not None:
        yield f"client_ca_file = {_toml(str(files.authority))}"


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _trust(outcome: "Outcome") -> "Iterator[str]":
    from gateway.certificates import BUNDLE, ways  # noqa: PLC0415 - as in serve

    authority = outcome.files.authority
    yield "How clients are told to trust it:"
    for way in ways():
        yield ""
        yield f"  {way.client}{f': {way.note}' if way.note else ''}"
        yield f"    {way.at(authority)}"
    yield ""
    yield "  bundle.pem: the public CAs and this one"
    yield f"    {BUNDLE.format(ca=authority)}"
