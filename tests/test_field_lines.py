"""Header lines: what is kept reads as what is judged, and neither grows nor holds what is somebody's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.field_lines import LINE_BYTES, LINES, REPEATED, FieldLines


@given(st.sampled_from([*sorted(REPEATED), b"x-other", b"Host", b"a b", b""]), st.binary(max_size=300))
def test_a_line_reads_alike_the_second_time(name: bytes, value: bytes) -> None:
    """Kept or not, a line is the same field again, or refused again."""
    line, lines = name + b":" + value, FieldLines()
    try:
        first = lines[line]
    except failures.RequestInvalid:
        with pytest.raises(failures.RequestInvalid):
            lines[line]
        assert not lines
    else:
        assert first == lines[line] == (name.lower(), value.strip(b" \t"))


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Bearer x", b"cookie: a=b", b"x-api-key: x", b"traceparent: 00-1-2-01",
        b"x-ms-client-request-id: 1", b"content-length: 5", b"User-Agent: " + b"x" * LINE_BYTES,
    ],
)  # fmt: skip
def test_what_is_not_kept(line: bytes) -> None:
    """No credential, nothing that is new with each request, and no line that is long."""
    lines = FieldLines()
    assert lines[line]
    assert not lines


def test_others_do_not_make_it_grow() -> None:
    """Whoever sends ever new lines does not have all of them kept; the last one is."""
    lines = FieldLines()
    for number in range(3 * LINES):
        assert lines[b"user-agent:%d" % number] == (b"user-agent", b"%d" % number)
        assert len(lines) <= LINES
    assert b"user-agent:%d" % (3 * LINES - 1) in lines


@pytest.mark.parametrize("line", [b"", b":", b"a", b": b", b"a b: c", b"a : b", b" a: b", b"a: \0", b"a: \r"])
def test_no_field(line: bytes) -> None:
    """A name, a colon directly behind it and a value without control characters, or a refusal."""
    with pytest.raises(failures.RequestInvalid):
        FieldLines()[line]


@pytest.mark.parametrize("byte", range(256))
def test_every_byte(byte: int) -> None:
    """Each byte of a name and of a value is judged as RFC 9110 has it, section 5.5 and 5.6.2."""
    letter = bytes([byte])
    token = letter.isalnum() or byte in b"!#$%&'*+-.^_`|~"
    text = (byte >= 0x20 and byte != 0x7F) or byte == 0x09
    for line, valid in [(b"a" + letter + b"a:b", token or letter == b":"), (b"a:b" + letter + b"b", text)]:
        if valid:
            assert FieldLines()[line][0] in {b"a", b"a" + letter.lower() + b"a"}
        else:
            with pytest.raises(failures.RequestInvalid):
                FieldLines()[line]
