"""One exchange with an odd upstream, and the next one after it, which must not be touched by the first."""

from dataclasses import dataclass

from tests.support import faults
from tests.support.gateway import API, RunningGateway
from tests.support.raw import RawResponse
from tests.support.upstream import Behaviour, FaultUpstream
from tests.support.wire import connected, request


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to send."""

    method: str
    path: str

    @property
    def data(self) -> bytes:
        """Its bytes."""
        return request(f"{self.path}?{API}", self.method)


def asked(method: str = "GET", path: str = "/digitaltwins/t1") -> Asked:
    """A request without a body."""
    return Asked(method, path)


@dataclass(frozen=True, slots=True)
class Followed:
    """What the next exchange was like."""

    own_answer: bool
    """Whether it got exactly the answer that was made for it."""
    same_connection: bool
    """Whether it went out on a connection that the first had used."""


async def followed(
    gateway: RunningGateway, upstream: FaultUpstream, first: Asked, behaviour: Behaviour, serial: int
) -> tuple[RawResponse, Followed]:
    """The answer to `first`, and how the exchange after it fared; `serial` marks the latter's answer."""
    upstream.requests.clear()
    upstream.on(first.path, behaviour)
    mark = b"follow-up %d" % serial
    upstream.on("/marked", faults.reply(200, mark, [(b"x-mark", mark)]))
    async with connected(gateway) as client:
        await client.send(first.data)
        response = await client.response(first.method)
    used = {seen.connection for seen in upstream.requests}
    async with connected(gateway) as client:
        await client.send(request("/marked"))
        answer = await client.response()
    own = (answer.status, answer.body, answer.values(b"x-mark"), answer.complete)
    return response, Followed(own == (200, mark, [mark], True), upstream.last.connection in used)
