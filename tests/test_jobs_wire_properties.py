"""Answers of the Jobs API, whatever they hold: bounded states without secrets, or a reason."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.jobs.instants import parse_instant
from gateway.jobs.model import MAX_ID, STATUSES, UNKNOWN
from gateway.jobs.patience import patience
from gateway.jobs.wire import MAX_TEXT, Unreadable, is_usable_id, read_error_code, read_job, read_page

CANARY = "sig=kanarienvogel7f3a9"
FIELDS = st.sampled_from(
    [
        "id",
        "status",
        "createdDateTime",
        "finishedDateTime",
        "purgeDateTime",
        "error",
        "inputBlobUri",
        "outputBlobUri",
        "value",
        "code",
    ]
)
TIMES = st.sampled_from(
    ["2024-05-01T10:00:00.1234567Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "now"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=70) | TIMES
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=12,
)
KINDS = st.sampled_from(sorted(STATUSES))


@given(KINDS, DOCUMENTS, st.none() | st.text(st.characters(), max_size=6))
def test_any_document_is_a_bounded_job_or_a_reason(kind: str, document: object, fallback: str | None) -> None:
    """A status of the closed set, short texts that print, whole instants; nothing else raises."""
    try:
        state = read_job(kind, json.dumps(document).encode(), fallback)
    except Unreadable as error:
        assert error.reason in {"not_json", "not_a_job"}  # noqa: PT017 - both outcomes are allowed
        return
    assert isinstance(document, dict)
    assert state.id == (document["id"] if isinstance(document.get("id"), str) else fallback)
    assert is_usable_id(state.id)
    assert state.status in STATUSES[kind]
    for text in (state.status_text, state.error_code):
        assert text is None or (0 < len(text) <= MAX_TEXT and text.isprintable())
    for name, instant in (("created", state.created), ("finished", state.finished), ("purge", state.purge)):
        assert instant == parse_instant(document.get(f"{name}DateTime"))
    if not isinstance(document.get("status"), str):
        assert (state.status, state.status_text) == (UNKNOWN, None)


@given(KINDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=10))
def test_blob_uris_are_not_kept(kind: str, tail: str) -> None:
    """What carries a SAS signature is nowhere in a state."""
    uri = f"https://a.blob.example/c/in?{CANARY}{tail}"
    state = read_job(kind, json.dumps({"id": "j", "inputBlobUri": uri, "outputBlobUri": [uri]}).encode())
    assert CANARY not in repr(state)


@given(st.binary(max_size=60) | DOCUMENTS.map(lambda document: json.dumps(document).encode()))
def test_pages_and_errors_of_any_bytes(body: bytes) -> None:
    """A page is its items or a reason, an error a short printable code or none."""
    try:
        items = read_page(body)
    except Unreadable as error:
        assert error.reason in {"not_json", "not_a_job"}  # noqa: PT017 - both outcomes are allowed
    else:
        assert [json.loads(bytes(item)) for item in items] == json.loads(body)["value"]
    code = read_error_code(body)
    assert code is None or (0 < len(code) <= MAX_TEXT and code.isprintable())


@given(st.text(st.characters(), max_size=8) | st.integers(MAX_ID - 1, MAX_ID + 1).map("x".__mul__))
def test_usable_ids_can_be_stored_and_sent(job_id: str) -> None:
    """Not empty, bounded, and text that encodes."""
    encodes = job_id == job_id.encode(errors="replace").decode()
    assert is_usable_id(job_id) == (0 < len(job_id) <= MAX_ID and encodes)


PREFERENCES = st.sampled_from(
    [b"wait=3", b"Wait = 7", b'wait="5"', b"respond-async", b"wait=x", b"wait=99999999999", b""]
)


@given(
    st.lists(
        st.tuples(st.sampled_from([b"prefer", b"x"]), st.lists(PREFERENCES).map(b", ".join) | st.binary())
    ),
    st.floats(0, 1e6),
)
def test_patience_is_never_more_than_the_longest(headers: list[tuple[bytes, bytes]], longest: float) -> None:
    """Whatever a caller prefers, its wait is between none and what is configured."""
    assert 0 <= patience(headers, longest) <= longest
    assert patience([pair for pair in headers if pair[0] != b"prefer"], longest) == longest
