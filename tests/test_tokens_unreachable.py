"""Why an issuer cannot be reached, in the system's words and OpenSSL's."""

import errno
import os
import socket
import ssl

import pytest

from gateway.tokens.unreachable import reason


def certificate(**told: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] https://secret.example")
    for name, value in told.items():
        setattr(error, name, value)
    return error


def tls(**told: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] https://secret.example")
    for name, value in told.items():
        setattr(error, name, value)
    return error


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "https://secret.example")
NO_ROUTE = OSError(errno.EHOSTUNREACH, "https://secret.example")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (certificate(verify_message="self-signed certificate."), "self-signed certificate"),
        (certificate(), "it cannot be verified"),
        (certificate(verify_message=""), "it cannot be verified"),
    ],
)
def test_a_certificate(error: ssl.SSLError, told: str) -> None:
    """What OpenSSL finds wrong with it, as the end of a sentence."""
    assert reason(error) == f"its certificate is not accepted: {told}"


def test_tls() -> None:
    """OpenSSL's reason; where there is none nothing is told, least of all a system's error 1."""
    assert reason(tls(reason="WRONG_VERSION_NUMBER")) == "no TLS connection: WRONG_VERSION_NUMBER"
    assert reason(tls()) is None


def test_names_and_the_system() -> None:
    """The resolver's words, and the system's for the number of an error, never the error's own."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert reason(unknown) == "its name cannot be resolved: Name or service not known"
    assert reason(REFUSED) == os.strerror(errno.ECONNREFUSED)
    assert reason(OSError("https://secret.example")) is None
    assert reason(ValueError("https://secret.example")) is None


def test_the_innermost_knows_best() -> None:
    """Causes before contexts, and of several addresses the last."""
    outer = OSError(errno.EIO, "outer")
    outer.__cause__, outer.__context__ = REFUSED, NO_ROUTE
    assert reason(outer) == os.strerror(errno.ECONNREFUSED)
    outer.__cause__ = None
    assert reason(outer) == os.strerror(errno.EHOSTUNREACH)
    group = OSError(errno.EIO, "outer")
    group.__cause__ = ExceptionGroup("all", [REFUSED, NO_ROUTE])
    assert reason(group) == os.strerror(errno.EHOSTUNREACH)
    wrapped = RuntimeError("https://secret.example")
    wrapped.__cause__ = tls()
    assert reason(wrapped) is None
