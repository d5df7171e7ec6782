"""The local CA's directory: made once, kept, renewed, and nobody else's file touched."""

import datetime as dt
import stat
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.certificates import Outcome, Refused, files, prepare, read_sheet
from gateway.certificates.authority import Authority

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


def made(folder: Path, *hosts: str, **more: Any) -> Outcome:
    """What the directory holds afterwards; at `NOW`, for 365 days unless told."""
    asked = {"days": 365, "renew": False, "client": None, "now": NOW, **more}
    return prepare(folder, hosts, **asked)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_directory(tmp_path: Path) -> None:
    """A CA of ten years and a certificate of a year for loopback, valid from a little before now."""
    outcome = made(tmp_path / "tls")
    leaf = certificate(outcome.files.certificate)
    assert (outcome.authority, outcome.server.what, outcome.client) == ("made", "made", None)
    assert outcome.server.hosts == ("localhost", "127.0.0.1", "::1")
    assert leaf.not_valid_after_utc == NOW + dt.timedelta(days=365)
    assert leaf.not_valid_before_utc == NOW - dt.timedelta(hours=1)
    assert outcome.authority_not_after == NOW + dt.timedelta(days=3_650)
    assert outcome.open_keys == ()


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    """A second run changes no byte."""
    made(tmp_path)
    before = contents(tmp_path)
    again = made(tmp_path)
    assert (again.authority, again.server.what) == ("kept", "kept")
    assert contents(tmp_path) == before


def test_renewal(tmp_path: Path) -> None:
    """Asked for, certificate and key are made anew by the same CA, for the same hosts."""
    made(tmp_path, "localhost", "gateway.internal")
    before = contents(tmp_path)
    again = made(tmp_path, renew=True)
    after = contents(tmp_path)
    assert (again.authority, again.server.what) == ("kept", "renewed")
    assert again.server.hosts == ("localhost", "gateway.internal")
    assert {name for name in before if before[name] != after[name]} == {"tls.crt", "tls.key"}
    certificate(again.files.certificate).verify_directly_issued_by(certificate(again.files.authority))


@pytest.mark.parametrize(("days_left", "what"), [(31, "kept"), (29, "renewed"), (-10, "renewed")])
def test_a_certificate_that_ends(tmp_path: Path, days_left: int, what: str) -> None:
    """Thirty days before its end a certificate is renewed without being asked."""
    made(tmp_path)
    assert made(tmp_path, now=NOW + dt.timedelta(days=365 - days_left)).server.what == what


def test_a_ca_that_ends(tmp_path: Path) -> None:
    """A CA near its end signs nothing more, since clients must trust a new one; nothing is written."""
    made(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(Refused, match=r"ca\.pem ends on 2036-05-29: take another directory"):
        made(tmp_path, renew=True, now=NOW + dt.timedelta(days=3_640))
    assert contents(tmp_path) == before


def test_no_certificate_outlives_its_ca(tmp_path: Path) -> None:
    """In the CA's last year a certificate ends with it."""
    outcome = made(tmp_path)
    late = made(tmp_path, renew=True, now=NOW + dt.timedelta(days=3_500))
    assert late.server.not_after == outcome.authority_not_after


def test_other_hosts(tmp_path: Path) -> None:
    """Hosts that the certificate lacks need --renew; those that the CA must not sign
    for, another directory.
    """
    made(tmp_path, "localhost", "gateway.internal")
    made(tmp_path, "localhost", renew=True)
    with pytest.raises(Refused, match=r"is for localhost; --renew makes one for gateway\.internal"):
        made(tmp_path, "gateway.internal")
    assert made(tmp_path, "a.gateway.internal", "127.0.0.9", renew=True).server.what == "renewed"
    for host in ("other.internal", "evilgateway.internal", "10.0.0.1", "::2"):
        with pytest.raises(Refused, match=f"cannot sign for {host}; take another directory"):
            made(tmp_path, host, renew=True)


def test_a_client(tmp_path: Path) -> None:
    """A certificate for an app is a client's only, the listener's a server's only."""
    outcome = made(tmp_path, client="my-app")
    assert outcome.client is not None
    assert outcome.client.certificate.name == "client-my-app.crt"
    for path, purpose in (
        (outcome.client.certificate, ExtendedKeyUsageOID.CLIENT_AUTH),
        (outcome.files.certificate, ExtendedKeyUsageOID.SERVER_AUTH),
    ):
        assert list(certificate(path).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
            purpose
        ]
    again = made(tmp_path, client="my-app")
    assert again.client is not None
    assert (again.server.what, again.client.what) == ("kept", "kept")
    other = made(tmp_path, client="other-app")
    assert other.client is not None
    assert (other.server.what, other.client.what) == ("kept", "made")


def _foreign_certificate(folder: Path) -> None:
    trustme.CA().issue_cert("localhost").cert_chain_pems[0].write_to_path(str(folder / "tls.crt"))


def _foreign_authority(folder: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.private_key_pem.write_to_path(str(folder / "ca.key"))


FOREIGN = {
    "a certificate of another CA": (_foreign_certificate, "tls.crt is there already and not of this CA"),
    "text": (lambda folder: (folder / "tls.crt").write_text("x"), "tls.crt is there already"),
    "a key alone": (lambda folder: (folder / "tls.key").write_text("x"), "tls.key is there already"),
    "another's CA": (_foreign_authority, "ca.pem is not a CA that this program made"),
    "a CA without its key": (lambda folder: (folder / "ca.key").unlink(), "ca.key is missing or empty"),
    "an empty key": (lambda folder: (folder / "ca.key").write_text(""), "ca.key is missing or empty"),
    "another key": (lambda folder: (folder / "ca.key").write_text("x"), "ca.key is not the private key"),
    "no certificate": (lambda folder: (folder / "ca.pem").write_text("x"), "ca.pem holds no certificate"),
    "a directory": (lambda folder: (folder / "client-a.key").mkdir(), "client-a.key is not a regular file"),
    "a link": (
        lambda folder: (folder / "client-a.crt").symlink_to(folder / "tls.crt"),
        "client-a.crt is not a regular file",
    ),
    "a huge file": (lambda folder: (folder / "tls.crt").write_bytes(b"x" * 70_000), "tls.crt is larger than"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(FOREIGN))
@pytest.mark.parametrize("renew", [False, True])
def test_what_is_not_ours(tmp_path: Path, case: str, renew: bool) -> None:
    """Files that this program did not make, or that do not fit: one line with the name, nothing written."""
    spoil, said = FOREIGN[case]
    made(tmp_path)
    if case == "a key alone":
        (tmp_path / "tls.crt").unlink()
    spoil(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    with pytest.raises(Refused) as refused:
        made(tmp_path, renew=renew, client="a")
    assert said in str(refused.value)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_key_that_does_not_fit(tmp_path: Path) -> None:
    """A listener's key that is not its certificate's: both are made anew, but only when asked."""
    made(tmp_path)
    (tmp_path / "tls.key").write_bytes((tmp_path / "ca.key").read_bytes())
    with pytest.raises(Refused, match=r"tls\.key does not belong to tls\.crt; --renew makes both anew"):
        made(tmp_path)
    assert made(tmp_path, renew=True).server.what == "renewed"
    assert made(tmp_path).server.what == "kept"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the way: one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="Not a directory"):
        made(tmp_path / "file" / "tls")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """A write that fails half way leaves neither new files nor temporary ones."""
    made(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(files.Unusable, match="cannot be written"):
        files.write({tmp_path / "one": (b"1", 0o600), tmp_path / "none" / "two": (b"2", 0o600)})
    assert contents(tmp_path) == before


def test_an_open_directory_keeps_its_mode(tmp_path: Path) -> None:
    """A directory that was there is somebody's: its mode stays, the keys are closed all the same."""
    tmp_path.chmod(0o755)
    made(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "tls.key").stat().st_mode) == 0o600


def test_keys_are_not_shown() -> None:
    """The repr of what holds a key does not."""
    assert "PRIVATE" not in repr(Authority.make((), NOW).pair)
    assert "key=" not in repr(Authority.make((), NOW).pair)


def test_sheet(tmp_path: Path) -> None:
    """A certificate in PEM or DER is told; anything else is None."""
    outcome = made(tmp_path, "localhost", "10.0.0.1")
    encoded = outcome.files.certificate.read_bytes()
    sheet = read_sheet(encoded)
    assert sheet is not None
    assert sheet.subject == "adt-gateway listener"
    assert sheet.issuer.startswith("adt-gateway local CA ")
    assert sheet.hosts == ("localhost", "10.0.0.1")
    assert sheet.not_after == (NOW + dt.timedelta(days=365)).timestamp()
    der = certificate(outcome.files.certificate).public_bytes(Encoding.DER)
    assert read_sheet(der) == sheet
    for nonsense in (b"", b"x", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"):
        assert read_sheet(nonsense) is None
