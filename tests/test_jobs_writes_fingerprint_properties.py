"""What makes two requests one write: any header or byte that matters, and none that does not."""

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.jobs.writes.fingerprint import fingerprint, is_plain_id, job_key, operation_id
from tests.support.job_writes import arriving

NOISE = st.lists(
    st.tuples(
        st.sampled_from([b"traceparent", b"x-ms-date", b"authorization", b"user-agent"]),
        st.binary(max_size=8),
    )
)
IDS = st.binary(min_size=1, max_size=8)
CALLERS = st.none() | st.text(st.characters(), max_size=5)
CANARY = b"kanarienvogel7f3a9"


@given(IDS, st.none() | st.binary(max_size=9), NOISE, CALLERS)
def test_a_write_is_itself_whatever_else_is_sent(
    call: bytes, body: bytes | None, noise: list[tuple[bytes, bytes]], caller: str | None
) -> None:
    """Traces, dates and credentials do not count; no body and an empty one are the same."""
    first, again = arriving(request_id=call, caller=caller), arriving(request_id=call, caller=caller)
    again.headers.extend(noise)
    one, other = fingerprint(first, body), fingerprint(again, body or b"")
    assert one is not None
    assert one == other
    assert re.fullmatch("[0-9a-f]{64}", one.digest)
    assert (one.kind, one.operation, one.job_id) == ("import", "add", "j1")


@given(IDS, IDS, st.binary(max_size=6), st.binary(max_size=6), CALLERS, CALLERS)
def test_another_call_body_or_caller_is_another_write(
    call: bytes,
    other_call: bytes,
    body: bytes,
    other_body: bytes,
    caller: str | None,
    other_caller: str | None,
) -> None:
    """Two fingerprints are equal exactly where call, body and caller are."""
    one = fingerprint(arriving(request_id=call, caller=caller), body)
    other = fingerprint(arriving(request_id=other_call, caller=other_caller), other_body)
    assert (one == other) == ((call, body, caller) == (other_call, other_body, other_caller))


@given(st.binary(max_size=8))
def test_nothing_of_a_body_or_credential_is_kept(tail: bytes) -> None:
    """Only hashes: no text of either is in the record."""
    secret = CANARY + tail
    made = fingerprint(arriving(request_id=b"c"), secret, credential=secret)
    assert CANARY.decode() not in repr(made)


@given(IDS, CALLERS)
def test_an_added_operation_id_is_a_uuid_of_the_call(call: bytes, caller: str | None) -> None:
    """The same for each send of a deletion, another for another call, none where there is one already."""

    def made(request_id: bytes | None, given_id: bytes | None = None) -> str | None:
        deletion = arriving(
            "POST", b"/jobs/deletions", request_id=request_id, operation_id=given_id, caller=caller
        )
        return operation_id(deletion)

    added = made(call)
    assert added is not None
    assert uuid.UUID(added).version == 5
    assert is_plain_id(added)
    assert made(call) == added
    assert made(call + b"x") != added
    assert made(call, b"given") is None
    assert made(None) is None
    assert operation_id(arriving(request_id=call)) is None


@given(st.text(st.characters(), max_size=8))
def test_plain_ids_stay_what_they_are_in_a_path(job_id: str) -> None:
    """Visible ASCII, blanks within, no dot segment."""
    plain = len(job_id) > 0 and job_id.isascii() and job_id.isprintable() and job_id == job_id.strip(" ")
    assert is_plain_id(job_id) == (plain and job_id not in {".", ".."})


@given(st.text(st.characters()), st.text(st.characters()))
def test_job_keys_differ_where_jobs_do(one: str, other: str) -> None:
    """A key has one length whatever the id, and names one job of one kind."""
    assert len(job_key("import", one)) == 64
    assert (job_key("import", one) == job_key("import", other)) == (one == other)
    assert job_key("import", one) != job_key("deletion", one)
