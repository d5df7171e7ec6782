"""Where every log line goes: one format, one thread that writes, and no caller that waits for it.

Lines are queued as dictionaries or, for exchanges, as records; the writer's thread masks, renders and writes
them, as many at once as have come. When the stream is too slow the queue fills up, and further lines are
dropped and counted.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from queue import SimpleQueue
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.access_log.line import ExchangeLine, as_dict, as_json, finish
from gateway.access_log.redaction import printable, redact, suspicious
from gateway.config import Log

CAPACITY = 8192
"""Lines waiting to be written."""
MAX_MESSAGE = 8192
MAX_TRACEBACK_LINES = 200
GATHER = 0.05
"""Seconds a line may wait for others to be written with."""
BATCH = 512
"""Lines written at once; while the stream takes them they are no longer among those that wait."""
NANOSECONDS = 1_000_000_000

Entry = tuple[int, int, ExchangeLine | Mapping[str, object]]
"""When it came, in nanoseconds since the epoch, its level, and what it says."""
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_QUIET = ("azure", "httpx", "msal", "opentelemetry", "urllib3", "uvicorn")
"""Libraries that say at info what the gateway's own lines say better."""
_WIRE = ("hpack", "httpcore", "msal", "urllib3")
"""Libraries whose debug lines hold whole headers and bodies; they stay at info at least."""
_OF_EVERY_RECORD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
_HIDDEN_FROM_PEOPLE = frozenset({"event", "method", "route", "status", "span_id"})
"""The message says these already, or only a machine wants them."""


class LogOutput:
    """The shared output; `now_ns` is the wall clock in nanoseconds."""

    def __init__(
        self,
        log: Log,
        stream: TextIO,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        capacity: int = CAPACITY,
    ) -> None:
        self.level = logging.getLevelNamesMapping()[log.level.upper()]
        """Lines of exchanges below it are not to be written."""
        self._is_json = log.format == "json"
        self._stream = stream
        self._now_ns = now_ns
        self._capacity = capacity
        """Places; none once it is closed."""
        self._processors = _processors(log, colors=stream.isatty())
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._dropped = 0
        self._closed = False
        self._undo: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines lost because the stream was too slow, or broke."""
        return self._dropped

    def emit(self, level: int, line: ExchangeLine | Mapping[str, object]) -> None:
        """Queue one line; the text of one that is no exchange's is in `message`."""
        queue = self._queue
        if queue.qsize() >= self._capacity:
            self._drop(1)
        else:
            queue.put((self._now_ns(), level, line))

    def on_close(self, undo: Callable[[], None]) -> None:
        """Have something put back when the output closes."""
        self._undo.append(undo)

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued and end the thread; gives up on a blocked stream after `timeout` seconds."""
        for undo in self._undo:
            undo()
        self._undo.clear()
        if not self._closed:
            self._closed = True
            self._capacity = 0
            self._ending.set()
            self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        queue = self._queue
        while (entry := queue.get()) is not None:
            if queue.qsize() < BATCH:
                # Each time this thread wants the interpreter, the event loop wakes it in vain a dozen times.
                self._ending.wait(GATHER)
            batch = [entry]
            for _ in range(min(queue.qsize(), BATCH - 1)):
                if (entry := queue.get()) is None:
                    queue.put(None)
                    break
                batch.append(entry)
            self._write(batch)

    def _write(self, batch: list[Entry]) -> None:
        try:
            self._stream.write("".join([self._render(*entry) for entry in batch]))
            self._stream.flush()
        except (OSError, ValueError):
            # A broken pipe or a closed stream: there is nowhere left to say so but the counter.
            self._drop(len(batch))

    def _render(self, at: int, level: int, line: ExchangeLine | Mapping[str, object]) -> str:
        time, name = _utc_time(at), logging.getLevelName(level).lower()
        if isinstance(line, ExchangeLine):
            is_plain = finish(line, time, name)
            if is_plain and self._is_json:
                return as_json(line) + "\n"
            event: EventDict = as_dict(line)
        else:
            event = {"time": time, "level": name, **line}
        rendered: object = event
        for processor in self._processors:
            rendered = processor(None, "", rendered)  # type: ignore[arg-type]  # only the last gives a str
        return f"{rendered}\n"

    def _drop(self, count: int) -> None:
        with self._lock:
            self._dropped += count


class Bridge(logging.Handler):
    """Standard logging's records as lines of the output."""

    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record; its arguments are formatted now, since they may change."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's broken log call must not reach the request
            message = f"unformattable log record from {record.filename}:{record.lineno}"
        fields: dict[str, object] = _own_fields(record)
        fields |= {"message": printable(message, MAX_MESSAGE), "logger": record.name}
        if record.exc_info:
            fields["exception"] = _traceback(record.exc_info)
        self._output.emit(record.levelno, fields)


def configure_logging(log: Log, stream: TextIO) -> LogOutput:
    """Send all of standard logging, Python's warnings too, to one output; `close` puts back what was."""
    output = LogOutput(log, stream)
    bridge = Bridge(output)
    root = logging.getLogger()
    root.addHandler(bridge)
    output.on_close(lambda: root.removeHandler(bridge))
    _set_level(output, "", log.level.upper())
    quiet, level = (_WIRE, "INFO") if log.level == "debug" else (_QUIET, "WARNING")
    for name in quiet:
        _set_level(output, name, level)
    logging.captureWarnings(True)
    output.on_close(lambda: logging.captureWarnings(False))
    _route_structlog(output)
    return output


def _route_structlog(output: LogOutput) -> None:
    """Without this it prints to standard output, in a format of its own."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    output.on_close(structlog.reset_defaults)


def _own_fields(record: logging.LogRecord) -> dict[str, object]:
    """What the gateway's own lines say in `extra`; a library's may be anything, and stays out."""
    if record.name.partition(".")[0] != "gateway":
        return {}
    extra = {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD}
    return {
        key: printable(value, MAX_MESSAGE) if isinstance(value, str) else value
        for key, value in extra.items()
        if isinstance(value, str | int | float | None)
    }


def _set_level(output: LogOutput, name: str, level: str) -> None:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    output.on_close(lambda: logger.setLevel(before))


def _traceback(exc_info: ExcInfo) -> str:
    lines = logging.Formatter().formatException(exc_info).splitlines()
    return "\n".join(printable(line, MAX_MESSAGE) for line in lines[-MAX_TRACEBACK_LINES:])


def _processors(log: Log, *, colors: bool) -> tuple[Processor, ...]:
    if log.format == "json":
        return (_redacted, structlog.processors.JSONRenderer(separators=(",", ":")))
    people = structlog.dev.ConsoleRenderer(
        colors=colors, event_key="message", timestamp_key="time", sort_keys=False, pad_event_to=0
    )
    return (_redacted, _for_people, people)


def _utc_time(at: int) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    seconds, rest = divmod(at, NANOSECONDS)
    return f"{_to_the_second(seconds)}.{rest // 1000:06}Z"


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    """Kept, because a second has many lines."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _redacted(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    if suspicious("\n".join(value for value in event.values() if isinstance(value, str))):
        return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}
    return event


def _for_people(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    if event.get("event") != "exchange":
        return event
    return {key: value for key, value in event.items() if key not in _HIDDEN_FROM_PEOPLE}
