"""One trace as a picture, in the manner of Jaeger: drawn from the spans that an OTLP receiver got.

The app here is instrumented as an app would be, with OpenTelemetry's httpx instrumentation and an exporter of
its own, so that its spans and the gateway's meet in the receiver.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.support.azure import fast, running_azure
from tests.support.job_traces import followed_to_their_end
from tests.support.otlp import OtlpReceiver, ReceivedSpan, otlp_receiver

ROOT = "nightly import"
JOB = "/jobs/imports/campus"
_WIDTH, _NAMES, _ROW, _TOP = 1000, 350, 28, 62
_MARGIN, _GAP, _LEAST, _TICKS, _LETTER = 16, 6, 3, 4, 7
_KEPT = ("http.response.status_code", "az.digitaltwins.job.status", "error.type")
"""Attributes that are written beside a bar."""
_STYLE = """
.back { fill: #fff; } .text { fill: #1c2128; } .quiet { fill: #59636e; } .line { stroke: #d5dae0; }
.app { fill: #8250df; } .gateway { fill: #0a66d0; } .job { fill: #1a7f37; }
.link { stroke: #8f5c00; fill: none; stroke-dasharray: 4 3; } .tip { fill: #8f5c00; }
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.small { font-size: 11px; }
.halo { paint-order: stroke; stroke: #fff; stroke-width: 4px; } .title { font-size: 15px; font-weight: 600; }
@media (prefers-color-scheme: dark) {
.back { fill: #161b22; } .text { fill: #e3e8ee; } .quiet { fill: #9aa5b1; } .line { stroke: #313943; }
.app { fill: #b392f0; } .gateway { fill: #5aa2ff; } .job { fill: #4cc265; }
.link { stroke: #e0ad3b; } .tip { fill: #e0ad3b; } .halo { stroke: #161b22; } }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A span with its place in the tree."""

    span: ReceivedSpan
    depth: int


async def spans_of_an_import(job_seconds: float = 4.0) -> list[ReceivedSpan]:
    """The spans of an import that the app creates and the gateway follows to its end."""
    async with otlp_receiver() as receiver:
        settings = fast(job_start_seconds=1.0, job_seconds=job_seconds)
        sections = {"tracing": {"endpoint": receiver.url}, "jobs": {"watch": "seen"}}
        async with running_azure(settings, **sections) as azure:
            exported = BatchSpanProcessor(OTLPSpanExporter(receiver.url))
            provider = TracerProvider(resource=Resource({"service.name": "app"}))
            provider.add_span_processor(exported)
            async with azure.app() as app:
                await app.get("/eventroutes")  # connects, so that the picture shows what is usual
                HTTPXClientInstrumentor.instrument_client(app, tracer_provider=provider)
                with provider.get_tracer("app").start_as_current_span(ROOT):
                    (await app.put(JOB, json=azure.import_body())).raise_for_status()
            await followed_to_their_end(azure, 1)
            # Exporting waits for the receiver, which answers in this loop.
            await asyncio.to_thread(provider.shutdown)
        return chosen(receiver)


def chosen(receiver: OtlpReceiver) -> list[ReceivedSpan]:
    """The app's trace, and those of the watcher's that point to it; oldest first."""
    root = receiver.named(ROOT)
    watching = {
        span.trace_id for span in receiver.spans if any(link.trace_id == root.trace_id for link in span.links)
    }
    wanted = {root.trace_id, *watching}
    return sorted((span for span in receiver.spans if span.trace_id in wanted), key=lambda span: span.start)


def tree(spans: Sequence[ReceivedSpan], parent: str = "", depth: int = 0) -> Iterator[Line]:
    """Parents before their children, siblings in the order in which they began."""
    for span in spans:
        if span.parent_id == parent:
            yield Line(span, depth)
            yield from tree(spans, span.span_id, depth + 1)


async def waterfall() -> str:
    """The picture as SVG."""
    spans = await spans_of_an_import()
    return drawn(list(tree(spans)))


def drawn(lines: Sequence[Line]) -> str:
    """These spans on one time axis, links to another trace as dashed lines."""
    begin, end = min(line.span.start for line in lines), max(line.span.end for line in lines)
    # The longest axis on which each bar has its figures to the right: to the left are the links.
    scale = min(
        (_WIDTH - _NAMES - _MARGIN - _GAP - _LEAST - _LETTER * len(_figures(line.span)))
        / (line.span.end - begin)
        for line in lines
    )
    places = {line.span.span_id: _TOP + _ROW * row for row, line in enumerate(lines)}
    height = _TOP + _ROW * len(lines) + 34
    first = lines[0].span
    space = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
    drawing = [
        f'<svg {space} role="img" aria-labelledby="t d">',
        f'<title id="t">One trace: {escape(first.name)}</title>',
        f'<desc id="d">{escape("; ".join(_told(line.span) for line in lines))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{height}" rx="10"/>',
        _text(_MARGIN, 28, f"{first.name}: from the app's call to the end of the job", "text title"),
        _text(_WIDTH - _MARGIN, 28, f"trace {first.trace_id}", "quiet small", end=True),
        *_axis(end - begin, scale, height),
    ]
    for line in lines:
        drawing += _links(line.span, places, begin, scale)
    for line in lines:
        drawing += _row(line, places[line.span.span_id], begin, scale)
    caption = "Drawn from the spans that an OTLP receiver got from the app's and the gateway's exporters."
    drawing += [_text(_MARGIN, height - 12, caption, "quiet small"), "</svg>\n"]
    return "\n".join(drawing)


def _row(line: Line, y: int, begin: int, scale: float) -> list[str]:
    span, indent = line.span, _MARGIN + 16 * line.depth
    x = _NAMES + (span.start - begin) * scale
    width = max(_LEAST, (span.end - span.start) * scale)
    service = str(span.resource["service.name"])
    colour = "app" if service == "app" else "job" if span.name.endswith(" job") else "gateway"
    whose = f'<tspan class="quiet small">{escape(service)}{_kind(span)}</tspan>'
    return [
        f'<rect class="{colour}" x="{indent}" y="{y + 6}" width="3" height="16" rx="1.5"/>',
        f'<text class="text" x="{indent + 9}" y="{y + 19}">{escape(span.name)} {whose}</text>',
        f'<rect class="{colour}" x="{x:.1f}" y="{y + 8}" width="{width:.1f}" height="12" rx="2"/>',
        _text(x + width + _GAP, y + 18, _figures(span), "quiet small halo"),
    ]


def _links(span: ReceivedSpan, places: dict[str, int], begin: int, scale: float) -> Iterator[str]:
    """From a span to one of another trace, along the left edge of the bars."""
    x = _NAMES + (span.start - begin) * scale
    for link in span.links:
        target = places.get(link.span_id)
        if target is not None:
            y, edge = places[span.span_id] + 14, _NAMES - 8
            yield f'<path class="link" d="M{x:.1f} {y}H{edge}V{target + 14}h5"/>'
            yield f'<path class="tip" d="M{edge + 9} {target + 14}l-6 -3v6z"/>'


def _axis(nanoseconds: int, scale: float, height: int) -> Iterator[str]:
    for tick in range(_TICKS + 1):
        x = _NAMES + nanoseconds * scale * tick / _TICKS
        yield f'<path class="line" d="M{x:.1f} {_TOP - 4}V{height - 30}"/>'
        yield _text(x, _TOP - 10, _lasted(nanoseconds * tick // _TICKS), "quiet small", end=tick == _TICKS)


def _kind(span: ReceivedSpan) -> str:
    return "" if span.kind == "INTERNAL" else f", {span.kind.lower()}"


def _figures(span: ReceivedSpan) -> str:
    told = [str(span.attributes[name]) for name in _KEPT if name in span.attributes]
    links = [f"link to {span.links[0].trace_id[:8]}…"] if span.links else []
    return ", ".join([_lasted(span.end - span.start), *told, *links])


def _told(span: ReceivedSpan) -> str:
    return f"{span.name} of {span.resource['service.name']}: {_figures(span)}"


def _lasted(nanoseconds: int) -> str:
    seconds = nanoseconds / 1e9
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms" if seconds else "0"


def _text(x: float, y: float, text: str, style: str, *, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text class="{style}" x="{x:.1f}" y="{y}"{anchor}>{escape(text)}</text>'
