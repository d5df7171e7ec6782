"""What an app gets of some bytes against a third opinion on them, over real sockets.

    differential = ResponseDifferential(gateway, upstream, engine)
    await differential.run(islice(ResponseMutations(7), 1000), "seed 7")

After each response the same connection asks for another thing, whose answer carries a number.
"""

import json
from collections.abc import Iterable
from random import Random

from tests.support import faults, http1
from tests.support.corpus import readable
from tests.support.gateway import API, RunningGateway
from tests.support.raw import RawClient, RawResponse, raw_client
from tests.support.reference_responses import NoResponse, Reading, read_response
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import request

# What a gateway takes away, replaces or adds.
_ENDS_HERE = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade content-length traceresponse location operation-location".split()
)
_NAMED_IN_VAIN = frozenset({b"", b"content-length", b"content-type"})
_LOST = (b"GatewayBadUpstreamResponse", b"GatewayUpstreamConnectionLost")
_MARKED = f"/marked?{API}"


class Disagreement(AssertionError):
    """The app got what the bytes do not say; its text can be pasted into the corpus."""


class ResponseDifferential:
    """Answers through one gateway from one upstream, and compares."""

    def __init__(self, gateway: RunningGateway, upstream: FaultUpstream, engine: str) -> None:
        self._address = gateway.address
        self._upstream = upstream
        self._engine = engine
        self._data, self._open, self._number = b"", False, 0
        upstream.on("/mutated", self._mutated)
        upstream.on("/marked", self._marked)
        self.relayed = 0
        """Responses that reached the app whole, each of them as its bytes say."""
        self.refused = 0
        """Answered with 502, or cut."""

    async def run(self, rows: Iterable[bytes], name: str) -> None:
        """Send them all. Raises Disagreement, that begins with `name`, for the first that went wrong."""
        # Which requests ask for a head alone, and which connections stay open; the same for the same name.
        chance = Random(name)  # noqa: S311 - to be repeated, not to be secret
        todo = iter(rows)
        data: bytes | None = next(todo, None)
        while data is not None:
            async with raw_client(*self._address) as client:
                kept = True
                while kept and data is not None:
                    method = "HEAD" if chance.random() < 0.1 else "GET"
                    try:
                        kept = await self._agrees(client, data, method, open_after=chance.random() < 0.8)
                    except (AssertionError, TimeoutError) as error:
                        raise Disagreement(f"{name}: {method}: {error!r}\n{readable(data)}") from error
                    data = next(todo, None)

    async def _agrees(self, client: RawClient, data: bytes, method: str, *, open_after: bool) -> bool:
        """Whether the app's connection is kept."""
        self._upstream.requests.clear()
        reading = _read(data, method)
        ends = reading is not None and reading.whole and not reading.repaired and not reading.until_close
        self._data, self._open = data, open_after and ends
        self._number += 1
        await client.send(request(f"/mutated?{API}", method))
        response = await client.response(method)
        self._judge(reading, response, method)
        if response.complete:
            await client.send(request(_MARKED))
            await self._is_marked(client)
            return True
        assert await client.closed(), "more is said behind a response that was cut"
        async with raw_client(*self._address) as another:
            await another.send(request(_MARKED))
            await self._is_marked(another)
        return False

    async def _is_marked(self, client: RawClient) -> None:
        response = await client.response()
        mark = b"%d" % self._number
        assert (response.status, response.body, response.values(b"x-mark")) == (200, mark, [mark]), (
            f"not the answer that was made for the next request: {response}"
        )

    def _judge(self, reading: Reading | None, response: RawResponse, method: str) -> None:
        may_fail = reading is None or reading.repaired or not reading.whole or self._cannot(reading)
        if response.status == 0 or response.values(b"x-gateway-error-origin") == [b"gateway"]:
            assert may_fail, f"refused without a reason: {response}"
            assert response.status in {0, 502}
            assert response.status == 0 or response.value(b"x-ms-error-code") in _LOST
            self.refused += 1
            return
        assert reading is not None, f"relayed what is no response: {response}"
        assert response.status == reading.status
        if response.status >= 400 and response.complete:
            _is_error(reading, response, method)
            return
        if response.status < 400:
            assert _end_to_end(response.headers) == _end_to_end(reading.fields)
        if response.complete:
            assert reading.whole, f"a part presented as the whole: {response}"
            assert response.body == reading.body
            assert len(response.values(b"content-length")) <= 1
            self.relayed += 1
            return
        assert may_fail, f"cut without a reason: {response}"
        assert reading.body.startswith(response.body)
        self.refused += 1

    def _cannot(self, reading: Reading) -> bool:
        """Whether the engine is known not to read this (README)."""
        return self._engine == "pyreqwest" and not all(value.isascii() for _, value in reading.fields)

    async def _mutated(self, call: Call) -> None:
        await (faults.raw if self._open else faults.cut)(self._data)(call)

    async def _marked(self, call: Call) -> None:
        mark = b"%d" % self._number
        await faults.reply(200, mark, [(b"X-Mark", mark)])(call)


def _read(data: bytes, method: str) -> Reading | None:
    try:
        return read_response(data, method)
    except NoResponse:
        return None


def _is_error(reading: Reading, response: RawResponse, method: str) -> None:
    assert reading.whole, f"an error made of a part: {response}"
    assert response.values(b"x-gateway-error-origin") == [b"upstream"]
    [code] = response.values(b"x-ms-error-code")
    assert method == "HEAD" or json.loads(response.body)["error"]["code"] == code.decode()


def _end_to_end(fields: http1.Pairs) -> http1.Pairs:
    """In the order of their names; of one name in their own order."""
    options = b",".join(http1.values(fields, b"connection")).lower().split(b",")
    gone = _ENDS_HERE | (frozenset(option.strip(b" \t") for option in options) - _NAMED_IN_VAIN)
    kept = (
        pair
        for pair in ((name.lower(), value) for name, value in fields)
        if pair[0] not in gone and not pair[0].startswith(b"x-gateway-")
    )
    return sorted(kept, key=lambda pair: pair[0])
