"""Trust in a gateway's certificate: whose CAs count, and what to do where it is not accepted."""

import ssl
from typing import Final

from gateway.console.reach import BadUsage, Reach
from gateway.console.text import printable

_OTHER_HOST: Final = frozenset({62, 64})
"""OpenSSL's codes (x509_vfy.h) for a certificate of another name or address."""


def context(reach: Reach) -> ssl.SSLContext:
    """The system's CAs, and `ca_file`. Raises BadUsage where that cannot be read."""
    if not reach.url.startswith("https:"):
        # To load the system's CAs takes longer than to ask.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting = ssl.create_default_context()
    if reach.ca_file is not None:
        try:
            trusting.load_verify_locations(reach.ca_file)
        except OSError as error:
            raise BadUsage(f"--ca-file: no certificate can be read from it: {error.strerror}") from None
    return trusting


def distrust(error: BaseException, name: str, option: str) -> str | None:
    """Why the certificate of `name` is not accepted, and what to do; None where something else failed."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLCertVerificationError):
        seen = seen.__cause__ or seen.__context__
    if seen is None:
        return None
    if seen.verify_code in _OTHER_HOST:
        advice = f"{option} must name it by a host that the certificate is for"
    else:
        # The admin listener has no TLS of its own, so its commands have no option for a CA.
        file = "--ca-file FILE (the ca.pem of `adt-gateway certs`) or " if option == "--gateway" else ""
        advice = f"if it is your own, name its CA with {file}SSL_CERT_FILE=FILE"
    return f"The certificate of {name} is not accepted ({printable(seen.verify_message)}): {advice}."
