"""Files that the configuration names: read strictly, told without their content."""

import os
import socket
from pathlib import Path

import pytest

from gateway.config.files import authorities_fault, content_fault, key_fault, read_secret, secret_fault
from tests.support.certificates import CertificateFiles, write_certificates


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return write_certificates(tmp_path_factory.mktemp("certificates"))


def test_secret_is_read_without_white_space(tmp_path: Path) -> None:
    """The line break that editors and `echo` put at the end is not part of the secret, which repr masks."""
    path = tmp_path / "secret"
    path.write_text(" s3cr3t\n")
    assert read_secret(path).get_secret_value() == "s3cr3t"
    assert "s3cr3t" not in repr(read_secret(path))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"canary\xff", "the file is not UTF-8 text"),
        (b"x" * 65_537, "the file is larger than 65536 bytes"),
    ],
)
def test_bad_secret(content: bytes, fault: str, tmp_path: Path) -> None:
    """A file without a usable secret is told in words that do not hold its content."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert secret_fault(path) == fault


def test_what_is_no_file(tmp_path: Path) -> None:
    """A folder, a pipe and a device are refused without being read: a pipe would block."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, Path("/dev/zero")):
        assert secret_fault(path) == content_fault(path) == "the path is not that of a regular file"


def test_path_that_is_none(tmp_path: Path) -> None:
    """A path that is missing, too long or not valid is a fault, never an exception."""
    missing = "the file cannot be read: No such file or directory"
    assert secret_fault(tmp_path / "none") == content_fault(tmp_path / "none") == missing
    assert secret_fault(tmp_path / ("x" * 300)) == "the file cannot be read: File name too long"
    assert secret_fault(Path("a\0b")) == content_fault(Path("a\0b")) == "the path is not valid"


def test_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    """Kubernetes mounts secrets as links."""
    (tmp_path / "data").write_text("s3cr3t")
    (tmp_path / "secret").symlink_to(tmp_path / "data")
    assert secret_fault(tmp_path / "secret") is None


def test_authorities(files: CertificateFiles, tmp_path: Path) -> None:
    """A CA file has at least one certificate in PEM."""
    assert authorities_fault(files.ca) is None
    assert authorities_fault(files.key) == "the file holds no valid certificate in PEM"
    (tmp_path / "empty").touch()
    assert authorities_fault(tmp_path / "empty") == "the file is empty"


def test_key_of_a_certificate(files: CertificateFiles, tmp_path: Path) -> None:
    """A key belongs to the certificate, is PEM, and opens without a password."""
    other = write_certificates(tmp_path)
    assert key_fault(files.certificate, files.key) is None
    assert key_fault(files.certificate, other.key) == "the key does not belong to certificate_file"
    assert key_fault(files.certificate, files.ca) == "the file holds no valid private key in PEM"
    assert key_fault(files.certificate, files.encrypted_key) == "the private key must not be encrypted"


def test_socket_is_no_file(tmp_path: Path) -> None:
    """A Unix socket is no secret file."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert content_fault(tmp_path / "s") == "the path is not that of a regular file"
