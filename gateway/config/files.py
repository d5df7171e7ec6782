"""Files that the configuration names: why one cannot be used, and how a secret is read.

The answers are ends of a sentence for people. They hold neither the content nor the path: a secret put where
its file's name belongs must not be printed.
"""

import ssl
import stat
from pathlib import Path
from typing import BinaryIO

from pydantic import SecretStr

_LARGEST_SECRET = 65_536


def read_secret(path: Path) -> SecretStr:
    """The file's text without white space around it.

    Raises OSError where it cannot be read, ValueError where it is not a file, empty, above 64 KiB or not
    UTF-8; the texts never hold the content.
    """
    with _open(path) as file:
        content = file.read(_LARGEST_SECRET + 1)
    if len(content) > _LARGEST_SECRET:
        raise ValueError(f"the file is larger than {_LARGEST_SECRET} bytes")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    if not text:
        raise ValueError("the file is empty")
    return SecretStr(text)


def secret_fault(path: Path) -> str | None:
    """Why no secret can be read from the file, or None."""
    try:
        read_secret(path)
    except OSError as error:
        return _unreadable(error)
    except ValueError as error:
        return str(error)
    return None


def content_fault(path: Path) -> str | None:
    """Why the file, binary or text, cannot be read or is empty, or None."""
    try:
        with _open(path) as file:
            return None if file.read(1) else "the file is empty"
    except OSError as error:
        return _unreadable(error)
    except ValueError as error:
        return str(error)


def authorities_fault(path: Path) -> str | None:
    """Why the file cannot serve as a CA bundle in PEM, or None."""
    if fault := content_fault(path):
        return fault
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "the file holds no valid certificate in PEM"
    return None


def key_fault(certificate: Path, key: Path) -> str | None:
    """Why the private key cannot be used with the certificate, or None; both files are readable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key does not belong to certificate_file"
        return "the file holds no valid private key in PEM"
    except ValueError as error:
        return str(error)
    return None


def _open(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
    except ValueError:
        raise ValueError("the path is not valid") from None
    # A named pipe would block, a device never end.
    if not stat.S_ISREG(mode):
        raise ValueError("the path is not that of a regular file")
    return path.open("rb")


def _no_password() -> str:
    # Without this, OpenSSL asks for a password on the terminal.
    raise ValueError("the private key must not be encrypted")


def _unreadable(error: OSError) -> str:
    return f"the file cannot be read: {error.strerror}"
