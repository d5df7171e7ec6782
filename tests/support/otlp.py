"""An OTLP/HTTP receiver on a real socket: decodes what an exporter sends and keeps the spans."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.standing import serving
from tests.support.standing_secrets import SECRETS

Value = str | bool | int | float | tuple["Value", ...] | None


@dataclass(frozen=True, slots=True)
class ReceivedLink:
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as it arrived; ids in hex, times in nanoseconds since the epoch."""

    name: str
    kind: str
    """`SERVER`, `CLIENT` or `INTERNAL`."""
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for a root span."""
    trace_state: str
    attributes: dict[str, Value]
    status: str
    """`UNSET`, `OK` or `ERROR`."""
    status_message: str
    start: int
    end: int
    links: tuple[ReceivedLink, ...]
    events: tuple[str, ...]
    flags: int
    scope: tuple[str, str]
    """Name and version of the instrumentation scope."""
    resource: dict[str, Value]


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    path: str
    headers: dict[str, str]
    spans: tuple[ReceivedSpan, ...]


@dataclass
class OtlpReceiver:
    """`status` is the answer to every export; while `hold` is set, no answer is given."""

    url: str = ""
    status: int = 200
    hold: bool = False
    requests: list[ReceivedRequest] = field(default_factory=list)
    spans: list[ReceivedSpan] = field(default_factory=list)
    """Spans of exports that were answered with 200."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, wanted: int | Callable[["OtlpReceiver"], bool], within: float = 15) -> None:
        """Wait for a number of spans, or for a condition on the receiver, at most `within` seconds."""

        def satisfied() -> bool:
            return len(self.spans) >= wanted if isinstance(wanted, int) else wanted(self)

        async with self._changed, asyncio.timeout(within):
            await self._changed.wait_for(satisfied)

    async def release(self, status: int = 200) -> None:
        """Answer what is held, and all that follows, with `status`."""
        async with self._changed:
            self.status, self.hold = status, False
            self._changed.notify_all()

    def named(self, name: str, kind: str | None = None) -> ReceivedSpan:
        """The only span of that name and kind."""
        [span] = [each for each in self.spans if each.name == name and kind in {None, each.kind}]
        return span

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it closes."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._exchange(reader, writer)
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        body = await reader.readexactly(int(headers["content-length"]))
        request = ReceivedRequest(
            head[0].split(" ")[1], headers, tuple(decoded(body, headers.get("content-encoding", "")))
        )
        async with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            await self._changed.wait_for(lambda: not self.hold)
            status = self.status
            if status == 200:
                self.spans.extend(request.spans)
                self._changed.notify_all()
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def otlp_receiver(
    status: int = 200, *, hold: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[OtlpReceiver]:
    """A receiver on a free port of 127.0.0.1; `url` is its full traces URL."""
    receiver = OtlpReceiver(status=status, hold=hold)
    writers: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.create_task(receiver.serve(reader, writer), name=serving(port))
        tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port: int = server.sockets[0].getsockname()[1]
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1/traces"
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.close()
        await server.wait_closed()


def decoded(body: bytes, encoding: str = "") -> list[ReceivedSpan]:
    """The spans of one `ExportTraceServiceRequest`."""
    if encoding == "gzip":
        body = gzip.decompress(body)
    elif encoding == "deflate":
        body = zlib.decompress(body)
    SECRETS.told("a span", body)
    message = ExportTraceServiceRequest.FromString(body)
    return [
        _span(span, (group.scope.name, group.scope.version), _attributes(batch.resource.attributes))
        for batch in message.resource_spans
        for group in batch.scope_spans
        for span in group.spans
    ]


def _span(span: Span, scope: tuple[str, str], resource: dict[str, Value]) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        attributes=_attributes(span.attributes),
        status=Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        status_message=span.status.message,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        links=tuple(ReceivedLink(link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        events=tuple(event.name for event in span.events),
        flags=span.flags,
        scope=scope,
        resource=resource,
    )


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return tuple(_value(each) for each in value.array_value.values)
    plain: Value = getattr(value, kind)
    return plain
