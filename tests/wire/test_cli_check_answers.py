"""`adt-gateway check --online` and what the upstream answers, or does not."""

import pytest

from tests.support import faults
from tests.support.checking import PRINCIPAL, TENANT, check, entra_jwt, static
from tests.support.engines import ENGINES
from tests.support.upstream import fault_upstream

EVENT_ROUTES = b'{"value": [], "nextLink": null}'

JSON = [(b"Content-Type", b"application/json")]

ADT_TOKEN = entra_jwt()

SUB_DOMAIN = b'{"statusCode":404,"message":"Sub-domain not found."}'

HTML = b"<!doctype html><title>Sign in</title><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("status", "body", "message", "advice"),
    [
        (401, b"", "answered 401", f"its tenant ({TENANT}) may not be that of the instance"),
        (403, b"", "answered 403", f"The identity (object id {PRINCIPAL}) has no role"),
        (404, SUB_DOMAIN, "answered 404", "check the host in upstream.base_url (Azure portal, Overview) and"),
        (404, b'{"error":{"code":"X","message":"m"}}', "answered 404", "has no event routes"),
        (407, b"", "answered 407", "upstream.proxy"),
        (500, b"", "answered 500", "service health"),
        (503, HTML, "is an HTML page", "a proxy or a login page"),
        (418, b"", "answered 418", "does not answer like that"),
        (200, HTML, "is an HTML page", "upstream.base_url"),
        (200, b"hello", "is no JSON", "upstream.base_url"),
        (200, b'{"value": {}}', "is JSON that is no list of event routes", "upstream.base_url"),
        (200, b"[" * 60_000, "is no JSON", "upstream.base_url"),
        (204, b"", "is no list of event routes", "upstream.base_url"),
        (999, b"", "a status outside 200 to 599", "upstream.base_url"),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_answers(status: int, body: bytes, message: str, advice: str) -> None:
    """Each answer that is not a list of event routes: what it means, what to do; no markup."""
    async with fault_upstream(faults.reply(status, body)) as upstream:
        checked = await check(upstream.origin, auth=static(ADT_TOKEN))
    request = checked.steps["request"]
    assert (checked.code, checked.failed) == (1, ["request"])
    assert message in request.message
    assert advice in request.advice
    assert "<script" not in checked.text


async def test_throttled() -> None:
    """A 429 proves that host, token and role are right: a warning, exit 0."""
    async with fault_upstream(faults.reply(429)) as upstream:
        checked = await check(upstream.origin, auth=static(ADT_TOKEN))
    assert (checked.code, checked.steps["request"].outcome) == (0, "warning")


async def test_redirects_are_not_followed() -> None:
    """An upstream that redirects elsewhere: named, and nothing is sent there."""
    async with fault_upstream() as elsewhere:
        location = [(b"Location", f"{elsewhere.origin}/login".encode())]
        async with fault_upstream(faults.reply(302, b"", location)) as upstream:
            checked = await check(upstream.origin, auth=static(ADT_TOKEN))
        assert (len(upstream.requests), elsewhere.connections) == (1, 0)
    assert "redirects to 127.0.0.1" in checked.steps["request"].message


@pytest.mark.parametrize("name", sorted(faults.NO_RESPONSES))
async def test_no_http(name: str) -> None:
    """What cannot be taken for an answer: said so, within bounds."""
    async with fault_upstream(faults.cut(faults.NO_RESPONSES[name])) as upstream:
        checked = await check(upstream.origin, auth=static(ADT_TOKEN))
    assert checked.failed == ["request"]


async def test_cut_and_silent() -> None:
    """A connection that breaks, and an upstream that says nothing: two different words for it."""
    async with fault_upstream(faults.cut(reset=True)) as upstream:
        cut = await check(upstream.origin, auth=static(ADT_TOKEN))
    assert "broke before a whole answer came" in cut.steps["request"].message
    async with fault_upstream(faults.never()) as upstream:
        slow = {"base_url": upstream.origin, "timeout": {"first_byte": 0.2}}
        silent = await check(upstream.origin, auth=static(ADT_TOKEN), upstream=slow)
    assert "did not answer within 0.2 s" in silent.steps["request"].message


async def test_a_body_without_end() -> None:
    """A body of 50 MiB is read to 64 KiB and no further."""
    download = faults.Download(50 * 1024 * 1024)
    async with fault_upstream(download) as upstream:
        checked = await check(upstream.origin, auth=static(ADT_TOKEN))
        await upstream.idle()
    assert checked.failed == ["request"]
    assert "larger than 65536 bytes, too large for a list" in checked.steps["request"].message
    assert download.sent < 16 * 1024 * 1024


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_body_that_stops(engine: str) -> None:
    """An answer that begins and does not end is not called silence."""
    async with fault_upstream(faults.never(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")) as upstream:
        times = {"connect": 0.2, "first_byte": 0.2}
        slow = {"base_url": upstream.origin, "engine": engine, "timeout": times}
        checked = await check(upstream.origin, auth=static(ADT_TOKEN), upstream=slow)
    assert "did not finish its answer within 0.4 s" in checked.steps["request"].message


async def test_the_clock() -> None:
    """A clock that is off by more than five minutes is warned of; no date, or a strange one,
    is no failure.
    """
    dates = {b"Tue, 15 Nov 1994 08:12:31 GMT": "warning", b"nonsense": "skipped", b"": "skipped"}
    for date, outcome in dates.items():
        behaviour = faults.reply(200, EVENT_ROUTES, [*JSON, (b"Date", date)])
        async with fault_upstream(behaviour) as upstream:
            checked = await check(upstream.origin, auth=static(ADT_TOKEN))
        assert (checked.code, checked.steps["clock"].outcome) == (0, outcome)
