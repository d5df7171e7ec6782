"""Whether a connection came to its end, or was cut: TLS says which (RFC 8446, section 6.1)."""

import ssl


def is_proper(tls: ssl.SSLObject | ssl.SSLSocket | None) -> bool:
    """Whether TLS has said that nothing follows; without TLS nobody can. Only where the connection ended."""
    if tls is None:
        return True
    try:
        # OpenSSL gives no bytes behind a closure alert, and an error where there was none.
        return not tls.read(1)
    except ssl.SSLError:
        return False
