"""What becomes of the corpus's requests: its outcome lines, read and checked.

    forwarded: PUT /digitaltwins/t      one clean request upstream, in which
    with: x-a: 1                        every value of x-a is among such lines,
    without: x-b                        there is no x-b, and
    body: abc                           this is the body (without the line: none)
    refused: 400 GatewayRequestInvalid  an ErrorResponse, and the end of the connection
    closed:                             the connection ends, nothing more is said
    unanswered:                         the app leaves; nothing whole goes upstream, nothing is said

Several outcomes are those of several requests, in order. After a forwarded request the connection is used
once more, unless `closed:` follows.
"""

from dataclasses import dataclass, field

from tests.support.corpus import Entry, plain
from tests.support.gateway import RunningGateway
from tests.support.raw import RawClient
from tests.support.received import Received
from tests.support.upstream import FaultUpstream
from tests.support.wire import connected, refused, request

MARK = "/mark"
"""The target of the request that shows a connection to be in order."""
KINDS = ("forwarded", "refused", "closed", "unanswered")
HOP_BY_HOP = frozenset(
    b"keep-alive proxy-authorization proxy-connection te trailer upgrade expect http2-settings".split()
)


@dataclass(slots=True)
class Outcome:
    """One `forwarded:`, `refused:`, `closed:` or `unanswered:` line, and the details below it."""

    kind: str
    what: str
    values: dict[bytes, list[bytes]] = field(default_factory=dict)
    """Every value of these headers; an empty list where the header must be missing."""
    body: bytes = b""


def outcomes(entry: Entry) -> list[Outcome]:
    """The outcomes of an entry in order. Raises ValueError for a line that is none."""
    out: list[Outcome] = []
    for key, value in entry.fields:
        if key in KINDS:
            out.append(Outcome(key, value))
        elif key == "rule":
            continue
        elif not out or key not in {"with", "without", "body"}:
            raise ValueError(f"{entry.place}: {key!r} belongs to no outcome")
        elif key == "body":
            out[-1].body = plain(value)
        else:
            name, _, wanted = value.partition(": ") if key == "with" else (value, "", "")
            values = out[-1].values.setdefault(name.removesuffix(":").encode(), [])
            if key == "with":
                values.append(plain(wanted))
    if not out:
        raise ValueError(f"{entry.place}: no outcome")
    return out


async def holds(
    entry: Entry, gateway: RunningGateway, upstream: FaultUpstream, token: str, *, piece: int | None = None
) -> None:
    """Send the entry, in pieces of that size, and check all that it promises."""
    expected = outcomes(entry)
    size = piece or len(entry.data) or 1
    async with connected(gateway) as client:
        for at in range(0, len(entry.data), size):
            await client.offer(entry.data[at : at + size])
        for outcome in expected:
            await _answered(outcome, client)
        if expected[-1].kind == "forwarded":
            await client.send(request(MARK))
            assert (await client.response()).status == 200
            expected.append(Outcome("forwarded", f"GET {MARK}"))
    whole = [seen for seen in upstream.requests if seen.complete]
    forwarded = [outcome for outcome in expected if outcome.kind == "forwarded"]
    assert len(whole) == len(forwarded)
    for seen, outcome in zip(whole, forwarded, strict=True):
        _clean(seen, outcome, upstream, token)


async def _answered(outcome: Outcome, client: RawClient) -> None:
    if outcome.kind == "forwarded":
        response = await client.response(outcome.what.partition(" ")[0])
        assert (response.status, response.complete) == (200, True), response
    elif outcome.kind == "refused":
        status, code = outcome.what.split(" ")
        refused(await client.response(), int(status), code)
        assert await client.closed()
    else:
        if outcome.kind == "unanswered":
            client.send_eof()
        assert await client.closed()


def _clean(seen: Received, outcome: Outcome, upstream: FaultUpstream, token: str) -> None:
    """Exactly the promised request, with our token and nothing of the hop before."""
    method, _, target = outcome.what.partition(" ")
    assert (seen.method, seen.target, seen.version) == (method.encode(), plain(target), b"HTTP/1.1")
    assert seen.body == outcome.body
    assert seen.values(b"host") == [upstream.origin.removeprefix("http://").encode()]
    assert seen.values(b"authorization") == [b"Bearer " + token.encode()]
    assert not HOP_BY_HOP & set(seen.names)
    assert seen.values(b"connection") in ([], [b"close"])  # an engine that keeps none says so
    for name, values in outcome.values.items():
        assert seen.values(name) == values, name
