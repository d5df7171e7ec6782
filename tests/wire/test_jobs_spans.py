"""A job's whole life in the trace of the call that started it, and who did the work for whom."""

from tests.support.azure import fast, http_client
from tests.support.job_traces import (
    GET,
    JOB_ID,
    OTHER,
    PUT,
    THIRD,
    TRACE,
    created,
    followed_to_their_end,
    jobs_in,
    link_to,
    nanoseconds,
    of_trace,
    polled_to_its_end,
    traced,
    within,
)
from tests.support.replays import DELETE_ALL, DELETE_ALL_NAMED, LOST, put_import


async def test_a_job_that_nobody_polls() -> None:
    """The watcher sees its end: the span is below its creation, with the service's times and each status.

    The watcher's read is a trace of its own, which points to the creation.
    """
    async with traced(watch="seen") as (azure, receiver):
        async with azure.app() as app:
            await created(azure, app, "j 1")
        await followed_to_their_end(azure, 1)
        job = azure.cloud.emulator.state.jobs.imports["j 1"]
    [server], [client] = of_trace(receiver, TRACE, "SERVER"), of_trace(receiver, TRACE, "CLIENT")
    assert (server.name, client.parent_id) == (PUT, server.span_id)
    [told] = jobs_in(receiver)
    assert (told.name, told.kind, told.status) == ("import job", "INTERNAL", "UNSET")
    assert (told.trace_id, told.parent_id, told.links) == (TRACE, server.span_id, ())
    assert (told.start, told.end) == (nanoseconds(job.created), nanoseconds(job.finished))
    assert told.events == ("status notstarted", "status succeeded")
    assert told.attributes == {
        JOB_ID: "j 1",
        "az.digitaltwins.job.kind": "import",
        "az.digitaltwins.job.status": "succeeded",
    }
    watch = receiver.named("watch jobs", "INTERNAL")
    assert (watch.parent_id, watch.links, watch.status) == ("", (link_to(server),), "UNSET")
    [read] = of_trace(receiver, watch.trace_id, "CLIENT")
    assert (read.name, read.parent_id) == (GET, watch.span_id)
    assert "canary" not in repr(receiver.spans)


async def test_several_jobs_that_nobody_polls() -> None:
    """One list follows them all and points to each creation; the one that failed says so, with its code."""
    async with traced(watch="seen") as (azure, receiver):
        async with azure.app() as app:
            await created(azure, app, "good")
            await created(azure, app, "bad", name="broken-model.ndjson", headers=within(OTHER))
        await followed_to_their_end(azure, 2)
        assert [entry.target.partition("?")[0] for entry in azure.arrived if entry.method == "GET"] == [
            "/jobs/imports"
        ]
    creations = {
        span.attributes[JOB_ID]: span
        for span in receiver.spans
        if (span.name, span.kind, span.attributes.get("http.response.status_code")) == (PUT, "SERVER", 201)
    }
    told = {span.attributes[JOB_ID]: span for span in jobs_in(receiver)}
    assert set(told) == {"good", "bad"}
    for job_id, span in told.items():
        assert (span.trace_id, span.parent_id) == (creations[job_id].trace_id, creations[job_id].span_id)
    assert (told["good"].status, told["bad"].status) == ("UNSET", "ERROR")
    assert told["bad"].attributes["error.type"] == "DTDLParsingError"
    watch = receiver.named("watch jobs", "INTERNAL")
    assert set(watch.links) == {link_to(span) for span in creations.values()}
    [read] = of_trace(receiver, watch.trace_id, "CLIENT")
    assert (read.name, read.parent_id) == ("GET /jobs/imports", watch.span_id)


async def test_a_deletion_is_a_span_too() -> None:
    """Created and polled: below the call that created it, not below the poll that saw its end."""
    async with traced() as (azure, receiver), azure.app() as app:
        await DELETE_ALL_NAMED.send(app, None, **within())
        await polled_to_its_end(app, "/jobs/deletions/named")
    [told] = jobs_in(receiver)
    creation = receiver.named("POST /jobs/deletions", "SERVER")
    assert (told.name, told.trace_id, told.parent_id) == ("deletion job", TRACE, creation.span_id)


async def test_a_write_given_again_names_its_job() -> None:
    """The span and the log line of a repeat say which job its answer is about, though nothing was sent."""
    async with traced() as (azure, receiver), azure.app() as app:
        await DELETE_ALL.send(app, "id", **within())
        await DELETE_ALL.send(app, "id", **within(OTHER))
        [deletion] = azure.cloud.emulator.state.jobs.deletions
    servers = [of_trace(receiver, trace_id, "SERVER")[0] for trace_id in (TRACE, OTHER)]
    assert [span.attributes[JOB_ID] for span in servers] == [deletion, deletion]
    assert [line["job_id"] for line in azure.gateway.exchanges()] == [deletion, deletion]
    assert of_trace(receiver, OTHER, "CLIENT") == []


async def test_an_unsampled_creation_has_no_job_span() -> None:
    """The sampling of the call that created the job decides, not that of the polls."""
    async with traced() as (azure, receiver), azure.app() as app:
        await created(azure, app, "one", headers=within(flags="00"))
        await polled_to_its_end(app, "/jobs/imports/one")
    assert of_trace(receiver, OTHER, "SERVER")
    assert jobs_in(receiver) == []


async def test_a_job_span_that_links() -> None:
    """With `jobs.span` = link the job is a trace of its own, for collectors that drop what comes late."""
    async with traced(span="link") as (azure, receiver), azure.app() as app:
        await created(azure, app, "one")
        await polled_to_its_end(app, "/jobs/imports/one")
    [told] = jobs_in(receiver)
    creation = receiver.named(PUT, "SERVER")
    assert (told.parent_id, told.links) == ("", (link_to(creation),))
    assert told.trace_id not in {TRACE, OTHER}


async def test_a_job_of_somebody_else_s() -> None:
    """A job whose creation did not pass here is a trace of its own, and no part of who asked for it."""
    async with traced(fast(verify_tokens=False, job_seconds=0.3)) as (azure, receiver):
        async with http_client(azure.cloud.url) as other:
            body = azure.import_body()
            assert (await other.put("/jobs/imports/theirs", json=body)).status_code == 201
        async with azure.app() as app:
            listed = (await app.get("/jobs/imports", headers=within(OTHER))).json()["value"]
            assert [job["status"] for job in listed] == ["running"]
            await polled_to_its_end(app, "/jobs/imports/theirs")
    [told] = jobs_in(receiver)
    assert (told.parent_id, told.links) == ("", ())
    assert told.trace_id not in {span.trace_id for span in receiver.spans if span is not told}


async def test_a_write_found_by_a_read() -> None:
    """A repeat whose answer is made from a read shows that read, and is where the job's span belongs."""
    async with traced() as (azure, receiver), azure.app() as app:
        write = put_import(azure, "one")
        azure.wrong(method="PUT", execute=True, **LOST["cut"])
        assert (await write.send(app, "id", **within())).status_code == 502
        assert (await write.send(app, "id", **within(OTHER))).status_code == 201
        assert (await write.send(app, "id", **within(THIRD))).status_code == 201
        await polled_to_its_end(app, "/jobs/imports/one")
    [lost], [found, *_], [again] = (of_trace(receiver, each, "SERVER") for each in (TRACE, OTHER, THIRD))
    assert (lost.status, found.name, found.status) == ("ERROR", PUT, "UNSET")
    read = min(of_trace(receiver, OTHER, "CLIENT"), key=lambda span: span.start)
    assert (read.name, read.parent_id) == (GET, found.span_id)
    assert of_trace(receiver, THIRD, "CLIENT") == []
    assert again.attributes[JOB_ID] == "one"
    [told] = jobs_in(receiver)
    assert (told.trace_id, told.parent_id) == (OTHER, found.span_id)
