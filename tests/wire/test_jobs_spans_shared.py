"""Reads that several apps share: each has a span of its own, and points to the one that did the work."""

import asyncio

from tests.support.job_traces import (
    OTHER,
    THIRD,
    created,
    link_to,
    of_trace,
    traced,
    within,
)
from tests.support.replays import Write, arrival


async def test_who_joins_a_poll_points_to_who_made_it() -> None:
    """A follower has a span in its own trace, without a client span below it, and a link to the leader's."""
    async with traced() as (azure, receiver), azure.app() as app:
        await created(azure, app, "one")
        poll = Write("GET", "/jobs/imports/one")
        azure.wrong(method="GET", delay=0.2)
        leading = asyncio.create_task(poll.send(app, None, **within(OTHER)))
        await arrival(azure, poll)
        follower = await poll.send(app, None, **within(THIRD))
        leader = await leading
        assert len(poll.arrived(azure)) == 1
    [made], [joined] = of_trace(receiver, OTHER, "SERVER"), of_trace(receiver, THIRD, "SERVER")
    [client] = of_trace(receiver, OTHER, "CLIENT")
    assert (client.parent_id, made.links) == (made.span_id, ())
    assert joined.links == (link_to(made),)
    assert of_trace(receiver, THIRD, "CLIENT") == []
    told = (made.attributes["adt_gateway.read"], joined.attributes["adt_gateway.read"])
    assert told == ("miss", "collapsed")
    assert leader.headers["traceresponse"] == f"00-{OTHER}-{made.span_id}-01"
    assert follower.headers["traceresponse"] == f"00-{THIRD}-{joined.span_id}-01"


async def test_a_kept_answer_points_to_who_fetched_it() -> None:
    """An answer from before has a link to the span of the request that brought it."""
    async with traced(max_staleness=60, terminal_staleness=60) as (azure, receiver), azure.app() as app:
        await created(azure, app, "one")
        for trace_id in (OTHER, THIRD):
            await app.get("/jobs/imports/one", headers=within(trace_id))
    [fetched], [given] = of_trace(receiver, OTHER, "SERVER"), of_trace(receiver, THIRD, "SERVER")
    assert (fetched.links, given.links) == ((), (link_to(fetched),))
    assert given.attributes["adt_gateway.read"] == "hit"


async def test_who_rides_along_on_a_list_points_to_who_asked_for_it() -> None:
    """Of reads that one list answers, the first has its client span, and the others a link to the first."""
    async with traced(rate=2) as (azure, receiver), azure.app() as app:
        await created(azure, app, "one")
        await created(azure, app, "two")
        names = ("one", "two")
        traces = (OTHER, THIRD)
        answers = await asyncio.gather(
            *(
                app.get(f"/jobs/imports/{name}", headers=within(trace_id))
                for name, trace_id in zip(names, traces, strict=True)
            )
        )
        assert [answer.json()["id"] for answer in answers] == ["one", "two"]
        assert {answer.headers["cache-status"] for answer in answers} == {
            "adt-gateway; fwd=miss; detail=batched"
        }
    spans = [of_trace(receiver, trace_id, "SERVER")[0] for trace_id in traces]
    [client] = [span for trace_id in traces for span in of_trace(receiver, trace_id, "CLIENT")]
    [asked] = [span for span in spans if span.span_id == client.parent_id]
    [rode] = [span for span in spans if span is not asked]
    assert client.name == "GET /jobs/imports"
    assert (asked.links, rode.links) == ((), (link_to(asked),))
