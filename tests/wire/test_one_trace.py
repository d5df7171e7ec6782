"""One trace from the app to the upstream, and the same id everywhere it is told.

The batch processor's timer is set so far out that whatever arrives was flushed by the shutdown.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.emulator import EmulatorSettings
from tests.support.azure import Azure, fast, running_azure
from tests.support.otlp import OtlpReceiver, ReceivedSpan, otlp_receiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
OTHER = "a3ce929d0e0e47364bf92f3577b34da6"
ONLY_AT_SHUTDOWN = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@asynccontextmanager
async def traced(
    settings: EmulatorSettings | None = None, **sections: Any
) -> AsyncIterator[tuple[Azure, OtlpReceiver]]:
    """Gateway, emulator and a receiver of spans, which outlives them."""
    async with otlp_receiver() as receiver:
        tracing = {"endpoint": receiver.url, **sections.pop("tracing", {})}
        async with running_azure(settings, ONLY_AT_SHUTDOWN, tracing=tracing, **sections) as azure:
            yield azure, receiver
            assert receiver.spans == []


def from_caller(trace_id: str = TRACE, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{CALLER}-{flags}"}


def parents(azure: Azure) -> list[list[str]]:
    """The fields of `traceparent` of every request that arrived upstream; each has exactly one."""
    values = [
        [value for name, value in entry.headers if name.lower() == "traceparent"] for entry in azure.arrived
    ]
    assert all(len(lines) == 1 for lines in values)
    return [lines[0].split("-") for lines in values]


def in_trace(receiver: OtlpReceiver, kind: str, trace_id: str = TRACE) -> list[ReceivedSpan]:
    return [span for span in receiver.spans if (span.trace_id, span.kind) == (trace_id, kind)]


def samples_with(text: str, trace_id: str) -> list[Sample]:
    """The samples of an OpenMetrics text whose exemplar is the trace."""
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    samples = [sample for family in families for sample in family.samples]
    return [each for each in samples if each.exemplar and each.exemplar.labels == {"trace_id": trace_id}]


async def test_one_trace_id_everywhere() -> None:
    """Caller, upstream, both spans, exemplars, traceresponse and log line tell one trace, parents right."""
    async with traced() as (azure, receiver):
        async with azure.app() as app:
            answer = await app.get("/jobs/imports/no-such-job", headers=from_caller())
        scraped = await azure.metrics(OPENMETRICS)
    [server], [client] = in_trace(receiver, "SERVER"), in_trace(receiver, "CLIENT")
    assert server.name == client.name == "GET /jobs/imports/{id}"
    assert (server.parent_id, client.parent_id) == (CALLER, server.span_id)
    assert parents(azure) == [["00", TRACE, client.span_id, "01"]]
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{server.span_id}-01"
    [line] = azure.gateway.exchanges()
    assert (line["trace_id"], line["span_id"]) == (TRACE, server.span_id)
    assert {sample.name for sample in samples_with(scraped, TRACE)} == {
        "http_server_request_duration_seconds_bucket",
        "http_client_request_duration_seconds_bucket",
        "adt_gateway_error_responses_total",
    }


async def test_spans_say_what_happened() -> None:
    """Both spans carry the semantic conventions' attributes and the job's id, and the query is redacted."""
    async with traced() as (azure, receiver), azure.app() as app:
        query = {"api-version": "2023-10-31", "sig": "canary"}
        answer = await app.get("/jobs/imports/j%201", params=query, headers=from_caller())
    [server], [client] = in_trace(receiver, "SERVER"), in_trace(receiver, "CLIENT")
    upstream_port = int(azure.cloud.url.rpartition(":")[2])
    told = {
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "az.digitaltwins.job.id": "j 1",
        "azure.service.request.id": answer.headers["x-ms-request-id"],
    }
    assert (
        server.attributes.items()
        >= {
            **told,
            "http.route": "/jobs/imports/{id}",
            "url.path": "/jobs/imports/j%201",
            "url.scheme": "http",
            "server.address": "127.0.0.1",
            "server.port": azure.gateway.address[1],
            "client.address": "127.0.0.1",
            "network.protocol.version": "1.1",
        }.items()
    )
    assert (
        client.attributes.items()
        >= {
            **told,
            "error.type": "404",
            "server.address": "127.0.0.1",
            "server.port": upstream_port,
            "url.full": f"{azure.cloud.url}/jobs/imports/j%201?api-version=2023-10-31&sig=REDACTED",
        }.items()
    )
    assert (server.status, client.status) == ("UNSET", "ERROR")
    assert server.resource["service.name"] == "adt-gateway"
    assert server.start <= client.start <= client.end <= server.end


async def test_two_attempts_are_two_client_spans() -> None:
    """An attempt that is repeated with a new token has a span, an id and a number of its own."""
    async with traced() as (azure, receiver), azure.app() as app:
        azure.wrong(status=401, path="/models")
        assert (await app.get("/models", headers=from_caller())).status_code == 200
    [server] = in_trace(receiver, "SERVER")
    first, second = sorted(in_trace(receiver, "CLIENT"), key=lambda span: span.start)
    assert first.span_id != second.span_id
    assert [span.parent_id for span in (first, second)] == [server.span_id] * 2
    assert [span.attributes.get("http.request.resend_count") for span in (first, second)] == [None, 1]
    assert [span.attributes["http.response.status_code"] for span in (first, second)] == [401, 200]
    assert parents(azure) == [["00", TRACE, span.span_id, "01"] for span in (first, second)]


async def test_a_request_without_a_context_starts_a_trace() -> None:
    """Without a context that can be read the gateway's span is a root, and tracestate is dropped."""
    broken = {"traceparent": f"00-{'0' * 32}-{CALLER}-01", "tracestate": "vendor=1"}
    async with traced() as (azure, receiver), azure.app() as app:
        answers = [await app.get("/eventroutes"), await app.get("/eventroutes", headers=broken)]
    servers = [span for span in receiver.spans if span.kind == "SERVER"]
    assert [span.parent_id for span in servers] == ["", ""]
    assert len({span.trace_id for span in servers}) == 2
    told = {answer.headers["traceresponse"].split("-")[1] for answer in answers}
    assert told == {span.trace_id for span in servers} == {fields[1] for fields in parents(azure)}
    assert "tracestate" not in {name.lower() for entry in azure.arrived for name, _ in entry.headers}


async def test_tracestate_arrives_in_one_line() -> None:
    """The caller's tracestate reaches the upstream in its order, joined into one line."""
    states = [("tracestate", "a=1,b=2"), ("tracestate", "c@d=3")]
    async with traced() as (azure, _), azure.app() as app:
        await app.get("/eventroutes", headers=[*from_caller().items(), *states])
    [lines] = [entry.headers for entry in azure.arrived]
    assert [value for name, value in lines if name.lower() == "tracestate"] == ["a=1,b=2,c@d=3"]


async def test_an_unsampled_trace_is_continued_and_not_exported() -> None:
    """The caller's decision not to sample holds: fresh ids upstream, a log line, no span, no exemplar."""
    async with traced() as (azure, receiver):
        async with azure.app() as app:
            await app.get("/eventroutes", headers=from_caller(flags="00"))
        scraped = await azure.metrics(OPENMETRICS)
    [[_, trace_id, parent, flags]] = parents(azure)
    assert (trace_id, flags) == (TRACE, "00")
    assert parent != CALLER
    assert in_trace(receiver, "SERVER") == in_trace(receiver, "CLIENT") == []
    assert samples_with(scraped, TRACE) == []
    assert [line["trace_id"] for line in azure.gateway.exchanges()] == [TRACE]


async def test_a_restarted_trace_links_to_the_caller_s() -> None:
    """With trust = restart a stranger's trace is not continued; a link keeps the way back to it."""
    async with traced(tracing={"trust": "restart"}) as (azure, receiver), azure.app() as app:
        await app.get("/eventroutes", headers={**from_caller(), "tracestate": "a=1"})
    [server] = [span for span in receiver.spans if span.kind == "SERVER"]
    assert (server.parent_id, [link.span_id for link in server.links]) == ("", [CALLER])
    assert server.trace_id != TRACE
    assert [fields[1] for fields in parents(azure)] == [server.trace_id]
    assert "tracestate" not in {name.lower() for entry in azure.arrived for name, _ in entry.headers}


async def test_a_finished_job_s_exemplar_is_its_creation() -> None:
    """The counter of finished jobs leads to the trace that created the job, not to the last poll's."""
    async with traced() as (azure, _), azure.app() as app:
        body = azure.import_body()
        await app.put("/jobs/imports/campus", json=body, headers=from_caller())
        poll = from_caller(OTHER)
        while (await app.get("/jobs/imports/campus", headers=poll)).json()["status"] != "succeeded":
            continue
        scraped = await azure.metrics(OPENMETRICS)
    finished = [sample for sample in samples_with(scraped, TRACE) if sample.name == "adt_jobs_finished_total"]
    assert [sample.labels["status"] for sample in finished] == ["succeeded"]


async def test_a_token_refresh_is_a_trace_of_its_own() -> None:
    """The refresh is a root span with the issuer's HTTP call as child; neither tells secret or token."""
    async with traced(fast(client_secret="canary-secret-4711")) as (azure, receiver), azure.app() as app:
        assert (await app.get("/eventroutes", headers=from_caller())).status_code == 200
    refresh = receiver.named("token refresh", "INTERNAL")
    [call] = [span for span in receiver.spans if span.parent_id == refresh.span_id]
    assert (refresh.parent_id, call.kind, call.trace_id) == ("", "CLIENT", refresh.trace_id)
    assert refresh.trace_id != TRACE
    assert refresh.attributes["adt_gateway.token.source"] == "oauth2"
    assert call.attributes["http.response.status_code"] == 200
    assert re.fullmatch(
        r"http://127\.0\.0\.1:\d+/[-0-9a-f]+/oauth2/v2\.0/token", str(call.attributes["url.full"])
    )
    [token] = [value for name, value in azure.arrived[0].headers if name.lower() == "authorization"]
    everything = repr(receiver.spans)
    assert "canary-secret-4711" not in everything
    assert token.removeprefix("Bearer ") not in everything
    [asked] = [entry for entry in azure.cloud.emulator.state.journal.entries if entry not in azure.arrived]
    [parent] = [value for name, value in asked.headers if name.lower() == "traceparent"]
    assert parent.split("-")[1:3] == [call.trace_id, call.span_id]


async def test_a_failed_refresh_is_a_failed_span() -> None:
    """A refused secret shows as an error of the refresh span, with a name and without the secret."""
    wrong = {"oauth2": {"client_secret": "canary-secret-4711"}}
    async with traced(auth=wrong) as (azure, receiver), azure.app() as app:
        assert (await app.get("/eventroutes")).status_code == 503
    refresh = receiver.named("token refresh", "INTERNAL")
    assert refresh.status == "ERROR"
    assert refresh.attributes["error.type"]
    assert "canary-secret-4711" not in repr(receiver.spans)


async def test_admin_requests_make_no_spans() -> None:
    """Scrapes and probes leave no trace."""
    async with traced() as (azure, receiver), azure.operator() as operator:
        for path in ("/metrics", "/livez", "/readyz", "/api/jobs"):
            await operator.get(path)
    assert {span.kind for span in receiver.spans if span.name != "token refresh"} <= {"CLIENT"}
    assert not [span for span in receiver.spans if span.kind == "SERVER"]


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
async def test_the_standard_variables_suffice(variable: str) -> None:
    """Without a key of the gateway's, the standard variables say where spans go and who sends them."""
    async with otlp_receiver() as receiver:
        endpoint = receiver.url if "TRACES" in variable else receiver.url.removesuffix("/v1/traces")
        environ = {variable: endpoint, "OTEL_SERVICE_NAME": "mine", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=k"}
        async with running_azure(environ=environ) as azure, azure.app() as app:
            await app.get("/eventroutes", headers=from_caller())
    [server] = in_trace(receiver, "SERVER")
    assert server.resource["service.name"] == "mine"
    assert {request.headers["x-key"] for request in receiver.requests} == {"k"}
