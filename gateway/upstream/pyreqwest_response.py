"""A response as pyreqwest reads it: its head checked, its body piece by piece."""

from collections.abc import Awaitable

from pyreqwest.client import Client
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response as PyreqwestResponse

from gateway import failures
from gateway.exchange import RawHeaders
from gateway.upstream.generations import Generations
from gateway.upstream.response import PulledResponse

_WITHOUT_BODY = frozenset({204, 304})

Fields = dict[str, str | list[str]]
"""Header values by name; a list where there are several lines of one name."""


def raw_headers(fields: Fields) -> RawHeaders:
    """The header lines as they came, but for those of one name, which pyreqwest puts together."""
    try:
        return [(name.encode(), value.encode()) for name, value in fields.items()]  # type: ignore[union-attr]
    except AttributeError:
        # A list has no `encode`; to look at each value would cost every response.
        return [
            (name.encode(), value.encode())
            for name, values in fields.items()
            for value in ([values] if isinstance(values, str) else values)
        ]


def announced(method: str, status: int, length: str | list[str] | None) -> int | None:
    """The body's length in bytes; None where only its end will tell (RFC 9112, section 6.3)."""
    if method == "HEAD" or status in _WITHOUT_BODY:
        return 0
    # An ambiguous response is refused before its body is read.
    return int(length) if isinstance(length, str) and length.isdigit() else None


class PyreqwestStream(PulledResponse):
    """A response whose head has arrived; see `Response`."""

    __slots__ = ("_clients", "_number", "_request")

    broken = (PyreqwestError,)

    def __init__(
        self,
        method: str,
        request: StreamRequest,
        response: PyreqwestResponse,
        clients: Generations[Client],
        number: int,
    ) -> None:
        """`number` is that of the client among `clients` which sent the request.

        Raises BadUpstreamResponse for a header value with bytes outside ASCII.
        """
        try:
            # A third less than the lines one by one, each of which is asked for under a lock.
            fields = response.headers.dict_multi_value()
        except ValueError:
            raise failures.BadUpstreamResponse(
                "A response header has bytes outside ASCII.", inner="HeaderEncoding"
            ) from None
        self.status = status = response.status
        self.headers = raw_headers(fields)
        self.left = announced(method, status, fields.get("content-length"))
        self._next = response.body_reader.read_chunk
        self._request = request
        self._clients = clients
        self._number = number

    def finish(self) -> Awaitable[None]:
        """As `Response.finish`."""
        return self._request.__aexit__(None, None, None)

    def discard(self) -> Awaitable[None]:
        """As `Response.discard`: a body that is there already would leave the connection in the pool."""
        self._clients.retire(self._number)
        return self.finish()
