"""Response bodies to job states."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import MAX_ID, STATUSES, UNKNOWN, JobState, known_status
from gateway.jobs.wire import MAX_TEXT, Unreadable, read_error_code, read_job, read_page
from tests.support.job_answers import START, at, job


def read(fields: object, kind: str = "import", fallback_id: str | None = None) -> JobState:
    """The state in a body with these fields."""
    return read_job(kind, json.dumps(fields).encode(), fallback_id)


def refusal(body: bytes) -> str:
    """Why the body is not read."""
    with pytest.raises(Unreadable) as caught:
        read_job("import", body)
    return caught.value.reason


def test_a_whole_job() -> None:
    """Id, status, times and error code of a job are read as the reference has them."""
    state = read(
        job(
            "j 1/é",
            "failed",
            inputBlobUri="https://a.blob.core.windows.net/c/in?sig=secret",
            finishedDateTime=at(60),
            purgeDateTime=at(3600),
            error={"code": "DTDLParsingError", "message": "m", "details": [{"code": "x"}], "innererror": {}},
        )
    )
    assert state == JobState(
        id="j 1/é",
        status="failed",
        status_text="failed",
        error_code="DTDLParsingError",
        created=int(START) * NANOSECONDS,
        finished=int(START + 60) * NANOSECONDS,
        purge=int(START + 3600) * NANOSECONDS,
    )
    assert "secret" not in repr(state)


@pytest.mark.parametrize("kind", STATUSES)
def test_statuses_of_the_reference(kind: str) -> None:
    """Every listed status is itself, in any case."""
    for status in STATUSES[kind]:
        assert known_status(kind, status) == status
        assert known_status(kind, status.upper()) == status


def test_other_statuses() -> None:
    """A status outside the kind's list is `unknown`; the American spelling is not outside."""
    assert known_status("import", "validating") == UNKNOWN
    assert known_status("deletion", "cancelled") == UNKNOWN
    assert known_status("import", "Canceled") == "cancelled"


@pytest.mark.parametrize("field", ["status", "createdDateTime", "finishedDateTime", "purgeDateTime", "error"])
@pytest.mark.parametrize("value", [None, 1, 1.5, True, "x", [], [[1]], {}, {"code": 1}, {"code": None}])
def test_wrong_types(field: str, value: object) -> None:
    """A field of a wrong type counts as absent and hides no other."""
    state = read({"id": "j", "inputBlobUri": 1, field: value})
    assert state.id == "j"
    assert (state.created, state.finished, state.purge, state.error_code) == (None,) * 4
    assert state.status == UNKNOWN


@pytest.mark.parametrize(
    "job_id", ["j", "ж 日本 🚀", "a/b%2F", "\x00\x1b[31m", "'; DROP TABLE", "a" * MAX_ID]
)
def test_ids(job_id: str) -> None:
    """An id is kept exactly, whatever its characters."""
    assert read(job(job_id)).id == job_id


@pytest.mark.parametrize("job_id", ["", "a" * (MAX_ID + 1), None, 7, {}])
def test_unusable_ids(job_id: object) -> None:
    """Without a usable id there is no job."""
    assert refusal(json.dumps({"id": job_id}).encode()) == "not_a_job"


def test_fallback_id() -> None:
    """The id of the path serves where the body has none, unless it is not text."""
    assert read({"status": "running"}, fallback_id="j").id == "j"
    with pytest.raises(Unreadable):
        read({"status": "running"}, fallback_id="\udcff")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"<html>", "not_json"),
        (b'{"id":"j","status":"runn', "not_json"),
        (b'{"id":"\xff"}', "not_json"),
        (b"[" * 100_000, "not_a_job"),
        (b'{"id":' + b"[" * 100_000, "not_json"),
        (b"[]", "not_a_job"),
        (b"null", "not_a_job"),
        (b'"j"', "not_a_job"),
        (b"{}", "not_a_job"),
        (b'{"id":1e999}', "not_a_job"),
    ],
)
def test_unreadable(body: bytes, reason: str) -> None:
    """What cannot be read at all is refused with one of the closed set of reasons."""
    assert refusal(body) == reason


def test_texts_are_bounded() -> None:
    """Status and error code are kept printable and short."""
    state = read(job("j", "x\x1b\u202e" + "y" * 999, error={"code": "é" * 999}))
    assert state.status_text == ("x\ufffd\ufffd" + "y" * 999)[:MAX_TEXT]
    assert state.error_code == "é" * MAX_TEXT


def test_pages() -> None:
    """A collection gives its items as the bytes they are; anything else is refused."""
    assert [bytes(item) for item in read_page(b'{"value":[ {"id": "a"},null],"nextLink":null}')] == [
        b'{"id": "a"}',
        b"null",
    ]
    for body in (b"{}", b'{"value":null}', b'{"value":{}}', b"[]", b"x"):
        with pytest.raises(Unreadable):
            read_page(body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"code":"ImportJobNotFound"}}', "ImportJobNotFound"),
        (b'{"error":{"code":1}}', None),
        (b'{"error":"x"}', None),
        (b'{"error":null}', None),
        (b"{}", None),
        (b"", None),
    ],
)
def test_error_code(body: bytes, code: str | None) -> None:
    """`error.code` is read where there is one."""
    assert read_error_code(body) == code


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    """Any bytes are a job or Unreadable, nothing else."""
    try:
        assert read_job("import", body).id
    except Unreadable as error:
        assert error.reason in {"not_json", "not_a_job"}  # noqa: PT017 (both outcomes are allowed)
