"""What the observer reads from an exchange, and what it leaves alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Exchange, RawHeaders, Route
from gateway.jobs import SpanContext
from gateway.jobs.observer import MAX_SHOWN_ID
from gateway.jobs.wire import MAX_ITEMS
from tests.support.job_answers import START, JobsRoom, exchange, job

NOTHING_UNREADABLE = {"too_large": 0, "not_json": 0, "not_a_job": 0}


@pytest.fixture
def room() -> JobsRoom:
    """An empty ledger with its observer."""
    return JobsRoom()


def body(fields: object) -> bytes:
    """The fields as a response body."""
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("add", {200, 201, 202}),
        ("get", {200, 201, 202, 404}),
        ("list", {200, 201, 202}),
        ("cancel", {200, 201, 202}),
        ("delete", {204}),
    ],
)
def test_wanted_answers(room: JobsRoom, operation: str, statuses: set[int]) -> None:
    """Only answers that say something of a job are copied."""
    passing = exchange("import", operation, "j")
    assert {status for status in range(100, 600) if room.observer.wants(passing, status)} == statuses


def test_other_routes(room: JobsRoom) -> None:
    """Answers of routes that are not of jobs are not wanted."""
    for route in (Route("unmatched"), Route("/models/{id}"), Route("/jobs/imports", job_kind="import")):
        passing = Exchange("GET", b"/x", b"", [], route=route)
        assert not room.observer.wants(passing, 200)


@pytest.mark.parametrize("operation", ["add", "get", "cancel"])
@pytest.mark.parametrize("kind", ["import", "deletion"])
def test_single_jobs(room: JobsRoom, kind: str, operation: str) -> None:
    """Creation, poll and cancel of either kind show the job; id and status reach the exchange."""
    passing = room.answer(operation, job("j 1/é", "Running"), kind=kind)
    assert (passing.job_id, passing.job_status) == ("j 1/é", "Running")
    assert room.known("j 1/é", kind).status == "running"
    assert room.known("j 1/é", kind).created_here is (operation == "add")


def test_creation_remembers_the_trace(room: JobsRoom) -> None:
    """Only the request that created the job is its trace; a poll is not."""
    room.answer("get", job("polled"), trace=3)
    room.answer("add", job("made"), trace=4)
    room.answer("get", job("made"), trace=5)
    assert room.known("polled").created_in is None
    assert room.known("made").created_in == SpanContext(f"{4:032x}", f"{4:016x}", sampled=True)


@pytest.mark.parametrize(
    ("fields", "response", "request_headers", "job_id"),
    [
        (job("body"), [(b"operation-id", b"header")], [], "body"),
        ({"status": "running"}, [(b"operation-id", b"answered")], [(b"operation-id", b"asked")], "answered"),
        ({"status": "running"}, [], [(b"operation-id", b"asked")], "asked"),
    ],
)
def test_id_of_a_deletion(
    room: JobsRoom, fields: object, response: RawHeaders, request_headers: RawHeaders, job_id: str
) -> None:
    """The id of a new deletion is that of the body, else of the answer's header, else of the request's."""
    passing = exchange("deletion", "add", headers=request_headers)
    room.observer.observe(passing, 202, response, body(fields))
    assert passing.job_id == job_id
    assert room.known(job_id, "deletion").created_here


def test_lists(room: JobsRoom) -> None:
    """A page shows all its jobs; an odd item is counted and hides no other."""
    room.page(job("a"), None, 7, [], {}, {"id": ""}, job("b", "novel"), kind="deletion")
    assert {record.id for record in room.ledger.jobs()} == {"a", "b"}
    assert room.count("unknown", "deletion") == 1
    assert room.observer.unreadable["not_a_job"] == 5


def test_endless_lists(room: JobsRoom) -> None:
    """Of a page of absurd length only the first items are read, and that is counted."""
    room.page(*[job(str(number)) for number in range(MAX_ITEMS + 1)])
    assert len(room.ledger) == MAX_ITEMS
    assert room.observer.unreadable["too_large"] == 1


@pytest.mark.parametrize(
    ("operation", "content", "reason"),
    [
        ("get", None, "too_large"),
        ("list", None, "too_large"),
        ("add", None, "too_large"),
        ("get", b"", "not_json"),
        ("get", b'{"id":"j","sta', "not_json"),
        ("list", b'{"value":[{"id":"j"}', "not_json"),
        ("list", b'{"value":"j"}', "not_a_job"),
        ("cancel", b"[]", "not_a_job"),
        ("add", b"true", "not_a_job"),
    ],
)
def test_unreadable_bodies(room: JobsRoom, operation: str, content: bytes | None, reason: str) -> None:
    """A body that is too large, cut, not JSON or of another shape is counted by reason and ignored."""
    assert room.observer.unreadable == NOTHING_UNREADABLE
    passing = exchange("import", operation, "j")
    room.observer.observe(passing, 200, [], content)
    assert room.observer.unreadable == NOTHING_UNREADABLE | {reason: 1}
    assert len(room.ledger) == 0
    assert room.ledger.snapshot().last_sync is None
    assert (passing.job_id, passing.job_status) == ("j", None)


@pytest.mark.parametrize(
    ("headers", "content", "leaves"),
    [
        ([(b"x-ms-error-code", b"ImportJobNotFound")], b"", True),
        ([(b"x-ms-error-code", b"ImportJobNotFound")], None, True),
        ([], b'{"error":{"code":"ImportJobNotFound"}}', True),
        ([], b'{"statusCode":404,"message":"Sub-domain not found."}', False),
        ([(b"x-ms-error-code", b"NotFound")], b"", False),
        ([], b"<html>", False),
        ([], None, False),
    ],
)
def test_not_found(room: JobsRoom, headers: RawHeaders, content: bytes | None, leaves: bool) -> None:
    """Only a 404 that is about the job means that it left: one about the host says nothing of it."""
    room.answer("get", job("j"))
    room.observer.observe(exchange("import", "get", "j", asked=START), 404, headers, content)
    assert (room.ledger.get("import", "j") is None) is leaves
    assert room.observer.unreadable == NOTHING_UNREADABLE


def test_deletes_need_no_body(room: JobsRoom) -> None:
    """A 204 removes the job, and its exchange names it."""
    room.answer("get", job("j"))
    passing = exchange("import", "delete", "j", asked=START)
    room.observer.observe(passing, 204, [], None)
    assert room.ledger.get("import", "j") is None
    assert passing.job_id == "j"


def test_shown_texts(room: JobsRoom) -> None:
    """What logs and spans show of id and status is printable and bounded; the ledger keeps the id exact."""
    hostile = "a\r\n\x1b[31m\u202e" + "b" * 400
    passing = room.answer("get", job(hostile, "x\n" + "y" * 400))
    assert passing.job_id == ("a\ufffd\ufffd\ufffd[31m\ufffd" + "b" * 400)[:MAX_SHOWN_ID]
    assert passing.job_status is not None
    assert passing.job_status.isprintable()
    assert len(passing.job_status) <= 64
    assert room.known(hostile).id == hostile


def test_blob_addresses_are_not_kept(room: JobsRoom) -> None:
    """Blob URIs, whose SAS is a secret, are nowhere in the ledger or on the exchange."""
    secret = "https://a.blob.core.windows.net/c/in?sig=canary"
    passing = room.answer("add", job("j", inputBlobUri=secret, outputBlobUri=secret))
    assert "canary" not in repr(passing) + repr(room.ledger.jobs()) + repr(vars(room.ledger))


OPERATIONS = st.sampled_from(["add", "get", "list", "cancel", "delete"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
ODD_JOB = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("id", "status", "createdDateTime", "finishedDateTime", "purgeDateTime", "error", "value"), JSON
    ),
)


@given(OPERATIONS, st.integers(100, 599), st.none() | st.binary(), st.binary(max_size=99))
def test_any_bytes(operation: str, status: int, content: bytes | None, header: bytes) -> None:
    """No body and no header makes the observer raise."""
    room = JobsRoom()
    headers = [(b"operation-id", header), (b"x-ms-error-code", header)]
    for kind, job_id in (("import", "j"), ("deletion", None)):
        room.observer.observe(exchange(kind, operation, job_id), status, headers, content)
    assert len(room.ledger) <= 2


@given(OPERATIONS, ODD_JOB | JSON)
def test_any_json(operation: str, fields: object) -> None:
    """No JSON makes the observer raise, and whatever it learns can be shown."""
    room = JobsRoom()
    for content in (fields, {"value": [fields, job("sound")]}):
        room.observer.observe(exchange("import", operation, "j"), 200, [], body(content))
    assert set(room.ledger.snapshot().counts.values()) <= {0, 1, 2}
    assert (operation == "list") is (room.ledger.get("import", "sound") is not None)
