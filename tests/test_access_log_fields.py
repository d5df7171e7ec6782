"""The gateway's own log lines keep their fields, whichever logger wrote them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.access_log import LogOutput, configure_logging
from gateway.access_log.redaction import MASK
from gateway.config import Log


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def output(stream: io.StringIO) -> Iterator[LogOutput]:
    made = configure_logging(Log(), stream)
    yield made
    made.close()


def lines(output: LogOutput, stream: io.StringIO) -> list[dict[str, Any]]:
    """Everything written, once the output has closed."""
    output.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_extra_becomes_fields(output: LogOutput, stream: io.StringIO) -> None:
    """What a line of the gateway's says beside its message is written too, escaped and bounded."""
    logging.getLogger("gateway.serve").info("ready", extra={"data": "http://x", "port": 1, "odd": "a\nb"})
    [line] = lines(output, stream)
    assert (line["message"], line["logger"], line["level"]) == ("ready", "gateway.serve", "info")
    assert (line["data"], line["port"], line["odd"]) == ("http://x", 1, "a\\nb")


def test_extra_of_libraries_stays_out(output: LogOutput, stream: io.StringIO) -> None:
    """A library's extra may hold anything, and is not written."""
    logging.getLogger("azure.core").warning("retry", extra={"request": "x", "gateway": "y"})
    [line] = lines(output, stream)
    assert set(line) == {"time", "level", "message", "logger"}


def test_structlog_goes_the_same_way(
    output: LogOutput, stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """A structlog line ends in the output, masked, at its level, and not on standard output."""
    log = structlog.get_logger("gateway.tokens")
    log.debug("too fine")
    log.warning("refresh fails", source="oauth2", failures=1, error="client_secret=canary")
    [line] = lines(output, stream)
    assert (line["level"], line["logger"], line["message"]) == ("warning", "gateway.tokens", "refresh fails")
    assert (line["source"], line["failures"], line["error"]) == ("oauth2", 1, f"client_secret={MASK}")
    assert capsys.readouterr().out == ""
