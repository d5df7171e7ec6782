"""One answer for many callers, and nothing in it that is another's."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import faults, http1
from tests.support.gateway import API, RunningGateway
from tests.support.raw import RawResponse
from tests.support.sharing import (
    BATCHED,
    BYPASS,
    CACHE_STATUS,
    COLLAPSED,
    HIT,
    JSON,
    MISS,
    JobsService,
    crowd,
    import_target,
    job,
    page,
    queued,
    reads_counted,
    sharing_gateway,
    told,
    under_way,
)
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import ask, refused, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMPORTS = f"/jobs/imports?{API}"
HOSTS = ("one.example:8080", "two.example", "localhost")
GZIP = (b"Content-Encoding", b"gzip")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sharing(module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway for the module, under three names; each test reads jobs of its own."""
    listen = {"allowed_hosts": ["one.example", "two.example", "localhost"]}
    limits = {"observed_body": 2048}
    async with sharing_gateway(module_upstream.origin, listen=listen, limits=limits) as running:
        yield running


def named(name: str) -> http1.Pairs:
    """The headers of a caller that an upstream may know again."""
    return [(b"x-ms-client-request-id", name.encode()), (b"User-Agent", b"app-" + name.encode())]


def personal(response: RawResponse) -> tuple[list[bytes], bytes | None]:
    """What an answer says of the one it is for."""
    return response.values(b"set-cookie"), response.value(b"x-ms-client-request-id")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_each_caller_gets_links_to_where_it_came(
    sharing: RunningGateway, upstream: FaultUpstream, coding: str
) -> None:
    """One page that was read once: its link leads each caller back to the host that it asked."""
    target = f"{IMPORTS}&coding={coding}"
    body = page(job("one"), link=f"{upstream.origin}/jobs/imports?token=2")
    headers = [JSON]
    if coding == "gzip":
        body, headers = gzip.compress(body), [JSON, GZIP]
    gate = asyncio.Event()
    upstream.on("/jobs/imports", faults.gated(gate, faults.reply(200, body, headers)))
    together = [asyncio.create_task(ask(sharing, target, host=host)) for host in HOSTS]
    await under_way(sharing, len(HOSTS))
    gate.set()
    answers = [*await asyncio.gather(*together), *[await ask(sharing, target, host=host) for host in HOSTS]]
    assert told(answers) == [MISS, COLLAPSED, COLLAPSED, HIT, HIT, HIT]
    assert len(upstream.requests) == 1
    for host, answer in zip(HOSTS * 2, answers, strict=True):
        assert json.loads(answer.body)["nextLink"] == f"http://{host}/jobs/imports?token=2"
        assert answer.value(b"content-length") == b"%d" % len(answer.body)
        assert answer.value(b"content-encoding") is None


async def test_what_is_about_one_caller_goes_to_nobody_else(
    sharing: RunningGateway, upstream: FaultUpstream
) -> None:
    """A cookie is for who fetched the answer; the echoed request id of each is its own, or none."""
    upstream.default = service = JobsService()
    service.gate.clear()
    target = import_target("personal")
    [leader] = await crowd(sharing, target, [named("a")])
    await upstream.received(1)
    followers = [asyncio.create_task(ask(sharing, target, headers=named(name))) for name in ("b", "c")]
    nameless = asyncio.create_task(ask(sharing, target))
    await under_way(sharing, 4)
    service.gate.set()
    assert personal(await leader) == ([b"session=a"], b"a")
    assert [personal(answer) for answer in await asyncio.gather(*followers)] == [([], b"b"), ([], b"c")]
    assert personal(await nameless) == ([], None)
    later = await ask(sharing, target, headers=named("d"))
    assert (later.value(CACHE_STATUS), personal(later)) == (HIT, ([], b"d"))
    assert len(upstream.requests) == 1


async def test_a_list_for_several_jobs_is_about_none_of_its_callers(upstream: FaultUpstream) -> None:
    """One list answers for jobs of several callers: no caller gets the cookie or the id of another."""
    jobs = [f"j{number}" for number in range(4)]
    upstream.default = service = JobsService(*jobs)
    async with sharing_gateway(upstream.origin, jobs={"rate": 0.5}) as gateway:
        service.gate.clear()
        first = asyncio.create_task(ask(gateway, import_target("first"), headers=named("first")))
        await upstream.received(1)
        reads = [asyncio.create_task(ask(gateway, import_target(one), headers=named(one))) for one in jobs]
        await queued(gateway, 4)
        service.gate.set()
        answers = await asyncio.gather(*reads)
        await first
        counted = await reads_counted(gateway)
    assert [seen.path for seen in upstream.requests] == [b"/jobs/imports/first", b"/jobs/imports"]
    assert told(answers) == [BATCHED] * 4
    assert counted == {"miss": 1, "batched": 4}
    for name, answer in zip(jobs, answers, strict=True):
        assert answer.body == job(name, read=2)
        assert personal(answer) == ([], name.encode())
        assert answer.value(b"x-ms-request-id") == b"read-2"
        assert answer.value(b"content-length") == b"%d" % len(answer.body)


async def test_a_429_of_a_list_is_one(upstream: FaultUpstream) -> None:
    """A list that meets 429 throttles once, however many reads it was for, and is about no caller."""
    jobs = [f"j{number}" for number in range(3)]
    upstream.default = service = JobsService(*jobs)
    cookie = (b"Set-Cookie", b"session=secret")
    upstream.on("/jobs/imports", faults.reply(429, b"", [(b"Retry-After", b"60"), cookie]))
    async with sharing_gateway(upstream.origin, jobs={"rate": 2, "max_wait": 5}) as gateway:
        service.gate.clear()
        first = asyncio.create_task(ask(gateway, import_target("first")))
        await upstream.received(1)
        reads = [asyncio.create_task(ask(gateway, import_target(one), headers=named(one))) for one in jobs]
        answers = await asyncio.gather(*reads)
        service.gate.set()
        await first
        throttled = await sample(gateway, 'adt_jobs_throttled_total{priority="read"}')
    assert [(answer.status, answer.value(b"retry-after")) for answer in answers] == [(429, b"60")] * 3
    assert [personal(answer)[0] for answer in answers] == [[], [], []]
    assert (throttled, len(upstream.requests)) == (1, 2)


async def _whoever(call: Call) -> None:
    """Answers with the credential that asked."""
    await call.body()
    [credential] = [*call.request.values(b"authorization"), *call.request.values(b"cookie")]
    await faults.reply(200, job(credential.decode()), [JSON])(call)


POISONS: dict[str, tuple[http1.Pairs, int]] = {
    "too large": ([(b"Cookie", b"a" * 20_000)], 400),
    "user agent too large": ([(b"User-Agent", b"a" * 20_000)], 400),
    "method override": ([(b"X-HTTP-Method-Override", b"DELETE")], 405),
    "unknown": ([(b"X-Custom", b"A")], 200),
}


async def _goes_by_headers(call: Call) -> None:
    """What many servers do: refuse a large head, obey an override, and let a header shape the answer."""
    await call.body()
    status, size = 200, sum(len(name) + len(value) for name, value in call.request.headers)
    if call.request.values(b"x-http-method-override"):
        status = 405
    elif size > 16_384:
        status = 400
    shape = b"".join(call.request.values(b"x-custom")).decode()
    await faults.reply(status, job("one", shape=shape), [JSON, (b"Vary", b"X-Custom")])(call)


@pytest.mark.parametrize("poison", POISONS)
async def test_a_leader_harms_only_itself(
    sharing: RunningGateway, upstream: FaultUpstream, poison: str
) -> None:
    """What a caller's headers make of an answer is its own; the others share another."""
    headers, status = POISONS[poison]
    target = import_target(f"poisoned-{poison.replace(' ', '-')}")
    gate = asyncio.Event()
    upstream.default = faults.gated(gate, _goes_by_headers)
    [leader] = await crowd(sharing, target, [headers])
    await upstream.received(1)
    others = [asyncio.create_task(ask(sharing, target, headers=named(name))) for name in "bcd"]
    await under_way(sharing, 4)
    await upstream.received(2)
    gate.set()
    assert (await leader).status == status
    answers = [*await asyncio.gather(*others), await ask(sharing, target, headers=named("e"))]
    assert {(answer.status, json.loads(answer.body)["shape"]) for answer in answers} == {(200, "")}
    assert told(answers) == [MISS, COLLAPSED, COLLAPSED, HIT]
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(("mode", "header"), [("passthrough", b"Authorization"), ("none", b"Cookie")])
async def test_callers_with_credentials_of_their_own_share_nothing(
    upstream: FaultUpstream, mode: str, header: bytes
) -> None:
    """Where the gateway owns no token, each read goes upstream as it came and is answered by itself."""
    gate = asyncio.Event()
    upstream.default = faults.gated(gate, _whoever)
    async with sharing_gateway(upstream.origin, auth={"mode": mode}, jobs={"rate": 0}) as gateway:
        callers = [[(header, name.encode())] for name in "abcab"]
        tasks = await crowd(gateway, import_target("one"), callers)
        await upstream.received(5)
        gate.set()
        answers = await asyncio.gather(*tasks)
        again = await ask(gateway, import_target("one"), headers=callers[0])
        counted = await reads_counted(gateway)
    ids = [json.loads(answer.body)["id"] for answer in [*answers, again]]
    assert ids == list("abcaba")
    assert told([*answers, again]) == [b""] * 6
    assert counted == {"bypass": 6}


async def test_who_may_not_use_the_gateway_gets_no_kept_answer(upstream: FaultUpstream) -> None:
    """A kept answer is behind the same door as the upstream."""
    upstream.default = JobsService()
    inbound = {"inbound": {"keys": {"app": "k" * 32}}}
    async with sharing_gateway(upstream.origin, auth=inbound) as gateway:
        key = [(b"Authorization", b"Bearer " + b"k" * 32)]
        for how in (MISS, HIT):
            assert (await ask(gateway, import_target("one"), headers=key)).value(CACHE_STATUS) == how
        refused(await ask(gateway, import_target("one")), 401, "GatewayUnauthorized")
    assert len(upstream.requests) == 1


async def _large(call: Call) -> None:
    """A job of 5 kB, different each time."""
    await faults.reply(
        200, job("large", number=call.nth, connection=call.request.connection, text="x" * 5000), [JSON]
    )(call)


async def test_what_is_too_large_to_share_each_caller_fetches(engine: str, upstream: FaultUpstream) -> None:
    """A body over `limits.observed_body` streams to who fetched it; each of the others fetches its own."""
    gate = asyncio.Event()
    upstream.default = faults.gated(gate, _large)
    limits = {"observed_body": 1024}
    async with sharing_gateway(upstream.origin, engine=engine, limits=limits) as gateway:
        tasks = await crowd(gateway, import_target("large"), [[]] * 4)
        await upstream.received(1)
        gate.set()
        answers = [*await asyncio.gather(*tasks), await ask(gateway, import_target("large"))]
        counted = await reads_counted(gateway)
    assert told(answers) == sorted([MISS, MISS, BYPASS, BYPASS, BYPASS])
    assert counted == {"miss": 2, "bypass": 3}
    assert all(len(json.loads(answer.body)["text"]) == 5000 for answer in answers)
    assert len({answer.body for answer in answers}) == len(upstream.requests) == 5


async def test_a_compressed_answer_is_shared_as_it_is(
    sharing: RunningGateway, upstream: FaultUpstream
) -> None:
    """An upstream that compresses although it was asked not to: all get its bytes, and the job is known."""
    packed = gzip.compress(job("packed", "succeeded"))
    upstream.on("/jobs/imports/packed", faults.reply(200, packed, [JSON, GZIP]))
    answers = [await ask(sharing, import_target("packed")) for _ in range(2)]
    assert told(answers) == [MISS, HIT]
    assert {(answer.body, answer.value(b"content-encoding")) for answer in answers} == {(packed, b"gzip")}
    assert upstream.last.values(b"accept-encoding") == [b"identity"]
    assert await sample(sharing, 'adt_jobs{kind="import",status="succeeded"}') == 1
