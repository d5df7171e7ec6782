"""The files of one directory: made, kept, renewed, never somebody else's overwritten.

The CA is made once and used again, so that what trusts it goes on trusting the listener. A certificate that
is valid for another while is kept unless a new one is asked for.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.certificates import files, names
from gateway.certificates.authority import Authority, Pair
from gateway.certificates.files import PRIVATE, PUBLIC, Unusable

RENEWED_BEFORE: Final = dt.timedelta(days=30)
"""A certificate that ends within this time is renewed without being asked."""

What = Literal["made", "kept", "renewed"]


class Refused(Exception):
    """It cannot be done; the message is one line for people. See `prepare` for what was written."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where everything is."""

    folder: Path

    @property
    def authority(self) -> Path:
        """What clients trust."""
        return self.folder / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """What signs."""
        return self.folder / "ca.key"

    @property
    def certificate(self) -> Path:
        """The listener's."""
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        """The listener's."""
        return self.folder / "tls.key"

    def client(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of an app."""
        return self.folder / f"client-{name}.crt", self.folder / f"client-{name}.key"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate of the CA's, and what became of it."""

    what: What
    certificate: Path
    key: Path
    hosts: tuple[str, ...]
    not_after: dt.datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there is now."""

    files: Files
    authority: What
    authority_not_after: dt.datetime
    server: Leaf
    client: Leaf | None
    open_keys: tuple[Path, ...]
    """Keys that others on this machine may read."""
    open_folder: bool
    """Whether others on this machine may replace what is in the directory."""


def prepare(
    folder: Path, hosts: Sequence[str], *, days: int, renew: bool, client: str | None, now: dt.datetime
) -> Outcome:
    """See to it that the directory holds a CA, a listener's certificate and, if named, a client's.

    `hosts` empty means those of the certificate that is there, else loopback. `renew` asks for new
    certificates, never for a new CA. Raises Refused, before anything is written, for files that are not this
    CA's, hosts that it must not sign for, and a CA that ends; for a file that cannot be written at any time.
    """
    place = Files(folder)
    try:
        return _prepare(place, tuple(hosts), days, client, renew=renew, now=now)
    except Unusable as error:
        raise Refused(str(error)) from None


def _prepare(
    place: Files, hosts: tuple[str, ...], days: int, client: str | None, *, renew: bool, now: dt.datetime
) -> Outcome:
    authority = _stored_authority(place, now)
    made: What = "made" if authority is None else "kept"
    paths = (place.certificate, place.key)
    stored = _stored_leaf(authority, *paths, renew=renew)
    wanted = hosts or (names.hosts_of(stored) if stored else names.LOOPBACK)
    signer = authority or Authority.make(wanted, now)
    _check_hosts(place, signer, stored, hosts, renew=renew)
    fresh = _needs(stored, renew=renew, now=now)
    server = signer.issue_server(wanted, days, now) if fresh else None
    client_paths = place.client(client) if client else paths
    client_stored = _stored_leaf(authority, *client_paths, renew=renew) if client else None
    fresh_client = client is not None and _needs(client_stored, renew=renew, now=now)
    client_pair = signer.issue_client(client, days, now) if client and fresh_client else None
    files.make_directory(place.folder)
    contents: dict[Path, tuple[bytes, int]] = {}
    if authority is None:
        contents |= _contents(signer.pair, place.authority, place.authority_key)
    contents |= _contents(server, *paths) if server else {}
    contents |= _contents(client_pair, *client_paths) if client_pair else {}
    files.write(contents)
    keys = (place.authority_key, place.key, *client_paths[1:])
    return Outcome(
        place,
        made,
        signer.certificate.not_valid_after_utc,
        _leaf(server, stored, paths),
        _leaf(client_pair, client_stored, client_paths) if client else None,
        tuple(dict.fromkeys(key for key in keys if files.is_open_to_others(key))),
        files.is_writable_by_others(place.folder),
    )


def _stored_authority(place: Files, now: dt.datetime) -> Authority | None:
    certificate, key = files.read(place.authority), files.read(place.authority_key)
    if certificate is None and key is None:
        return None
    missing = [
        path for path, content in ((place.authority, certificate), (place.authority_key, key)) if not content
    ]
    if certificate is None or key is None or missing:
        raise Refused(
            f"{missing[0]} is missing or empty: put it back, or take another directory for a new CA"
        )
    authority = Authority(_pair(certificate, key, place.authority, place.authority_key))
    if not _is_authority(authority):
        raise Refused(f"{place.authority} is not a CA that this program made; take another directory")
    if authority.certificate.not_valid_after_utc - now < RENEWED_BEFORE:
        end = f"{authority.certificate.not_valid_after_utc:%Y-%m-%d}"
        raise Refused(
            f"the CA {place.authority} ends on {end}: take another directory for a new one, which clients"
            " must then trust"
        )
    return authority


def _is_authority(authority: Authority) -> bool:
    extensions = authority.certificate.extensions
    try:
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return basic.ca and authority.has_signed(authority.certificate)


def _stored_leaf(
    authority: Authority | None, certificate_path: Path, key_path: Path, *, renew: bool
) -> x509.Certificate | None:
    """The certificate that is there; one that belongs to another CA, or a key without it, is not ours."""
    encoded, key = files.read(certificate_path), files.read(key_path)
    if encoded is None and key is None:
        return None
    certificate = None if encoded is None else _certificate(encoded)
    if authority is None or certificate is None or not authority.has_signed(certificate):
        foreign = key_path if encoded is None else certificate_path
        raise Refused(
            f"{foreign} is there already and not of this CA; move it away or take another directory"
        )
    if not renew and (key is None or not _belongs(certificate, key)):
        raise Refused(f"{key_path} does not belong to {certificate_path.name}; --renew makes both anew")
    return certificate


def _check_hosts(
    place: Files, signer: Authority, stored: x509.Certificate | None, hosts: tuple[str, ...], *, renew: bool
) -> None:
    if forbidden := names.outside(signer.certificate, hosts):
        raise Refused(
            f"the CA {place.authority} is bound to other hosts and cannot sign for {', '.join(forbidden)};"
            " take another directory for a new CA, and name all hosts"
        )
    if stored is None or renew:
        return
    if set(hosts) - set(names.hosts_of(stored)):
        raise Refused(
            f"{place.certificate} is for {', '.join(names.hosts_of(stored))}; --renew makes one for"
            f" {', '.join(hosts)}"
        )


def _needs(stored: x509.Certificate | None, *, renew: bool, now: dt.datetime) -> bool:
    return stored is None or renew or stored.not_valid_after_utc - now < RENEWED_BEFORE


def _leaf(new: Pair | None, stored: x509.Certificate | None, paths: tuple[Path, Path]) -> Leaf:
    certificate = new.certificate if new else stored
    assert certificate is not None  # noqa: S101 - what is not stored was made
    what: What = "kept" if new is None else "renewed" if stored else "made"
    return Leaf(what, *paths, names.hosts_of(certificate), certificate.not_valid_after_utc)


def _contents(pair: Pair, certificate: Path, key: Path) -> dict[Path, tuple[bytes, int]]:
    return {key: (pair.key_pem, PRIVATE), certificate: (pair.certificate_pem, PUBLIC)}


def _pair(certificate: bytes, key: bytes, path: Path, key_path: Path) -> Pair:
    known = _certificate(certificate)
    if known is None:
        raise Refused(f"{path} holds no certificate in PEM")
    private = _key(key)
    if private is None or not _belongs(known, key):
        raise Refused(f"{key_path} is not the private key of {path.name}")
    return Pair(known, private)


def _certificate(encoded: bytes) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(encoded)
    except ValueError:
        return None


def _key(encoded: bytes) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(encoded, None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _belongs(certificate: x509.Certificate, key: bytes) -> bool:
    private = _key(key)
    return private is not None and private.public_key() == certificate.public_key()
