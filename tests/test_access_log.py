"""One line for each exchange, no secret in any line, and no caller that waits for the output."""

import io
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.access_log import AccessLog, LogOutput, configure_logging
from gateway.access_log.output import Bridge
from gateway.access_log.redaction import MASK, printable, redact, suspicious
from gateway.config import Log
from gateway.exchange import Attempt, Exchange
from tests.support.exchanges import SPAN_ID, TRACE_ID, finished

NOON_NS = 1_700_000_000_123_456_789
CANARY = "kanarienvogel-7f3a9"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


def lines_of(*exchanges: Exchange, log: Log | None = None) -> list[dict[str, Any]]:
    """What an access log writes for these exchanges, as JSON."""
    stream = io.StringIO()
    output = LogOutput(log or Log(), stream, now_ns=lambda: NOON_NS)
    for exchange in exchanges:
        AccessLog(output).write(exchange)
    output.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def debug_output(stream: io.StringIO) -> Iterator[LogOutput]:
    """All of logging at debug, as JSON."""
    output = configure_logging(Log(level="debug"), stream)
    yield output
    output.close()


def test_line() -> None:
    """The line tells who, what, how it ended, how long each part took, and its place in the trace."""
    exchange = finished("PUT", status=400)
    exchange.error_code, exchange.error_origin, exchange.normalised = "JobLimitReached", "upstream", "empty"
    exchange.request_id, exchange.client_request_id = "srv-1", "cli-1"
    exchange.job_id, exchange.job_status, exchange.caller = "one", "running", "app"
    exchange.active_job, exchange.read_result, exchange.rate_wait = "import/two", "miss", 0.025
    exchange.bytes_in, exchange.bytes_out = 12, 345
    assert lines_of(exchange) == [
        {
            "time": "2023-11-14T22:13:20.123456Z",
            "level": "info",
            "message": "PUT /jobs/imports/{id} 400",
            "event": "exchange",
            "trace_id": TRACE_ID,
            "span_id": SPAN_ID,
            "method": "PUT",
            "route": "/jobs/imports/{id}",
            "path": "/jobs/imports/one",
            "status": 400,
            "error_code": "JobLimitReached",
            "error_origin": "upstream",
            "normalised": "empty",
            "duration_seconds": 0.5,
            "upstream_seconds": 0.3,
            "app_wait_seconds": 0.1,
            "rate_wait_seconds": 0.025,
            "own_seconds": 0.075,
            "read": "miss",
            "attempts": 1,
            "bytes_in": 12,
            "bytes_out": 345,
            "x_ms_request_id": "srv-1",
            "x_ms_client_request_id": "cli-1",
            "caller": "app",
            "client": "127.0.0.1",
            "job_id": "one",
            "job_status": "running",
            "active_job": "import/two",
        }
    ]


def test_what_is_not_there_is_left_out() -> None:
    """Fields without a value are absent, and the flags appear only when set."""
    plain, left = finished(), finished(status=None)
    left.client_left = left.cut = True
    first, second = lines_of(plain, left)
    absent = {
        "error_code",
        "job_id",
        "active_job",
        "read",
        "rate_wait_seconds",
        "caller",
        "cut",
        "client_left",
    }
    assert not absent & first.keys()
    assert "status" not in second
    assert (second["cut"], second["client_left"]) == (True, True)


@pytest.mark.parametrize(
    ("status", "code", "cut", "level"),
    [
        (200, None, False, "info"),
        (404, "ImportJobNotFound", False, "info"),
        (503, "GatewayTokenUnavailable", False, "warning"),
        (200, None, True, "warning"),
        (502, "GatewayInternal", False, "error"),
    ],
)
def test_levels(status: int, code: str | None, level: str, *, cut: bool) -> None:
    """A bug is an error, a 5xx or a cut response a warning, everything else info."""
    exchange = finished(status=status)
    exchange.error_code, exchange.cut = code, cut
    assert [line["level"] for line in lines_of(exchange)] == [level]


def test_level_of_the_configuration() -> None:
    """With `log.level = "warning"` only failed exchanges are written."""
    lines = lines_of(finished(), finished(status=502), log=Log(level="warning"))
    assert [line["status"] for line in lines] == [502]


@pytest.mark.parametrize("style", ["json", "console"])
def test_callers_cannot_forge_lines(style: str) -> None:
    """Line breaks, escape sequences and direction marks in what a caller wrote are escaped, and bounded."""
    exchange = finished("G\r\nET", b"/a\n{}\x1b[31m" + b"x" * 5000)
    exchange.client_request_id = "\u202e\x00\u2028id"
    exchange.job_id, exchange.job_status, exchange.request_id = "a\nb", "c\x7f", "d\x9be"
    exchange.active_job = "import/\u2029" + "y" * 5000
    stream = io.StringIO()
    output = LogOutput(Log.model_validate({"format": style}), stream)
    AccessLog(output).write(exchange)
    output.close()
    (line,) = stream.getvalue().split("\n")[:-1]
    assert line.isprintable()
    assert len(line) < 2000
    assert r"\n{}\x1b[31m" in (json.loads(line)["path"] if style == "json" else line)


def test_no_query_value_is_written() -> None:
    """Neither the query nor one that stands in the path reaches the line."""
    exchange = finished(path=f"/query?sig={CANARY}".encode())
    exchange.query = f"sig={CANARY}".encode()
    exchange.add_header(b"authorization", f"Bearer {CANARY}".encode())
    assert CANARY not in json.dumps(lines_of(exchange))


def test_console() -> None:
    """For people: the message first, no colour where the stream is not a terminal."""
    stream = io.StringIO()
    output = LogOutput(Log(format="console"), stream, now_ns=lambda: NOON_NS)
    AccessLog(output).write(finished())
    output.close()
    start = "2023-11-14T22:13:20.123456Z [info     ] GET /jobs/imports/{id} 200"
    assert stream.getvalue().startswith(start)
    assert "\x1b" not in stream.getvalue()


def test_console_in_colour() -> None:
    """On a terminal the console format is coloured."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    output = LogOutput(Log(format="console"), terminal)
    AccessLog(output).write(finished())
    output.close()
    assert "\x1b[" in terminal.getvalue()


@pytest.mark.parametrize(
    "secret",
    [
        f"Authorization: Bearer {CANARY}",
        f"Authorization: Custom {CANARY}, more",
        f"headers: [(b'Authorization', b'Bearer {CANARY}')]",
        f"{{'authorization': 'Basic {CANARY}'}}",
        f"got bearer  {CANARY} from the issuer",
        f"https://x.blob.core.windows.net/a?sv=1&sig={CANARY}&se=2",
        f"https%3A%2F%2Fx%3Fsv%3D1%26sig%3D{CANARY}%26se",
        f"client_id=a&client_secret={CANARY}",
        f'{{"client_secret": "{CANARY}", "access_token":"{CANARY}"}}',
        f"data={{'refresh_token': '{CANARY}'}}",
        f"x-gateway-key: {CANARY}",
        f"client_assertion={JWT}",
        f"token {JWT} refused",
        f"PASSWORD={CANARY}",
    ],
)
def test_redaction(secret: str) -> None:
    """What looks like a credential is masked, in every spelling that libraries log."""
    assert suspicious(secret)
    masked = redact(secret)
    assert MASK in masked
    assert CANARY not in masked
    assert JWT not in masked


@pytest.mark.parametrize(
    "text",
    ["GET /jobs/imports/a 200", "signature of the basic idea", "token refreshed, next in 1800 s", "design=1"],
)
def test_redaction_spares_plain_words(text: str) -> None:
    """Ordinary lines stay as they are."""
    assert redact(text) == text


def test_printable() -> None:
    """Text is cut at the limit, and what does not print is spelled out."""
    assert printable("plain é", 10) == "plain é"
    assert printable("x" * 20, 10) == "x" * 9 + "…"
    assert printable("a\x1b\n\ud800", 10) == r"a\x1b\n\ud800"


def test_libraries_log_into_the_same_output(debug_output: LogOutput, stream: io.StringIO) -> None:
    """Standard logging's lines have the same format, with their logger, and no secret even at debug."""
    logging.getLogger("azure.core").debug("Request headers: %s", {"Authorization": f"Bearer {CANARY}"})
    logging.getLogger("httpx").info("HTTP Request: PUT https://x/?sig=%s", CANARY)
    logging.getLogger("httpcore").debug("send_request_headers %s", CANARY)
    debug_output.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["logger"] for line in lines] == ["azure.core", "httpx"]
    assert all(line.keys() == {"time", "level", "message", "logger"} for line in lines)
    assert CANARY not in stream.getvalue()


def test_exceptions_are_told(debug_output: LogOutput, stream: io.StringIO) -> None:
    """A traceback is one field of its line, masked and escaped like everything else."""

    def fail() -> None:
        raise ValueError(f"client_secret={CANARY} \x1b[2J")

    try:
        fail()
    except ValueError:
        logging.getLogger("gateway.jobs").exception("failed")
    debug_output.close()
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert r"\x1b[2J" in line["exception"]
    assert CANARY not in stream.getvalue()


def test_broken_log_call(stream: io.StringIO) -> None:
    """A library's log call whose arguments do not fit becomes a line that says where, not an exception."""
    output = LogOutput(Log(), stream)
    record = logging.LogRecord("azure", logging.WARNING, "policy.py", 7, "%d of %d", ("one",), None)
    Bridge(output).emit(record)
    output.close()
    assert json.loads(stream.getvalue())["message"] == "unformattable log record from policy.py:7"


def test_libraries_are_quiet_at_info(stream: io.StringIO) -> None:
    """Above debug the request lines of HTTP libraries are not written; their warnings are."""
    output = configure_logging(Log(), stream)
    for name in ("httpx", "azure.core.pipeline.policies.http_logging_policy", "uvicorn.error"):
        logging.getLogger(name).info("one request")
    logging.getLogger("azure.identity").warning("trouble")
    output.close()
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["trouble"]


def test_python_warnings_are_lines(stream: io.StringIO) -> None:
    """A Python warning does not break the format of the stream."""
    output = configure_logging(Log(), stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old habits", stacklevel=1)
    output.close()
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")


def test_close_puts_logging_back(stream: io.StringIO) -> None:
    """After `close` the process logs as it did before."""
    root, httpx = logging.getLogger(), logging.getLogger("httpx")
    before = (root.level, list(root.handlers), httpx.level)
    output = configure_logging(Log(level="error"), stream)
    output.close()
    assert (root.level, list(root.handlers), httpx.level) == before


class Stuck(io.StringIO):
    """A stream whose reader has stopped, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.let_go = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.let_go.wait(30)
        return super().write(text)


def test_a_blocked_stream_blocks_nobody() -> None:
    """While the stream hangs callers go on; what does not fit the queue is dropped and counted."""
    stuck = Stuck()
    output = LogOutput(Log(), stuck, capacity=5)
    access_log = AccessLog(output)
    access_log.write(finished())
    assert stuck.reached.wait(30)
    for _ in range(8):
        access_log.write(finished())
    assert output.dropped == 3
    output.close(timeout=0)
    stuck.let_go.set()
    output.close(timeout=30)
    assert len(stuck.getvalue().splitlines()) == 6


def test_a_broken_stream_is_counted() -> None:
    """A closed stream costs lines, never an exception, and lines after the end are counted as lost."""
    closed = io.StringIO()
    closed.close()

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            return closed.write(text)

    output = LogOutput(Log(), Broken())
    access_log = AccessLog(output)
    access_log.write(finished())
    output.close()
    access_log.write(finished())
    assert output.dropped == 2


def test_attempts_and_time_of_its_own() -> None:
    """Attempts are counted; what waited longer than it lasted took no time of its own, rather than less."""
    retried = finished()
    retried.attempts = [Attempt(0, 10.0, 10.1), Attempt(1, 10.1, 10.3)]
    retried.upstream_wait = 0.25
    waited = finished()
    waited.rate_wait = 1.0
    first, second = lines_of(retried, waited)
    assert (first["attempts"], first["upstream_seconds"], first["own_seconds"]) == (2, 0.25, 0.15)
    assert (second["rate_wait_seconds"], second["own_seconds"]) == (1, 0)
