"""The last look at where a request goes, right before the token is put on: every engine, by themselves."""

import pytest

from gateway import failures
from tests.support import faults
from tests.support.engines import every_engine, fetch, opened, outbound
from tests.support.upstream import fault_upstream

AUTHORIZATION = "Bearer the-gateways-own-token"
ELSEWHERE = {
    "userinfo": "@{decoy}/x",
    "user and password": "x:y@{decoy}/x",
    "more of the port": "0/x",
    "more of the name": ".evil.example/x",
    "another port": ":{port}/x",
    "absolute": "http://{decoy}/x",
    "query": "?@{decoy}/x",
    "fragment": "#@{decoy}/x",
    "backslash": "\\@{decoy}/x",
    "asterisk": "*",
    "authority": "{decoy}",
    "nothing": "",
}
"""Targets that, put behind the origin, make another origin of it, or no path; `{decoy}` is host and port."""
HERE = {"two slashes": "//{decoy}/x", "userinfo in the path": "/@{decoy}/x", "a URL": "/http://{decoy}/x"}
"""Targets that look like it, and are paths."""


@every_engine
@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
@pytest.mark.parametrize("form", ELSEWHERE)
async def test_target_that_leads_elsewhere_is_not_sent(engine: str, form: str, *, proxied: bool) -> None:
    """Whatever passed the checks before: no connection to another origin, and no proxy is told of one."""
    async with fault_upstream() as decoy, fault_upstream() as upstream:
        host = decoy.origin.removeprefix("http://")
        target = ELSEWHERE[form].format(decoy=host, port=decoy.port).encode()
        proxy = {"proxy": upstream.origin} if proxied else {}
        async with opened(engine, upstream.origin, timeout={"connect": 1.0}, **proxy) as room:
            with pytest.raises(failures.RequestInvalid):
                await fetch(room, outbound(target, authorization=AUTHORIZATION))
        assert decoy.connections == 0
        assert upstream.requests == []


@every_engine
@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
@pytest.mark.parametrize("form", HERE)
async def test_path_that_looks_like_an_origin_is_a_path(engine: str, form: str, *, proxied: bool) -> None:
    """It goes to the origin, byte for byte; a proxy is told the origin in front of it."""
    async with fault_upstream() as decoy, fault_upstream(faults.reply(200, b"here")) as upstream:
        target = HERE[form].format(decoy=decoy.origin.removeprefix("http://")).encode()
        proxy = {"proxy": upstream.origin} if proxied else {}
        async with opened(engine, upstream.origin, **proxy) as room:
            assert (await fetch(room, outbound(target, authorization=AUTHORIZATION)))[2] == b"here"
        assert upstream.last.target == (upstream.origin.encode() if proxied else b"") + target
        assert decoy.connections == 0


@every_engine
@pytest.mark.parametrize("length", [10, 299, 300, 301, 4_000])
async def test_a_target_asked_for_again_is_the_same(engine: str, length: int) -> None:
    """Whether its URL was kept or not: both times byte for byte."""
    target = b"/" + b"x" * (length - 1)
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        for _ in range(2):
            await fetch(room, outbound(target))
        assert [seen.target for seen in upstream.requests] == [target, target]


@every_engine
async def test_a_target_refused_is_refused_again(engine: str) -> None:
    """What leads elsewhere does so each time it is asked for."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        for _ in range(2):
            with pytest.raises(failures.RequestInvalid):
                await fetch(room, outbound(b"@elsewhere/x"))
        assert upstream.requests == []
