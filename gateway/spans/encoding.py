"""Spans as OTLP's protobuf, byte for byte what the SDK writes, without its messages.

The SDK builds a message object for every span, attribute and value, under the lock that the event loop
needs. Here each attribute is bytes at once, and those that were told of a lean span before cost a look-up.
Source: trace.proto and trace_service.proto of opentelemetry-proto 1.x.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, TraceState

from gateway.spans import protobuf
from gateway.spans.attributes import ERROR, REQUEST_ID, Attributes, text
from gateway.spans.lean import CarriedState, LeanSpan, Recorder

_TOLD = 1_024
"""Groups of attributes that are kept as bytes: of callers, of answers, and of the latest paths."""
_HAS_IS_REMOTE = 0x100
_IS_REMOTE = 0x200
_TIMES = struct.Struct("<BQBQ").pack
_FLAGS = struct.Struct("<I").pack

_Scope = InstrumentationScope | None


def encode(spans: Iterable[ReadableSpan | LeanSpan]) -> bytes:
    """An `ExportTraceServiceRequest`, grouped by resource and scope in the order of their first spans.

    Raises TypeError for an attribute that OTLP has no value for.
    """
    groups: dict[Resource, dict[_Scope, list[bytes]]] = {}
    source: Recorder | ReadableSpan
    latest = None
    group: list[bytes] = []
    for span in spans:
        if isinstance(span, LeanSpan):
            source, encoded = span.recorder, _lean(span)
        else:
            source, encoded = span, _span(span)
        # Asked for first: the SDK hashes a resource by way of JSON, which takes as long as the span itself.
        if source is not latest:
            group = groups.setdefault(source.resource, {}).setdefault(source.instrumentation_scope, [])
            latest = source
        group.append(protobuf.message(b"\x12", encoded))
    return b"".join(protobuf.message(b"\x0a", _resource_spans(*group)) for group in groups.items())


def _resource_spans(
    resource: Resource, scopes: Mapping[InstrumentationScope | None, Sequence[bytes]]
) -> bytes:
    parts = [protobuf.message(b"\x0a", b"".join(protobuf.attributes(b"\x0a", resource.attributes)))]
    for scope, spans in scopes.items():
        url = scope.schema_url if scope else None
        parts.append(
            protobuf.message(b"\x12", b"".join([_scope(scope), *spans, protobuf.text(b"\x1a", url)]))
        )
    return b"".join([*parts, protobuf.text(b"\x1a", resource.schema_url)])


def _scope(scope: InstrumentationScope | None) -> bytes:
    if scope is None:
        return b"\x0a\x00"
    attributes = protobuf.attributes(b"\x1a", scope.attributes)
    return protobuf.message(
        b"\x0a",
        b"".join([protobuf.text(b"\x0a", scope.name), protobuf.text(b"\x12", scope.version), *attributes]),
    )


def _lean(span: LeanSpan) -> bytes:
    parent, start, end, request_id = span.parent_id, span.start_time, span.end_time, span.request_id
    state = _carried(span.state) if span.state else ""
    above = "" if parent is None else "2208" + parent
    told = _kept if span.usual else _told
    failed = False
    parts = [
        bytes.fromhex(f"0a10{span.trace_id}1208{span.span_id}{state}{above}"),
        _named(span.name, span.kind),
        _TIMES(0x39, start, 0x41, end)
        if start and end
        else protobuf.time(b"\x39", start) + protobuf.time(b"\x41", end),
    ]
    for tell, said in span.told:
        encoded, has_error = told(tell, said)
        parts.append(encoded)
        failed |= has_error
    if request_id is not None:
        parts.append(_request_id(request_id))
    if span.events or span.links:
        parts += [protobuf.message(b"\x5a", _event(event)) for event in span.events]
        parts += [protobuf.message(b"\x6a", _link(link)) for link in span.links]
    parts.append(_ENDS[failed, parent is not None and span.parent_is_remote])
    return b"".join(parts)


def _carried(state: bytes) -> str:
    """A tracestate, in hexadecimal digits as the ids around it are."""
    return _state(CarriedState(state)).hex()


@lru_cache(256)
def _named(name: str, kind: int) -> bytes:
    return protobuf.text(b"\x2a", name) + b"\x30%c" % kind


def _told(tell: Callable[..., Attributes], said: tuple[Any, ...]) -> tuple[bytes, bool]:
    """The attributes, and whether an error is among them."""
    attributes = tell(*said)
    return b"".join(protobuf.attributes(b"\x4a", attributes)), ERROR in attributes


_kept = lru_cache(_TOLD)(_told)


def _request_id(value: str) -> bytes:
    length = len(value)
    # Every span has another one; most fit into lengths of one byte, without the calls below.
    if length <= _SHORT_ID and value.isascii():
        return _ID % (length + len(_ID_KEY) + 4, length + 2, length, value.encode())
    return protobuf.attribute(b"\x4a", REQUEST_ID, text(value))


def _span(span: ReadableSpan) -> bytes:
    context, parent = span.context, span.parent
    if context is None:
        raise TypeError("a span without a context cannot be told")
    return b"".join(
        [
            b"\x0a\x10",
            context.trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            context.span_id.to_bytes(8, "big"),
            _state(context.trace_state),
            b"" if parent is None else b"\x22\x08" + parent.span_id.to_bytes(8, "big"),
            protobuf.text(b"\x2a", span.name),
            # The SDK counts kinds from 0, OTLP from 1.
            b"\x30%c" % (span.kind.value + 1),
            protobuf.time(b"\x39", span.start_time),
            protobuf.time(b"\x41", span.end_time),
            *protobuf.attributes(b"\x4a", span.attributes),
            protobuf.count(b"\x50", span.dropped_attributes),
            *[protobuf.message(b"\x5a", _event(event)) for event in span.events],
            protobuf.count(b"\x60", span.dropped_events),
            *[protobuf.message(b"\x6a", _link(link)) for link in span.links],
            protobuf.count(b"\x70", span.dropped_links),
            protobuf.message(b"\x7a", _status(span.status)),
            b"\x85\x01",
            _flags(parent),
        ]
    )


def _event(event: Event) -> bytes:
    return b"".join(
        [
            protobuf.time(b"\x09", event.timestamp),
            protobuf.text(b"\x12", event.name),
            *protobuf.attributes(b"\x1a", event.attributes),
            protobuf.count(b"\x20", event.dropped_attributes),
        ]
    )


def _link(link: Link) -> bytes:
    return b"".join(
        [
            b"\x0a\x10",
            link.context.trace_id.to_bytes(16, "big"),
            b"\x12\x08",
            link.context.span_id.to_bytes(8, "big"),
            *protobuf.attributes(b"\x22", link.attributes),
            protobuf.count(b"\x28", link.dropped_attributes),
            b"\x35",
            _flags(link.context),
        ]
    )


def _status(status: Status) -> bytes:
    return protobuf.text(b"\x12", status.description) + protobuf.count(b"\x18", status.status_code.value)


def _state(state: TraceState) -> bytes:
    return (
        protobuf.text(b"\x1a", ",".join([f"{key}={value}" for key, value in state.items()])) if state else b""
    )


def _flags(context: SpanContext | None) -> bytes:
    remote = context is not None and context.is_remote
    return _FLAGS(_HAS_IS_REMOTE | _IS_REMOTE if remote else _HAS_IS_REMOTE)


_ID_KEY = protobuf.text(b"\x0a", REQUEST_ID)
_ID = b"\x4a%c" + _ID_KEY + b"\x12%c\x0a%c%b"
_SHORT_ID = 0x7F - len(_ID_KEY) - 4
_ENDS = {
    (failed, remote): b"\x7a\x02\x18\x02" * failed
    + b"\x7a\x00" * (not failed)
    + b"\x85\x01"
    + _FLAGS(_HAS_IS_REMOTE | _IS_REMOTE * remote)
    for failed in (False, True)
    for remote in (False, True)
}
"""Status and flags, by whether the span failed and whether it has a parent in another process."""
