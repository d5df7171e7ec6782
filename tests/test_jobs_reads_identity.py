"""Which reads are the same: those that would say the same to the upstream."""

import asyncio
import uuid

import pytest

from gateway.exchange import RawHeaders
from gateway.jobs.governor import Priority
from gateway.jobs.reads import Given
from tests.support.desk import Desk, key_of, read_of
from tests.support.token_sources import settle

JSON = (b"accept", b"application/json")
TRACEPARENT = (b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01")


def named() -> tuple[bytes, bytes]:
    """A client request id of its own."""
    return (b"x-ms-client-request-id", str(uuid.uuid4()).encode())


POLLERS: dict[str, RawHeaders] = {
    "watcher": [JSON],
    "python": [
        (
            b"user-agent",
            b"azsdk-python-digitaltwins-core/1.3.0 Python/3.11.2 (Linux-6.1.0-x86_64-with-glibc2.36)",
        ),
        JSON,
        named(),
        TRACEPARENT,
        (b"tracestate", b"dd=s:1;t.dm:-0,az=1"),
    ],
    "net": [
        named(),
        (b"x-ms-return-client-request-id", b"true"),
        JSON,
        (
            b"user-agent",
            b"azsdk-net-DigitalTwins.Core/1.4.0 (.NET 8.0.1; Ubuntu 22.04.1 LTS #100~18-Ubuntu SMP)",
        ),
        (b"request-id", b"|7e4d.1."),
        (b"correlation-context", b"a=b"),
    ],
    "java": [
        JSON,
        (b"date", b"Sun, 22 Nov 2026 12:00:00 GMT"),
        (b"user-agent", b"azsdk-java-azure-digitaltwins-core/1.4.0 (17.0.2; Linux; 5.10.0)"),
        named(),
        (b"x-datadog-trace-id", b"123456789"),
    ],
    "js": [
        JSON,
        (b"x-ms-useragent", b"azsdk-js-digital-twins-core/2.0.0 core-rest-pipeline/1.9.0 OS/MacIntel"),
        named(),
        (b"baggage", b"user=a%20b"),
    ],
    "az": [
        (b"content-type", b"application/json; charset=utf-8"),
        JSON,
        (b"user-agent", b"AZURECLI/2.60.0 (DEB) python/3.11"),
        (b"x-ms-correlation-request-id", b"1-2-3"),
        (b"prefer", b"wait=5"),
    ],
}

DIFFERENT: dict[str, RawHeaders] = {
    "override": [(b"x-http-method-override", b"DELETE")],
    "unknown": [(b"x-custom", b"A")],
    "cookie": [(b"cookie", b"a" * 20_000)],
    "language": [(b"accept-language", b"de")],
    "prefer more": [(b"prefer", b"return=minimal, wait=5")],
    "content type": [(b"content-type", b"text/evil")],
    "long name": [(b"x-ms-client-request-id", b"a" * 257)],
    "long agent": [(b"user-agent", b"a" * 20_000)],
    "long baggage": [(b"baggage", b"a=" + b"b" * 8_000)],
    "quoted agent": [(b"user-agent", b"x' or 1=1")],
    "binary agent": [(b"user-agent", "é".encode())],
    "agent twice": [(b"user-agent", b"a"), (b"user-agent", b"a")],
    "many own": [(name, b"a" * 256) for name in (b"user-agent", b"date", b"baggage", b"b3", b"tracestate")],
    "forwarded": [(b"x-forwarded-host", b"evil.example")],
}


def test_pollers_of_any_sdk_share() -> None:
    """Ids, traces, dates and user agents of the SDKs tell no reads apart, in whatever order they come."""
    assert len({key_of(read_of(headers=headers)) for headers in POLLERS.values()}) == 1


def test_the_longest_that_is_no_difference() -> None:
    """256 bytes of a user agent are its sender's own, four headers like it too."""
    names = (b"user-agent", b"baggage", b"tracestate", b"b3")
    assert key_of(read_of(headers=[(name, b"a" * 256) for name in names])) == key_of(read_of())


@pytest.mark.parametrize("more", DIFFERENT)
def test_what_may_change_an_answer_is_a_difference(more: str) -> None:
    """A header that is not known to be each request's own tells reads apart, and one that is unusual too."""
    assert key_of(read_of(headers=[JSON, *DIFFERENT[more]])) != key_of(read_of(headers=[JSON]))


def test_headers_are_told_by_line() -> None:
    """No two lists of headers are taken for one another, except by the order of different names."""
    lists: list[RawHeaders] = [
        [(b"a", b"b"), (b"c", b"d")],
        [(b"a", b"b,c:d")],
        [(b"a", b"bc:d")],
        [(b"a", b"b:c"), (b"d", b"")],
        [(b"a", b"b"), (b"a", b"d")],
        [(b"a", b"d"), (b"a", b"b")],
        [(b"a", b"b"), (b"c", b"d"), (b"c", b"d")],
    ]
    keys = [key_of(read_of(headers=headers)) for headers in lists]
    assert len(set(keys)) == len(lists)
    assert key_of(read_of(headers=lists[0][::-1])) == keys[0]


def test_the_identity_is_small() -> None:
    """What is kept of the headers is a digest, however many they are."""
    assert len(key_of(read_of(headers=DIFFERENT["cookie"])).headers) == 16


async def test_a_shaped_answer_is_its_leaders_only() -> None:
    """What a leader's own header has made of an answer is neither shared with others nor kept for them."""
    desk = Desk(rate=0)
    shaped = read_of(headers=[(b"x-http-method-override", b"DELETE")])
    leader, victim = desk.ask(shaped), desk.ask()
    await desk.upstream.answers(body=b"shaped")
    assert leader.result().answer.body == b"shaped"
    assert not victim.done()
    await desk.upstream.answers(body=b"plain")
    assert victim.result().answer.body == b"plain"
    hits = [await desk.ask(shaped), await desk.ask()]
    assert [hit.answer.body for hit in hits] == [b"shaped", b"plain"]


async def _waiting(desk: Desk, reads: dict[str, RawHeaders]) -> "list[asyncio.Task[Given]]":
    """Reads that wait for a turn, behind one that has taken it."""
    desk.ask(read_of("/jobs/imports/first"))
    await desk.upstream.answers(404)
    tasks = [desk.ask(read_of(f"/jobs/imports/{name}", headers=headers)) for name, headers in reads.items()]
    await settle()
    return tasks


async def test_a_list_is_for_those_who_would_ask_alike() -> None:
    """Reads with different headers are not answered from one list, those of different SDKs are."""
    desk = Desk()
    odd: RawHeaders = [JSON, (b"x-custom", b"A")]
    reads = {"a": POLLERS["python"], "odd": odd, "b": POLLERS["net"]}
    tasks = await _waiting(desk, reads)
    await desk.timers.elapse(2.2)
    assert desk.upstream.asked[1:] == ["/jobs/imports", "/jobs/imports/odd"]
    item = '{{"id": "{}", "status": "running"}}'
    await desk.upstream.answers(body=f'{{"value": [{item.format("a")}, {item.format("b")}]}}'.encode())
    assert [task.done() for task in tasks] == [True, False, True]
    await desk.reads.aclose()


async def test_a_list_that_fails_for_some_is_tried_for_others() -> None:
    """A list refused because of its callers' headers does not keep others from theirs."""
    desk = Desk(max_staleness=0, terminal_staleness=0)
    odd: RawHeaders = [(b"x-custom", b"A")]
    await _waiting(desk, {"x": odd, "y": odd})
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(400)
    await desk.timers.elapse(2.1)
    assert desk.upstream.asked[1:] == ["/jobs/imports", "/jobs/imports/x", "/jobs/imports/y"]
    for name in ("a", "b"):
        desk.ask(read_of(f"/jobs/imports/{name}"))
    await desk.timers.elapse(1.1)
    assert desk.upstream.asked[4:] == ["/jobs/imports"]
    await desk.reads.aclose()


async def test_an_apps_read_joins_the_watchers() -> None:
    """The watcher asks as the SDKs do, so that an app's read and its own are one."""
    desk = Desk(rate=0)
    first = desk.ask(read_of(headers=POLLERS["watcher"]), priority=Priority.WATCH)
    second = desk.ask(read_of(headers=POLLERS["java"]))
    await desk.upstream.answers()
    assert [task.result().how for task in (first, second)] == ["miss", "collapsed"]


async def test_names_of_another_request_are_not_repeated() -> None:
    """An answer that repeats the ids of the request that fetched it shows them to nobody else."""
    desk = Desk(rate=0)
    first, second = desk.ask(), desk.ask()
    echoed = [(b"x-ms-correlation-request-id", b"A"), (b"client-request-id", b"A"), (b"x-request-id", b"A")]
    await desk.upstream.answers(headers=[*echoed, (b"x-ms-request-id", b"r")])
    assert set(echoed) <= set(first.result().headers(read_of()))
    told = second.result().headers(read_of())
    assert b"A" not in {value for _, value in told}
    assert (b"x-ms-request-id", b"r") in told
