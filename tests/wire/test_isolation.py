"""Fifty apps at a time, with every kind of answer that the gateway touches: nobody gets a byte of another's.

Each request has a mark of its own, and its answer has that mark wherever an answer can have one. Some apps
leave before their answer; some answers are cut, or followed by bytes that nobody asked for.
"""

import asyncio
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from tests.support import faults
from tests.support.gateway import API, RunningGateway
from tests.support.http1 import Pairs
from tests.support.raw import RawResponse
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPS, TURNS = 50, 14
LEAVE = 0.15
SEED = 20260301
MARK = re.compile(rb"mark-\d+-\d+-")
JSON = (b"Content-Type", b"application/json")
REQUEST_ID = b"x-ms-client-request-id"


def mark_in(call: Call) -> bytes:
    """The mark of a request."""
    return call.request.values(REQUEST_ID)[0]


async def plain(call: Call) -> None:
    """What was sent, with the mark of who asked."""
    await faults.reply(200, mark_in(call) + await call.body(), [(b"ETag", mark_in(call))])(call)


async def cookie(call: Call) -> None:
    """A cookie that is the caller's own."""
    await faults.reply(200, mark_in(call), [(b"Set-Cookie", b"session=" + mark_in(call) + b"; Path=/")])(call)


async def redirect(call: Call) -> None:
    """A redirect to a page of the caller's."""
    await faults.reply(307, mark_in(call), [(b"Location", b"/" + mark_in(call))])(call)


async def leftover(call: Call) -> None:
    """A whole answer, and another one behind it that nobody asked for."""
    body = mark_in(call)
    stray = b"mark-0-0-" * 4
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    await faults.raw(head % len(body) + body + head % len(stray) + stray)(call)


async def cut(call: Call) -> None:
    """The first part of an answer."""
    await faults.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + mark_in(call))(call)


async def lost(call: Call) -> None:
    """No answer."""
    await faults.cut()(call)


async def interim(call: Call) -> None:
    """An early hint before the answer."""
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </" + mark_in(call) + b">\r\n\r\n"
    await faults.first(hint, plain)(call)


async def error_text(call: Call) -> None:
    """An error in plain text, which becomes an ErrorResponse."""
    await faults.reply(400, mark_in(call), [(b"Content-Type", b"text/plain")])(call)


async def error_gzip(call: Call) -> None:
    """A compressed ErrorResponse, which is decoded."""
    error = {"error": {"code": "ValidationFailed", "message": mark_in(call).decode()}}
    body = gzip.compress(json.dumps(error).encode(), mtime=0)
    await faults.reply(400, body, [JSON, (b"Content-Encoding", b"gzip")])(call)


async def operation(call: Call) -> None:
    """A link to an operation, which leads back to the gateway."""
    link = b"http://" + call.request.values(b"host")[0] + b"/jobs/deletions/" + mark_in(call)
    body = b'{"id": "%b", "status": "notstarted"}' % mark_in(call)
    await faults.reply(202, body, [JSON, (b"Operation-Location", link)])(call)


def page(*, compressed: bool) -> Callable[[Call], Awaitable[None]]:
    """A page whose link to the next one is rewritten."""

    async def behaviour(call: Call) -> None:
        mark = mark_in(call).decode()
        link = f"http://{call.request.values(b'host')[0].decode()}/models?{API}&continuationToken={mark}"
        body = json.dumps({"value": [{"id": mark}] * 20, "nextLink": link}).encode()
        coding = [(b"Content-Encoding", b"gzip")] if compressed else []
        await faults.reply(200, gzip.compress(body, mtime=0) if compressed else body, [JSON, *coding])(call)

    return behaviour


@dataclass(frozen=True, slots=True)
class Kind:
    """A request, and what its answer is like."""

    method: str
    target: str
    behaviour: Callable[[Call], Awaitable[None]]
    status: int
    body: bool = False
    repeated: bool = False
    """Sent again with the same id, as an SDK does; the answer is the record's."""


TWINS = f"/digitaltwins/{{mark}}?{API}"
KINDS = {
    "plain": Kind("GET", TWINS, plain, 200),
    "unique body": Kind("PUT", TWINS, plain, 200, body=True),
    "cookie": Kind("GET", TWINS, cookie, 200),
    "redirect": Kind("GET", TWINS, redirect, 307),
    "leftover": Kind("GET", TWINS, leftover, 200),
    "cut": Kind("GET", TWINS, cut, 200),
    "lost": Kind("PATCH", TWINS, lost, 502, body=True),
    "interim": Kind("POST", f"/query?{API}", interim, 200, body=True),
    "error as text": Kind("GET", TWINS, error_text, 400),
    "compressed error": Kind("GET", TWINS, error_gzip, 400),
    "operation": Kind("POST", f"/jobs/deletions?{API}", operation, 202, repeated=True),
    "page": Kind("GET", f"/models?{API}&of={{mark}}", page(compressed=False), 200),
    "compressed page": Kind("GET", f"/models?{API}&of={{mark}}", page(compressed=True), 200),
}


@dataclass
class Crowd:
    """Apps that ask one thing after the other."""

    gateway: RunningGateway
    chance: random.Random
    crossed: list[str] = field(default_factory=list)
    got: Counter[str] = field(default_factory=Counter)

    async def app(self, number: int) -> None:
        """Ask for things of every kind, in an order of its own."""
        for turn in range(TURNS):
            name = self.chance.choice(list(KINDS))
            await self.ask(name, f"mark-{number + 1}-{turn + 1}-")

    async def ask(self, name: str, mark: str) -> None:
        """One request, or two of the same; the app may leave before the answer."""
        kind = KINDS[name]
        lines: Pairs = [(REQUEST_ID, mark.encode()), (b"x-kind", name.encode()), (b"Cookie", mark.encode())]
        body = (mark.encode() + b"." * self.chance.randrange(20_000)) if kind.body else None
        data = request(kind.target.format(mark=mark), kind.method, lines, body=body)
        for nth in range(2 if kind.repeated else 1):
            async with connected(self.gateway) as client:
                await client.send(data)
                if self.chance.random() < LEAVE:
                    await asyncio.sleep(self.chance.choice((0, 0.005)))
                    self.got["left"] += 1
                    return
                self.judge(name, mark.encode(), await client.response(), again=nth > 0)

    def judge(self, name: str, mark: bytes, answer: RawResponse, *, again: bool) -> None:
        """An answer has the status of its kind and its own mark, and nobody else's."""
        self.got[name] += 1
        marks = set(MARK.findall(answer.head + answer.body))
        wanted = set() if name == "lost" else {mark}
        fits = (answer.status, answer.complete) == (KINDS[name].status, name != "cut")
        replayed = (answer.value(b"x-gateway-replayed") is not None) == again
        if marks != wanted or not fits or not replayed:
            self.crossed.append(f"{name} {mark!r}: {answer}")


async def test_nobody_gets_what_is_anothers(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Compressed, normalised, rewritten, replayed, cut, with cookies or leftovers: 0 crossed answers."""

    async def answer(call: Call) -> None:
        await KINDS[call.request.values(b"x-kind")[0].decode()].behaviour(call)

    upstream.default = answer
    crowd = Crowd(gateway, random.Random(SEED))  # noqa: S311 - the seed makes the run repeatable
    await asyncio.gather(*(crowd.app(number) for number in range(APPS)))
    assert crowd.crossed == []
    assert set(crowd.got) == {*KINDS, "left"}
    mixed = [seen for seen in upstream.requests if len(set(MARK.findall(seen.head + seen.body))) != 1]
    assert mixed == []
    deletions = [seen.values(REQUEST_ID)[0] for seen in upstream.requests if seen.method == b"POST"]
    assert len(deletions) == len(set(deletions))


async def test_a_crossed_answer_would_be_seen(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """The judge of the test above finds an upstream that answers everybody with the first one's mark."""
    upstream.default = faults.reply(200, b"mark-1-1-")
    crowd = Crowd(gateway, random.Random(SEED))  # noqa: S311 - the seed makes the run repeatable
    await crowd.ask("plain", "mark-1-1-")
    assert crowd.crossed == []
    await crowd.ask("plain", "mark-2-1-")
    assert len(crowd.crossed) == 1
