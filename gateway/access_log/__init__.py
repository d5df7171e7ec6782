"""One line for each exchange when it is really over, and the output that all log lines share.

Levels of an exchange's line: `error` for `GatewayInternal`, which is a bug; `warning` for any other 5xx and
for a response that was cut; else `info`, also for 4xx and for a client that left, which the app decides.

No query value is written: it may hold a secret. What a caller wrote is bounded and its control characters
are escaped.
"""

import logging
from collections.abc import Mapping

from gateway.access_log.output import LogOutput, configure_logging
from gateway.access_log.redaction import printable
from gateway.exchange import Exchange

__all__ = ["AccessLog", "LogOutput", "configure_logging"]

MAX_TEXT = 128
MAX_PATH = 256
SERVER_ERROR = 500


class AccessLog:
    """Writes finished exchanges to the log's output."""

    def __init__(self, output: LogOutput) -> None:
        self._output = output

    def write(self, exchange: Exchange) -> None:
        """Queue the exchange's line; never blocks, never raises for what a peer sent."""
        level = _level(exchange)
        if self._output.writes(level):
            self._output.emit(level, _fields(exchange))


def _level(exchange: Exchange) -> int:
    if exchange.error_code == "GatewayInternal":
        return logging.ERROR
    if exchange.cut or (exchange.status or 0) >= SERVER_ERROR:
        return logging.WARNING
    return logging.INFO


def _fields(exchange: Exchange) -> dict[str, object]:
    """The line's fields in reading order; what there is none of is left out."""
    method = printable(exchange.method, MAX_TEXT)
    fields: dict[str, object | None] = {
        "message": f"{method} {exchange.route.template} {exchange.status or '-'}",
        "event": "exchange",
        "trace_id": exchange.trace.trace_id,
        "span_id": exchange.trace.span_id,
        "method": method,
        "route": exchange.route.template,
        "path": _text(exchange.raw_path.partition(b"?")[0].decode("latin-1"), MAX_PATH),
        "status": exchange.status,
        "error_code": _text(exchange.error_code),
        "error_origin": exchange.error_origin,
        "normalised": exchange.normalised,
        **_durations(exchange),
        "read": exchange.read_result,
        "attempts": len(exchange.attempts),
        "bytes_in": exchange.bytes_in,
        "bytes_out": exchange.bytes_out,
        "x_ms_request_id": _text(exchange.request_id),
        "x_ms_client_request_id": _text(exchange.client_request_id),
        "caller": _text(exchange.caller),
        "client": exchange.client,
        "job_id": _text(exchange.job_id),
        "job_status": _text(exchange.job_status),
        "replayed": exchange.replayed,
        "active_job": _text(exchange.active_job),
        "cut": exchange.cut or None,
        "client_left": exchange.client_left or None,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _durations(exchange: Exchange) -> Mapping[str, float | None]:
    """Seconds to the microsecond; `own` is what is left after waiting for upstream, app and a turn."""
    end = exchange.finished if exchange.finished is not None else exchange.started
    total = end - exchange.started
    return {
        "duration_seconds": round(total, 6),
        "upstream_seconds": round(exchange.upstream_wait, 6),
        "app_wait_seconds": round(exchange.app_wait, 6),
        "rate_wait_seconds": round(exchange.rate_wait, 6) if exchange.rate_wait > 0 else None,
        "own_seconds": round(exchange.own_seconds, 6),
    }


def _text(value: str | None, limit: int = MAX_TEXT) -> str | None:
    return None if value is None else printable(value, limit)
