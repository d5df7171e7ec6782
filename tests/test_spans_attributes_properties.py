"""What spans are told of a request: bounded, valid text, and no value of a query."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.spans.attributes import JOB_ID_LENGTH, TEXT_LENGTH, job_id, raw, redacted, text

PIECES = st.sampled_from(
    [b"api-version", b"=", b"&", b"2023-10-31", b"sig", b"canary", b"%3D", b"API-VERSION"]
)
QUERIES = st.binary(max_size=40) | st.lists(PIECES, max_size=12).map(b"".join)


@given(QUERIES)
def test_only_the_version_of_a_query_can_be_read(query: bytes) -> None:
    """As many pairs as before, each with its name and nothing of its value; words alone are hidden whole."""
    before, after = query.split(b"&"), redacted(query).split(b"&")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        name, equals, value = old.partition(b"=")
        version = (
            name == b"api-version"
            and 0 < len(value) <= 32
            and value.replace(b".", b"").replace(b"-", b"").isalnum()
        )
        if not old or version:
            assert new == old
        else:
            assert new == (name + b"=REDACTED" if equals else b"REDACTED")
    assert redacted(redacted(query)) == redacted(query)


@given(st.binary(max_size=30))
def test_a_signature_is_never_shown(secret: bytes) -> None:
    """Whatever the value of a SAS signature holds, separators aside, none of it is left."""
    value = b"canary" + secret.replace(b"&", b"").replace(b"=", b"")
    assert b"canary" not in redacted(b"api-version=2023-10-31&sig=" + value + b"&se=" + value)
    assert b"canary" not in redacted(b"api-version=" + value + b"\xff")


@given(st.text(st.characters()), st.binary())
def test_values_can_be_exported(value: str, octets: bytes) -> None:
    """Text is UTF-8 and bounded whatever it was made of; clean text stays."""
    for out, longest in (
        (text(value * 50), TEXT_LENGTH),
        (raw(octets * 50), TEXT_LENGTH),
        (text("\ud800"), 1),
    ):
        assert len(out.encode()) <= 4 * longest
        assert len(out) <= longest
    shown = job_id(value * 50)
    assert len(shown) <= JOB_ID_LENGTH
    assert shown.isprintable()
    assert job_id(shown) == shown
    if octets.isascii():
        assert raw(octets) == octets.decode()
