"""Read what an answer of the jobs routes says, and tell the ledger.

It gets a bounded copy of the body: the answer itself is neither changed nor held up, and nothing that an
answer holds makes it raise.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, get_args

from gateway.exchange import Exchange, RawHeaders
from gateway.headers import first
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.ledger import Ledger
from gateway.jobs.model import Reason, SpanContext, printable
from gateway.jobs.shown import Shown
from gateway.jobs.wire import NOT_FOUND, JobReader, Unreadable, is_usable_id, read_error_code

MAX_SHOWN_ID = 256
"""Characters of an id in logs and spans."""

_NOT_FOUND: Final = HTTPStatus.NOT_FOUND.value
_WANTED: Final = frozenset(
    {
        *(
            (operation, status)
            for operation in ("add", "get", "list", "cancel")
            for status in (200, 201, 202)
        ),
        ("get", _NOT_FOUND),
        ("delete", 204),
    }
)
"""Operations with the statuses of answers that say something of a job."""


class JobObserver:
    """Feeds the ledger from the exchanges of the jobs routes.

    `unreadable` counts, by reason, bodies and items of pages that said nothing usable; every reason is there
    from the start.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._reader = JobReader()
        self.on_seen: Callable[[], None] = lambda: None
        """Called when the ledger has learned of a job's state."""
        self._unreadable: dict[Reason, int] = dict.fromkeys(get_args(Reason), 0)

    @property
    def unreadable(self) -> Mapping[Reason, int]:
        """Bodies and items not read, by reason."""
        return MappingProxyType(self._unreadable)

    def wants(self, exchange: Exchange, status: int) -> bool:
        """Whether this answer says something of a job, so that a copy of its body is needed."""
        route = exchange.route
        return route.job_kind is not None and (route.operation, status) in _WANTED

    def observe(
        self,
        exchange: Exchange,
        status: int,
        headers: RawHeaders,
        body: bytes | None,
        digest: bytes | None = None,
    ) -> None:
        """Read a copy of the body, decoded, of an answer that it `wants`; None for one too large to copy.

        `digest` is the body's SHA-256, where that is known.
        Sets the exchange's `job_id` and `job_status` where the answer tells them.
        """
        route = exchange.route
        kind, operation, path_id = route.job_kind, route.operation, route.job_id
        if kind is None:
            return
        if path_id is not None:
            exchange.job_id = printable(path_id, MAX_SHOWN_ID)
        if operation == "delete":
            self._left(kind, exchange)
        elif status == _NOT_FOUND:
            if _is_unknown_job(kind, headers, body):
                self._left(kind, exchange)
        elif body is None:
            self._unreadable["too_large"] += 1
        elif operation == "list":
            self._page(kind, exchange, body, digest)
        else:
            self._job(kind, exchange, headers, body)

    def _job(self, kind: str, exchange: Exchange, headers: RawHeaders, body: bytes) -> None:
        route = exchange.route
        creation, fallback_id = route.operation == "add", route.job_id
        if creation and fallback_id is None:
            fallback_id = _operation_id(headers) or _operation_id(exchange.headers)
            exchange.job_id = printable(fallback_id, MAX_SHOWN_ID) if fallback_id else None
        try:
            shown = self._reader.read(kind, body, fallback_id)
        except Unreadable as error:
            self._unreadable[error.reason] += 1
            return
        state = shown.states[0]
        if state.id != route.job_id:
            exchange.job_id = printable(state.id, MAX_SHOWN_ID)
        exchange.job_status = state.status_text
        if creation:
            self._ledger.created(kind, state, _span_of(exchange), _asked(exchange))
            self.on_seen()
        else:
            self._seen(kind, exchange, shown)

    def _page(self, kind: str, exchange: Exchange, body: bytes, digest: bytes | None) -> None:
        try:
            shown = self._reader.read_list(kind, body, digest)
        except Unreadable as error:
            self._unreadable[error.reason] += 1
            return
        for reason in shown.unreadable:
            self._unreadable[reason] += 1
        self._seen(kind, exchange, shown)

    def _seen(self, kind: str, exchange: Exchange, shown: Shown) -> None:
        if not self._ledger.seen_again(kind, shown):
            self._ledger.seen(kind, shown, _span_of(exchange), _asked(exchange))
        self.on_seen()

    def _left(self, kind: str, exchange: Exchange) -> None:
        if exchange.route.job_id is not None:
            self._ledger.left(kind, exchange.route.job_id, _asked(exchange))


def _span_of(exchange: Exchange) -> SpanContext:
    trace = exchange.trace
    return SpanContext(trace.trace_id, trace.span_id, trace.sampled)


def _asked(exchange: Exchange) -> float | None:
    return exchange.started_ns / NANOSECONDS if exchange.started_ns else None


def _operation_id(headers: RawHeaders) -> str | None:
    text = (first(headers, b"operation-id") or b"").decode("latin-1")
    return text if is_usable_id(text) else None


def _is_unknown_job(kind: str, headers: RawHeaders, body: bytes | None) -> bool:
    """Whether a 404 is about the job; one about the host or the tenant says nothing of it."""
    value = first(headers, b"x-ms-error-code")
    code = value.decode("latin-1") if value else read_error_code(body or b"")
    return code is not None and code.strip().lower() == NOT_FOUND[kind]
