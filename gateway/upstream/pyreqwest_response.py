"""A response as pyreqwest reads it: its head checked, its body piece by piece."""

from collections.abc import Callable

from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response as PyreqwestResponse

from gateway import failures
from gateway.exchange import RawHeaders
from gateway.headers import first

_WITHOUT_BODY = frozenset({204, 304})


def raw_headers(response: PyreqwestResponse) -> RawHeaders:
    """The header lines; raises ValueError for a value with bytes outside ASCII."""
    return [(name.encode("ascii"), value.encode()) for name, value in response.headers.items()]


def announced(method: str, status: int, headers: RawHeaders) -> int | None:
    """The body's length in bytes; None where only its end will tell (RFC 9112, section 6.3)."""
    if method == "HEAD" or status in _WITHOUT_BODY:
        return 0
    length = first(headers, b"content-length")
    # An ambiguous response is refused before its body is read.
    return int(length) if length is not None and length.isdigit() else None


class PyreqwestStream:
    """A response whose head has arrived; see `Response`."""

    __slots__ = ("_body", "_left", "_request", "_retire", "headers", "status")

    def __init__(
        self,
        response: PyreqwestResponse,
        headers: RawHeaders,
        left: int | None,
        request: StreamRequest,
        retire: Callable[[], None],
    ) -> None:
        """`left` is from `announced`; `retire` takes the connection, with its client, out of use."""
        self.status = response.status
        self.headers = headers
        self._body = response.body_reader
        self._left = left
        self._request = request
        self._retire = retire

    async def read(self) -> bytes | None:
        """As `Response.read`."""
        if self._left == 0:
            # Asking for the end would cost another trip through the engine's thread.
            return None
        try:
            piece = await self._body.read_chunk()
        except PyreqwestError as error:
            raise failures.UpstreamConnectionLost(
                "The upstream's connection broke inside the response body."
            ) from error
        if piece is None:
            return None
        if self._left is not None:
            self._left -= len(piece)
        return bytes(piece)

    async def aclose(self) -> None:
        """As `Response.aclose`."""
        await self._request.__aexit__(None, None, None)

    async def discard(self) -> None:
        """As `Response.discard`: a body that is there already would leave the connection in the pool."""
        self._retire()
        await self.aclose()
