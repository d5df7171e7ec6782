"""Whose credentials reach the upstream: the gateway's own, exactly once, and nobody else's."""

from collections.abc import Callable

import pytest

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.upstream import FaultUpstream
from tests.support.wire import TWIN, ask, refused, request, told
from tests.wire.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS = [b"Bearer " + TOKEN.encode()]
CHUNKED_HEAD = b"PUT /digitaltwins/t1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
SPELLINGS: dict[str, bytes] = {
    "plain": request(TWIN, headers=[(b"Authorization", b"Bearer theirs")]),
    "capitals": request(TWIN, headers=[(b"AUTHORIZATION", b"Bearer theirs")]),
    "mixed": request(TWIN, headers=[(b"aUtHoRiZaTiOn", b"Bearer theirs")]),
    "empty": request(TWIN, headers=[(b"Authorization", b"")]),
    "other scheme": request(TWIN, headers=[(b"Authorization", b"Basic dGhlaXJz")]),
    "token of ours": request(TWIN, headers=[(b"Authorization", b"Bearer " + TOKEN.encode())]),
    "named in Connection": request(
        TWIN, headers=[(b"Connection", b"Authorization"), (b"Authorization", b"Bearer theirs")]
    ),
    "only named in Connection": request(TWIN, headers=[(b"Connection", b"authorization, keep-alive")]),
    "Proxy-Authorization": request(TWIN, headers=[(b"Proxy-Authorization", b"Bearer theirs")]),
    "in a trailer": CHUNKED_HEAD + b"Trailer: Authorization\r\n\r\n0\r\nAuthorization: Bearer theirs\r\n\r\n",
    "in an upgrade": request(
        TWIN,
        headers=[(b"Connection", b"upgrade"), (b"Upgrade", b"x"), (b"Authorization", b"Bearer theirs")],
    ),
    "twice": request(TWIN, headers=[(b"Authorization", b"Bearer a"), (b"authorization", b"Bearer theirs")]),
    "underscore behind": request(TWIN, headers=[(b"Authorization_", b"Bearer theirs")]),
    "underscore before": request(TWIN, headers=[(b"_Authorization", b"Bearer theirs")]),
    "space before the colon": request(TWIN, headers=[(b"Authorization ", b"Bearer theirs")]),
    "folded": request(TWIN, headers=[(b"X-A", b"1\r\n Authorization: Bearer theirs")]),
    "behind a bare LF": request(TWIN, headers=[(b"X-A", b"1\nAuthorization: Bearer theirs")]),
    "behind a bare CR": request(TWIN, headers=[(b"X-A", b"1\rAuthorization: Bearer theirs")]),
    "behind a zero": request(TWIN, headers=[(b"X-A", b"1\x00Authorization: Bearer theirs")]),
    "with a zero": request(TWIN, headers=[(b"Authorization\x00", b"Bearer theirs")]),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_exactly_one_authorization_goes_upstream_and_it_is_ours(
    gateway: RunningGateway, upstream: FaultUpstream, spelling: str
) -> None:
    """However the app spells a credential: it is dropped, or its request is refused."""
    response = await told(gateway, SPELLINGS[spelling])
    if response.status == 200:
        [seen] = upstream.requests
        assert seen.values(b"authorization") == OURS
        assert b"theirs" not in seen.head
    else:
        refused(response, 400, "GatewayRequestInvalid")
        assert upstream.requests == []


@pytest.mark.parametrize(
    ("spelling", "passes"),
    [
        ("plain", True),
        ("in a trailer", True),
        ("named in Connection", True),
        ("twice", False),
        ("folded", False),
    ],
)
async def test_some_spellings_pass_and_some_do_not(
    gateway: RunningGateway, upstream: FaultUpstream, spelling: str, *, passes: bool
) -> None:
    """The test above sees both outcomes."""
    assert ((await told(gateway, SPELLINGS[spelling])).status == 200) == passes


INJECTED = ("Authorization", "Host", "Via", "traceparent", "Content-Length", "Accept", "User-Agent")
"""Headers that a request upstream has whatever the app sent, each once."""


@pytest.mark.parametrize("spelling", [str, str.lower, str.upper])
@pytest.mark.parametrize("name", INJECTED)
async def test_connection_takes_no_header_of_ours_away(
    gateway: RunningGateway, upstream: FaultUpstream, name: str, spelling: Callable[[str], str]
) -> None:
    """Named in `Connection` a header of the app's is gone; what the gateway puts on is there, and once."""
    theirs = [] if name in {"Host", "Content-Length"} else [(name.encode(), b"theirs")]
    named = [(b"Connection", b"close, " + spelling(name).encode()), *theirs]
    answer = await told(gateway, request(TWIN, "PUT", named, body=b"{}"), "PUT")
    if answer.status != 200:
        refused(answer, 400, "GatewayRequestInvalid")
        assert upstream.requests == []
        return
    [seen] = upstream.requests
    assert seen.values(b"authorization") == OURS
    assert seen.values(b"host") == [upstream.origin.removeprefix("http://").encode()]
    assert (seen.body, seen.values(b"content-length")) == (b"{}", [b"2"])
    for each in INJECTED:
        assert len(seen.values(each.encode())) <= 1
    assert seen.values(b"via") == [b"1.1 adt-gateway"]
    assert len(seen.values(b"traceparent")) == 1
    assert b"theirs" not in seen.head


async def test_mode_none_sends_no_credential_at_all(engine: str, upstream: FaultUpstream) -> None:
    """Without a token of its own the gateway still keeps the app's from the upstream."""
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        await ask(gateway, headers=[(b"authorization", b"Bearer theirs")])
    assert upstream.last.values(b"authorization") == []
