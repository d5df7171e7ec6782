"""Batched reads: one list request answers the reads that wait."""

import asyncio
import json

import msgspec
import pytest

from gateway import failures
from gateway.exchange import Exchange
from gateway.jobs.governor import Priority
from gateway.jobs.reads import Given
from tests.support.desk import QUERY, Desk, read_of
from tests.support.token_sources import settle


def item(job_id: str, **more: object) -> bytes:
    """A job with spaces and a field of its own, which nobody may write anew."""
    text = json.dumps({"id": job_id, "status": "running", "x": 1.50, **more}, indent=1, ensure_ascii=False)
    return text.encode()


def page(*items: bytes) -> bytes:
    return b'{ "value": [ ' + b" ,\n".join(items) + b' ], "nextLink": null }'


async def waiting(desk: Desk, *names: str) -> "list[asyncio.Task[Given]]":
    """Reads that wait for a turn, behind one that has taken it."""
    desk.ask(read_of("/jobs/imports/first"))
    await desk.upstream.answers(404)
    tasks = [desk.ask(read_of(f"/jobs/imports/{name}")) for name in names]
    await settle()
    return tasks


async def test_waiting_reads_become_one_list() -> None:
    """When reads of several jobs wait, one list answers all, each with the exact bytes of its item."""
    desk = Desk()
    names = ["a", "b", "c"]
    tasks = await waiting(desk, *names)
    await desk.timers.elapse(1.1)
    assert desk.upstream.asked[1:] == ["/jobs/imports"]
    await desk.upstream.answers(
        body=page(*[item(name) for name in names], item("z")),
        headers=[(b"etag", b"1"), (b"x-ms-request-id", b"the-list"), (b"content-length", b"999")],
    )
    for name, task in zip(names, tasks, strict=True):
        given = task.result()
        assert given.answer.body == item(name)
        assert given.result == "batched"
        told = given.headers(read_of())
        assert (b"x-ms-request-id", b"the-list") in told
        assert (b"cache-status", b"adt-gateway; fwd=miss; detail=batched") in told
        assert [value for key, value in told if key == b"content-length"] == [b"%d" % len(item(name))]
        assert not any(key == b"etag" for key, _ in told)
    hit = await desk.ask(read_of("/jobs/imports/b"))
    assert (hit.how, hit.answer.body) == ("hit", item("b"))


async def test_one_read_is_not_a_batch() -> None:
    """A read that waits alone asks for its job."""
    desk = Desk()
    await waiting(desk, "a")
    await desk.timers.elapse(1.1)
    assert desk.upstream.asked[1:] == ["/jobs/imports/a"]
    await desk.reads.aclose()


async def test_a_batch_can_be_switched_off() -> None:
    """With jobs.batch off every read has its own turn."""
    desk = Desk(batch=False)
    await waiting(desk, "a", "b")
    await desk.timers.elapse(2.1)
    assert desk.upstream.asked[1:] == ["/jobs/imports/a", "/jobs/imports/b"]
    await desk.reads.aclose()


async def test_what_the_page_does_not_show_asks_by_itself() -> None:
    """An id that is not on the first page gets its own GET, in its old place, and no list for a while."""
    desk = Desk(max_staleness=0, terminal_staleness=0)
    tasks = await waiting(desk, "a", "gone")
    late = desk.ask(read_of("/jobs/imports/late"))
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(body=page(item("a"), item("late")))
    assert tasks[0].done()
    assert late.done()
    await desk.timers.elapse(1.1)
    assert desk.upstream.asked[1:] == ["/jobs/imports", "/jobs/imports/gone"]
    await desk.upstream.answers(404, body=b"no")
    assert tasks[1].result().answer.status == 404
    again = [desk.ask(read_of(f"/jobs/imports/{name}")) for name in ("gone", "a")]
    await desk.timers.elapse(2.2)
    assert desk.upstream.asked[3:] == ["/jobs/imports/gone", "/jobs/imports/a"]
    assert not any(task.done() for task in again)
    await desk.reads.aclose()


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"value": 1}'])
async def test_a_list_that_is_none_costs_one_turn(body: bytes) -> None:
    """Where the list cannot be read each asks by itself, and no list is tried for a while."""
    desk = Desk(max_staleness=0, terminal_staleness=0)
    await waiting(desk, "a", "b")
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(body=body)
    await desk.timers.elapse(2.1)
    assert desk.upstream.asked[1:] == ["/jobs/imports", "/jobs/imports/a", "/jobs/imports/b"]
    for _ in range(2):
        await desk.upstream.answers(body=item("x"))
    await desk.timers.elapse(1.1)
    await waiting(desk, "a", "b")
    await desk.timers.elapse(2.2)
    assert desk.upstream.asked[5:] == ["/jobs/imports/a", "/jobs/imports/b"]
    await desk.reads.aclose()


async def test_a_refused_list_is_not_the_answer() -> None:
    """A list that may not be read says nothing of a single job."""
    desk = Desk()
    tasks = await waiting(desk, "a", "b")
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(403)
    assert not any(task.done() for task in tasks)
    await desk.timers.elapse(2.1)
    assert desk.upstream.asked[2:] == ["/jobs/imports/a", "/jobs/imports/b"]
    await desk.reads.aclose()


async def test_a_batch_that_fails_fails_those_aboard() -> None:
    """An upstream that is away is away for all of them."""
    desk = Desk()
    tasks = await waiting(desk, "a", "b")
    await desk.timers.elapse(1.1)
    await desk.upstream.breaks(failures.UpstreamUnreachable("away"))
    assert all(isinstance(task.exception(), failures.UpstreamUnreachable) for task in tasks)


async def test_a_batch_that_meets_429_goes_again() -> None:
    """After the pause the same reads go as a batch again."""
    desk = Desk(pause=3)
    tasks = await waiting(desk, "a", "b")
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(429)
    await desk.timers.elapse(3.1)
    assert desk.upstream.asked[1:] == ["/jobs/imports", "/jobs/imports"]
    await desk.upstream.answers(body=page(item("a"), item("b")))
    assert [task.result().answer.body for task in tasks] == [item("a"), item("b")]


async def test_a_batch_flies_on_without_its_first() -> None:
    """The read that had the turn may be given up; the others get their answers."""
    desk = Desk()
    first, second = await waiting(desk, "a", "b")
    await desk.timers.elapse(1.1)
    first.cancel()
    await desk.upstream.answers(body=page(item("a"), item("b")))
    assert second.result().answer.body == item("b")


async def test_a_batch_that_nobody_wants_is_given_up() -> None:
    """When all have left, the list request is cancelled."""
    desk = Desk()
    tasks = await waiting(desk, "a", "b")
    await desk.timers.elapse(1.1)
    for task in tasks:
        task.cancel()
    await settle()
    assert desk.upstream.waiting[0].cancelled()


@pytest.mark.parametrize(
    "other",
    [
        read_of("/jobs/deletions/b"),
        read_of("/jobs/imports/b", query=QUERY + b"&more=1"),
        read_of("/jobs/imports/b", query=b"api-version=2022-05-31"),
        read_of("/jobs/imports/b", headers=[(b"accept", b"text/plain")]),
        read_of("/jobs/imports/%ff"),
        read_of("/jobs/imports"),
    ],
)
async def test_only_reads_of_one_kind_fly_together(other: Exchange) -> None:
    """A batch is for single jobs of one kind, asked for in one way, whose ids are certain."""
    desk = Desk()
    await waiting(desk, "a")
    desk.ask(other)
    await settle()
    await desk.timers.elapse(1.1)
    assert desk.upstream.asked[1:] == ["/jobs/imports/a"]
    await desk.reads.aclose()


async def test_an_id_that_stands_twice_is_nobodys() -> None:
    """Of two items with one id nobody knows which is meant: the job is asked for."""
    desk = Desk()
    await waiting(desk, "a", "b")
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(body=page(item("a"), item("a", y=2), item("b")))
    await desk.timers.elapse(1.1)
    assert desk.upstream.asked[2:] == ["/jobs/imports/a"]
    await desk.reads.aclose()


async def test_ids_are_compared_as_they_are() -> None:
    """Case, spaces, slashes and any Unicode tell ids apart; one id spelled in two ways is one job."""
    desk = Desk()
    tasks = await waiting(desk, "j%201%2F%C3%A9", "J%201%2F%C3%A9", "j%201%2f%c3%a9")
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(body=page(item("j 1/é"), item("J 1/é", y=2)))
    bodies = [msgspec.json.decode(task.result().answer.body) for task in tasks]
    assert [body["id"] for body in bodies] == ["j 1/é", "J 1/é", "j 1/é"]


async def test_the_watchers_read_flies_along() -> None:
    """A read of the watcher's that waits is answered by the apps' batch."""
    desk = Desk()
    tasks = await waiting(desk, "a", "b")
    watched = desk.ask(read_of("/jobs/imports/w"), priority=Priority.WATCH)
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(body=page(item("a"), item("b"), item("w")))
    assert watched.result().answer.body == item("w")
    assert all(task.done() for task in tasks)
