"""Which requests are one write."""

import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Exchange
from gateway.jobs.writes import fingerprint, operation_id
from tests.support.job_writes import arriving, deletion, import_body, told

BODY = import_body()
UNLIKE: dict[str, Callable[[], Exchange]] = {
    "caller": lambda: arriving(caller="app"),
    "client request id": lambda: arriving(request_id=b"call-2"),
    "method": lambda: arriving("DELETE"),
    "path": lambda: arriving(path=b"/jobs/imports/j2"),
    "spelling of the path": lambda: arriving(path=b"/jobs/imports/%6a1"),
    "query": lambda: arriving(query=b"api-version=2022-01-01"),
    "operation-id": lambda: arriving(operation_id=b"o"),
    "empty operation-id": lambda: arriving(operation_id=b""),
}


def test_the_same_write_has_the_same_fingerprint() -> None:
    """What changes from send to send, such as traceparent and Date, is no part of it."""
    again = arriving()
    again.headers += [(b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"), (b"x-ms-date", b"d")]
    assert told(again, BODY) == told(arriving(), BODY)


@pytest.mark.parametrize("differs", UNLIKE)
def test_another_write_has_another_fingerprint(differs: str) -> None:
    """Caller, client request id, method, raw target and operation-id tell writes apart."""
    assert told(UNLIKE[differs](), BODY).digest != told(arriving(), BODY).digest


def test_the_body_tells_writes_apart() -> None:
    """Another body is another write; none and an empty one are the same."""
    assert told(arriving(), BODY).digest != told(arriving(), BODY + b" ").digest
    assert told(arriving(), None) == told(arriving(), b"")


def test_a_credential_that_passes_through_tells_callers_apart() -> None:
    """Where the app's own token is sent on, no caller gets what another one's token has brought."""
    found = {fingerprint(arriving(), BODY, credential=credential) for credential in (None, b"", b"a", b"b")}
    assert len(found) == 4


@pytest.mark.parametrize(
    "exchange",
    [
        arriving(request_id=None),
        arriving(request_id=b""),
        arriving("GET"),
        arriving("HEAD"),
        arriving("GET", b"/jobs/imports"),
        arriving("POST", b"/query"),
        arriving("PUT", b"/digitaltwins/j1"),
        arriving("PATCH", b"/jobs/imports/j1"),
    ],
    ids=lambda exchange: f"{exchange.method} {exchange.raw_path.decode()}",
)
def test_what_is_not_a_write_to_be_sent_once_has_none(exchange: Exchange) -> None:
    """Without a client request id, and for anything but a write to a job, there is no fingerprint."""
    assert fingerprint(exchange, b"") is None


def test_it_says_which_job_the_write_is_about() -> None:
    """Kind, operation and id: the path's, or the operation-id of a deletion."""
    cancel = told(arriving("POST", b"/jobs/imports/j%201/cancel"))
    assert (cancel.kind, cancel.operation, cancel.job_id) == ("import", "cancel", "j 1")
    added = told(deletion(b"delete-job-1"))
    assert (added.kind, added.operation, added.job_id) == ("deletion", "add", "delete-job-1")
    assert told(deletion()).job_id is None


@pytest.mark.parametrize("given_id", [b"", b".", b"..", b"caf\xc3\xa9", b"\xff", b"a\tb", b"x" * 513])
def test_an_operation_id_that_cannot_be_read_by_is_none(given_id: bytes) -> None:
    """An id that an upstream or a URL parser may take for another is no name of the job."""
    assert told(deletion(given_id)).job_id is None


def test_two_operation_ids_name_no_job() -> None:
    """Which of two lines the upstream takes is not known; they still tell writes apart."""
    twice = deletion(b"a")
    twice.headers.append((b"operation-id", b"b"))
    assert told(twice).job_id is None
    assert told(twice).digest != told(deletion(b"a")).digest


PIECES = st.lists(st.binary(max_size=3).map(lambda b: b.replace(b"?", b"")), min_size=4, max_size=4)


@given(PIECES, PIECES)
def test_no_two_inputs_run_into_each_other(one: list[bytes], other: list[bytes]) -> None:
    """Moving a byte from one part to the next makes another write."""

    def made(parts: list[bytes]) -> str:
        exchange = arriving("POST", b"/jobs/deletions", request_id=b"c" + parts[0], query=parts[1])
        exchange.add_header(b"operation-id", parts[2])
        return told(exchange, parts[3]).digest

    assert (made(one) == made(other)) == (one == other)


def test_an_injected_operation_id_is_the_same_for_every_send() -> None:
    """It depends on caller and client request id only: gateways and restarts agree on it."""
    first = operation_id(deletion())
    assert first is not None
    assert uuid.UUID(first)
    later = replace(deletion(), query=b"api-version=2023-10-31&timeoutInMinutes=15")
    assert operation_id(later) == first == "dc72032d-abbe-5b18-bf0e-12c11ca9b318"
    assert operation_id(deletion(request_id=b"call-2")) != first
    assert operation_id(arriving("POST", b"/jobs/deletions", caller="app")) != first


@pytest.mark.parametrize(
    "exchange",
    [
        deletion(b"delete-job-1"),
        deletion(b""),
        deletion(request_id=None),
        deletion(request_id=b""),
        arriving(),
        arriving("GET", b"/jobs/deletions"),
        arriving("POST", b"/jobs/imports/j1/cancel"),
    ],
    ids=range(7),
)
def test_no_operation_id_is_made_where_none_belongs(exchange: Exchange) -> None:
    """The app's own stays; without a client request id, and for other requests, there is none."""
    assert operation_id(exchange) is None


def test_an_injected_id_makes_the_job_readable() -> None:
    """Once it stands among the headers the deletion has a name."""
    exchange = deletion()
    made = operation_id(exchange)
    assert made is not None
    exchange.add_header(b"operation-id", made.encode())
    assert told(exchange).job_id == made
