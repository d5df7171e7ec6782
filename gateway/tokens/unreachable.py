"""Why an issuer cannot be reached, from the chain of exceptions that a client raises.

The words are the system's and OpenSSL's; nothing of a library's own text is repeated, which may hold a URL.
"""

import os
import socket
import ssl
from collections.abc import Iterator


def reason(error: BaseException) -> str | None:
    """What went wrong, as the end of a sentence; None where nothing in the chain tells."""
    # The innermost knows best: libraries wrap it in errors of their own that pass for it.
    return next(filter(None, map(_told, reversed(tuple(_chain(error))))), None)


def _told(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        words = getattr(error, "verify_message", "") or "it cannot be verified"
        return f"its certificate is not accepted: {words.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        # Only OpenSSL's own errors have a reason; Python code raises the class without one.
        words = getattr(error, "reason", None)
        return f"no TLS connection: {words}" if words else None
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved: {error.strerror}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):
            # One for each address of a name; the last is as a rule of IPv4, which says most.
            seen = seen.exceptions[-1]
        else:
            # httpcore suppresses the context, which is what is wanted here.
            seen = seen.__cause__ or seen.__context__
