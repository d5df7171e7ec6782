"""One line for each exchange when it is really over, and the output that all log lines share.

Levels of an exchange's line: `error` for `GatewayInternal`, which is a bug; `warning` for any other 5xx and
for a response that was cut; else `info`, also for 4xx and for a client that left, which the app decides.

No query value is written: it may hold a secret. What a caller wrote is bounded and its control characters
are escaped.
"""

from logging import ERROR, INFO, WARNING

from gateway.access_log.line import line_of
from gateway.access_log.output import LogOutput, configure_logging
from gateway.exchange import Exchange

__all__ = ["AccessLog", "LogOutput", "configure_logging"]

SERVER_ERROR = 500


class AccessLog:
    """Writes finished exchanges to the log's output."""

    def __init__(self, output: LogOutput) -> None:
        self._output = output

    def write(self, exchange: Exchange) -> None:
        """Queue the exchange's line; never blocks, never raises for what a peer sent."""
        level = INFO
        if exchange.error_code == "GatewayInternal":
            level = ERROR
        elif exchange.cut or (exchange.status or 0) >= SERVER_ERROR:
            level = WARNING
        output = self._output
        if level >= output.level:
            output.emit(level, line_of(exchange))
