"""The line of an exchange: whichever way it is rendered, and however many come at once."""

import io
import json
import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.access_log import AccessLog, LogOutput
from gateway.access_log.line import MAX_PATH, MAX_TEXT, as_dict, as_json, finish, line_of
from gateway.access_log.output import BATCH
from gateway.access_log.redaction import printable, redact
from gateway.config import Log
from gateway.exchange import Exchange
from tests.support.exchanges import finished

TEXTS = (
    st.none()
    | st.text(string.ascii_letters + string.digits + "-_/ \"\\'{}", max_size=200)
    | st.text(max_size=40)
    | st.sampled_from(["sig=abcdefgh1", "Bearer abcdefgh1", "\x7f", "x" * MAX_TEXT, "x" * (MAX_TEXT + 1)])
)
PATHS = st.binary(max_size=40) | st.sampled_from([b"/" + b"a" * 255, b"/" + b"a" * 256, b"/query?sig=x"])


class Counted(io.StringIO):
    """A stream that counts what is written to it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def written(*exchanges: Exchange) -> list[dict[str, Any]]:
    stream = io.StringIO()
    output = LogOutput(Log(), stream)
    for exchange in exchanges:
        AccessLog(output).write(exchange)
    output.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def shown(text: str | None) -> str | None:
    return None if text is None else redact(printable(text, MAX_TEXT))


@given(PATHS, st.tuples(TEXTS, TEXTS, TEXTS, TEXTS))
@example(b"/plain", ("one", "two", None, "running"))
@example(b"/a?b", ("a\nb", "sig=abcdefgh1", "\ud800", "\u202e"))
def test_every_text_is_bounded_escaped_and_masked(path: bytes, texts: tuple[str | None, ...]) -> None:
    """What a peer wrote is shown as each text by itself would be, whatever stands in the others."""
    exchange = finished(path=path)
    exchange.client_request_id, exchange.job_id, exchange.active_job, exchange.job_status = texts
    [line] = written(exchange)
    names = ("x_ms_client_request_id", "job_id", "active_job", "job_status")
    assert [line.get(name) for name in names] == [shown(text) for text in texts]
    assert line["path"] == redact(printable(path.partition(b"?")[0].decode("latin-1"), MAX_PATH))


@given(st.text(string.ascii_letters + string.digits + '-_./ "\\', max_size=30))
def test_both_ways_to_render_say_the_same(text: str) -> None:
    """A line that is written as it is says what one that goes through every other line's way would."""
    exchange = finished()
    exchange.client_request_id = text
    line = line_of(exchange)
    if finish(line, "2023-11-14T22:13:20.123456Z", "info"):
        assert json.loads(as_json(line)) == as_dict(line)
        assert json.loads(as_json(line)) == json.loads(json.dumps(as_dict(line)))
        assert "\n" not in as_json(line)


def test_no_name_of_a_field_looks_like_a_secret() -> None:
    """The common line is written as it is: nothing that the gateway itself puts into it is masked."""
    line = line_of(finished())
    assert finish(line, "", "info")
    assert redact(as_json(line)) == as_json(line)


@pytest.mark.parametrize("count", [3, BATCH + 2])
def test_lines_that_came_together_are_written_together(count: int) -> None:
    """Many lines cost few writes, are all there, and in the order in which they came."""
    stream = Counted()
    output = LogOutput(Log(), stream)
    for number in range(count):
        exchange = finished()
        exchange.bytes_out = number
        AccessLog(output).write(exchange)
    output.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["bytes_out"] for line in lines] == list(range(count))
    assert stream.writes < count


def test_all_lines_of_a_write_that_failed_are_counted() -> None:
    """A write that breaks takes the lines of it along, and each of them is counted as lost."""

    class Broken(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    output = LogOutput(Log(), Broken())
    for _ in range(5):
        AccessLog(output).write(finished())
    output.close()
    assert output.dropped == 5
