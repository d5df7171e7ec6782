"""The gateway's reading of some bytes against a third opinion, over real sockets.

    differences = Differential(gateway, upstream, token)
    await differences.run(islice(Mutations(7), 1000), "seed 7")

Every answer of the upstream carries a number, so that it is known which bytes became which request.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator

from tests.support import http1
from tests.support.corpus import readable
from tests.support.gateway import RunningGateway
from tests.support.raw import RawClient, raw_client
from tests.support.received import Received
from tests.support.reference_reader import Ending, Request, read_all
from tests.support.upstream import Call, FaultUpstream

_WORKERS = 20
_STATUS_LINE = re.compile(rb"HTTP/1\.1 [0-9]{3} ")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
# What a gateway takes away, replaces or adds; that nothing of the app's is left of it is checked apart.
_ENDS_HERE = _FRAMING.union(
    b"host connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer upgrade"
    b" expect http2-settings via authorization traceparent tracestate baggage accept-encoding"
    b" x-gateway-key".split()
)
_NAMED_IN_VAIN = frozenset({b"", b"content-length", b"content-type"})
_ENGINES_OWN = frozenset({b"accept", b"user-agent"})


class Disagreement(AssertionError):
    """The gateway did what the bytes do not say; its text can be pasted into the corpus."""


class Differential:
    """Sends bytes through one gateway to one upstream, and compares."""

    def __init__(self, gateway: RunningGateway, upstream: FaultUpstream, token: str) -> None:
        self._address = gateway.address
        self._upstream = upstream
        self._token = token
        self._seen: dict[bytes, Received] = {}
        self._numbers = iter(range(1_000_000_000))
        upstream.default = self._answer
        self.forwarded = 0
        """Requests that reached the upstream, each of them as its bytes say."""
        self.refused = 0
        """Messages that ended in a 4xx and the end of their connection."""

    async def run(self, rows: Iterable[bytes], name: str) -> None:
        """Send them all. Raises Disagreement, that begins with `name`, for the first that went wrong."""
        shared = iter(rows)
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS):
                group.create_task(self._work(shared, name))
        if self._seen:
            raise Disagreement(f"{name}: reached the upstream unasked: {list(self._seen.values())}")

    async def _work(self, shared: Iterator[bytes], name: str) -> None:
        while True:
            async with raw_client(*self._address) as client:
                for data in shared:
                    try:
                        if not await self._agrees(client, data):
                            break
                    except (AssertionError, TimeoutError) as error:
                        raise Disagreement(f"{name}: {error!r}\n{readable(data)}") from error
                else:
                    return

    async def _agrees(self, client: RawClient, data: bytes) -> bool:
        """Whether the connection is kept."""
        requests, ending = read_all(data)
        await client.offer(data)
        for request in requests:
            response = await client.response(request.method.decode())
            if response.status != 200:
                self._is_refusal(response.head + await client.until_close())
                return False
            self._is_same(request, response.values(b"x-seen"))
        if ending is Ending.DONE:
            return True
        if ending is Ending.LAST:
            assert await client.closed(), "more is said behind the last answer"
            return False
        if ending is Ending.PARTIAL:
            client.send_eof()
        rest = (await client.until_close()).replace(_CONTINUE, b"")
        if rest or ending is Ending.BAD:
            self._is_refusal(rest)
        return False

    def _is_refusal(self, answer: bytes) -> None:
        assert answer.startswith(b"HTTP/1.1 4"), f"not a refusal: {answer!r}"
        assert len(_STATUS_LINE.findall(answer)) == answer.count(b"\r\nconnection: close\r\n") == 1, answer
        self.refused += 1

    def _is_same(self, request: Request, numbers: list[bytes]) -> None:
        assert len(numbers) == 1, "an answer that is not the upstream's"
        seen = self._seen.pop(numbers[0])
        target = request.target.removesuffix(b"?") if request.target.count(b"?") == 1 else request.target
        assert (seen.method, seen.target, seen.body) == (request.method, target, request.body)
        assert seen.values(b"host") == [self._upstream.origin.removeprefix("http://").encode()]
        assert seen.values(b"authorization") == [b"Bearer " + self._token.encode()]
        assert len([name for name in seen.names if name in _FRAMING]) <= 1
        theirs = {name for name, _ in request.fields}
        arrived = [(name.lower(), value) for name, value in seen.headers]
        arrived = [pair for pair in arrived if pair[0] not in _ENGINES_OWN - theirs]
        assert _end_to_end(arrived, frozenset()) == _end_to_end(request.fields, _named(request))
        self.forwarded += 1

    async def _answer(self, call: Call) -> None:
        await call.body()
        number = b"%d" % next(self._numbers)
        self._seen[number] = call.request
        await call.send_head(200, [(b"X-Seen", number), (b"Content-Length", b"0")])


def _named(request: Request) -> frozenset[bytes]:
    """What the app's Connection names (RFC 9110, section 7.6.1)."""
    options = b",".join(request.values(b"connection")).lower().split(b",")
    return frozenset(option.strip(b" \t") for option in options) - _NAMED_IN_VAIN


def _end_to_end(fields: http1.Pairs, named: frozenset[bytes]) -> http1.Pairs:
    """In the order of their names; of one name in their own order."""
    return sorted((pair for pair in fields if pair[0] not in _ENDS_HERE | named), key=lambda pair: pair[0])
