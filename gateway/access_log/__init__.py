"""One line for each exchange when it is really over, and the output that all log lines share.

Levels of an exchange's line: `error` for `GatewayInternal`, which is a bug; `warning` for any other 5xx and
for a response that was cut; else `info`, also for 4xx and for a client that left, which the app decides.

No query value is written: it may hold a secret. What a caller wrote is bounded and its control characters
are escaped.
"""

import logging

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
    fields: dict[str, object] = {
        "message": f"{method} {exchange.route.template} {exchange.status or '-'}",
        "event": "exchange",
        "trace_id": exchange.trace.trace_id,
        "span_id": exchange.trace.span_id,
        "method": method,
        "route": exchange.route.template,
        "path": printable(exchange.raw_path.partition(b"?")[0].decode("latin-1"), MAX_PATH),
    }
    if exchange.status is not None:
        fields["status"] = exchange.status
    if exchange.error_code is not None:
        fields["error_code"] = printable(exchange.error_code, MAX_TEXT)
        fields["error_origin"] = exchange.error_origin
    if exchange.normalised is not None:
        fields["normalised"] = exchange.normalised
    _add_durations(fields, exchange)
    if exchange.read_result is not None:
        fields["read"] = exchange.read_result
    fields["attempts"] = len(exchange.attempts)
    fields["bytes_in"] = exchange.bytes_in
    fields["bytes_out"] = exchange.bytes_out
    _add_ids(fields, exchange)
    if exchange.cut:
        fields["cut"] = True
    if exchange.client_left:
        fields["client_left"] = True
    return fields


def _add_durations(fields: dict[str, object], exchange: Exchange) -> None:
    """Seconds to the microsecond; `own` is what is left after waiting for upstream, app and a turn."""
    end = exchange.finished if exchange.finished is not None else exchange.started
    fields["duration_seconds"] = round(end - exchange.started, 6)
    fields["upstream_seconds"] = round(exchange.upstream_wait, 6)
    fields["app_wait_seconds"] = round(exchange.app_wait, 6)
    if exchange.rate_wait > 0:
        fields["rate_wait_seconds"] = round(exchange.rate_wait, 6)
    fields["own_seconds"] = round(exchange.own_seconds, 6)


def _add_ids(fields: dict[str, object], exchange: Exchange) -> None:
    if exchange.request_id is not None:
        fields["x_ms_request_id"] = printable(exchange.request_id, MAX_TEXT)
    if exchange.client_request_id is not None:
        fields["x_ms_client_request_id"] = printable(exchange.client_request_id, MAX_TEXT)
    if exchange.caller is not None:
        fields["caller"] = printable(exchange.caller, MAX_TEXT)
    if exchange.client is not None:
        fields["client"] = exchange.client
    if exchange.job_id is not None:
        fields["job_id"] = printable(exchange.job_id, MAX_TEXT)
    if exchange.job_status is not None:
        fields["job_status"] = printable(exchange.job_status, MAX_TEXT)
    if exchange.replayed is not None:
        fields["replayed"] = exchange.replayed
    if exchange.active_job is not None:
        fields["active_job"] = printable(exchange.active_job, MAX_TEXT)
