"""W3C trace context, Level 2, rule by rule."""

import pytest

from gateway.trace_context import (
    BAGGAGE_BYTES,
    RANDOM,
    SAMPLED,
    TRACESTATE_BYTES,
    TraceContext,
    baggage,
    parse,
    propagated,
    traceparent,
    tracestate,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()


def context_of(value: bytes) -> TraceContext | None:
    return parse([(b"traceparent", value)])


@pytest.mark.parametrize(
    "value",
    [
        PARENT,
        b" " + PARENT + b"\t",
        b"\t \t" + PARENT + b"  ",
        f"01-{TRACE}-{SPAN}-01".encode(),
        f"cc-{TRACE}-{SPAN}-01-what the future holds".encode(),
        f"cc-{TRACE}-{SPAN}-01-".encode(),
        f"fe-{TRACE}-{SPAN}-01-\xff".encode("latin-1"),
    ],
)
def test_a_valid_traceparent_is_read_in_every_version(value: bytes) -> None:
    """Version 00, padding of spaces and tabs, and the 00 layout of higher versions are read."""
    assert context_of(value) == TraceContext(TRACE, SPAN, SAMPLED)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        PARENT + b"-",
        PARENT + b"-more",
        PARENT + b".",
        PARENT[:-1],
        PARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"FF-{TRACE}-{SPAN}-01".encode(),
        f"0-{TRACE}-{SPAN}-01".encode(),
        f"000-{TRACE}-{SPAN}-01".encode(),
        f"cc-{TRACE}-{SPAN}-01.what".encode(),
        f"cc-{TRACE}-{SPAN}-010".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE[:-1]}-{SPAN}-01".encode(),
        f"00-{TRACE}0-{SPAN}-01".encode(),
        f"00-{TRACE[:-1]}G-{SPAN}-01".encode(),
        f"00-{TRACE[:-1]}A-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN[:-1]}-01".encode(),
        f"00-{TRACE}-{SPAN[:-1]}x-01".encode(),
        f"00-{TRACE}-{SPAN}-1".encode(),
        f"00-{TRACE}-{SPAN}-0x".encode(),
        f"00_{TRACE}_{SPAN}_01".encode(),
        PARENT + b"," + PARENT,
        PARENT.replace(b"-", b" -"),
        PARENT + b"\n",
        b"\x0b" + PARENT,
    ],
)
def test_an_invalid_traceparent_counts_as_absent(value: bytes) -> None:
    """Wrong length, digits, separators, version ff, upper case and all-zero ids are not continued."""
    assert context_of(value) is None


def test_without_a_traceparent_there_is_no_context() -> None:
    """A tracestate alone continues nothing."""
    assert parse([]) is None
    assert parse([(b"tracestate", b"a=1")]) is None


def test_two_traceparent_lines_count_as_none_even_when_equal() -> None:
    """A repeated traceparent cannot be parsed, whatever the values are."""
    assert parse([(b"traceparent", PARENT), (b"traceparent", PARENT)]) is None
    assert parse([(b"traceparent", PARENT), (b"x", b""), (b"traceparent", b"")]) is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("00", 0),
        ("01", SAMPLED),
        ("02", RANDOM),
        ("03", SAMPLED | RANDOM),
        ("04", 0),
        ("fd", SAMPLED),
        ("ff", 3),
    ],
)
def test_only_the_known_flags_are_kept(sent: str, kept: int) -> None:
    """Bits other than sampled and random are neither read nor sent on."""
    context = context_of(f"00-{TRACE}-{SPAN}-{sent}".encode())
    assert context is not None
    assert context.flags == kept
    assert traceparent(TRACE, SPAN, int(sent, 16)) == f"00-{TRACE}-{SPAN}-{kept:02x}".encode()


LONG_KEY = b"k" * 256
LONG_VALUE = b"v" * 256


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        ([b"a=1"], b"a=1"),
        ([b"a=1,b=2"], b"a=1,b=2"),
        ([b"b=2", b"a=1"], b"b=2,a=1"),
        ([b"a=1, b=2 \t,\t c=3"], b"a=1, b=2 \t,\t c=3"),
        ([b"  a=1\t"], b"a=1"),
        ([b""], b""),
        ([b" ", b"\t"], b""),
        ([b",,a=1,,b=2,"], b"a=1,b=2"),
        ([b"a=1", b"", b"b=2"], b"a=1,b=2"),
        ([b"a=1,b=2,a=3"], b"a=1,b=2"),
        ([b"a=1", b"a=1"], b"a=1"),
        ([b"1a=1,t@v=2,a@b@c=3,@=4"], b""),
        ([b"1a=1,t@v=2,a@b@c=3"], b"1a=1,t@v=2,a@b@c=3"),
        ([b"a_-*/@=x"], b"a_-*/@=x"),
        ([b"0=x"], b"0=x"),
        ([LONG_KEY + b"=1"], LONG_KEY + b"=1"),
        ([LONG_KEY + b"k=1"], b""),
        ([b"a=" + LONG_VALUE], b"a=" + LONG_VALUE),
        ([b"a=" + LONG_VALUE + b"v"], b""),
        ([b"a= x y"], b"a= x y"),
        ([b"a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"], b"a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"),
        ([b"a=1,A=2"], b""),
        ([b"a=1,_b=2"], b""),
        ([b"a=1,b"], b""),
        ([b"a=1,b="], b""),
        ([b"a=1,=b"], b""),
        ([b"a=1,b =2"], b""),
        ([b"a=1,b=2=3"], b""),
        ([b"a=1,b=\x7f"], b""),
        ([b"a=1,b=\xc3\xa4"], b""),
        ([b"a=1\n,b=2"], b""),
    ],
)
def test_tracestate_is_joined_checked_and_kept_in_order(lines: list[bytes], sent: bytes) -> None:
    """Lines join in order, clean bytes stay, the first of duplicates stays, one bad member drops all."""
    assert tracestate(lines) == sent


def test_tracestate_carries_32_members_and_drops_33() -> None:
    """A 33rd member drops the whole header, also when it repeats a key."""
    members = [f"k{number}=v".encode() for number in range(32)]
    assert tracestate([b",".join(members)]) == b",".join(members)
    assert tracestate([*members, b"one=more"]) == b""
    assert tracestate([*members, members[0]]) == b""


def test_tracestate_is_bounded_well_above_512_characters() -> None:
    """What the standard asks for is carried; beyond the bound nothing is."""
    longest = b",".join(b"%02d=" % number + b"v" * 252 for number in range(32)) + b"v"
    assert len(longest) == TRACESTATE_BYTES > 512
    assert tracestate([longest]) == longest
    assert tracestate([longest + b"v"]) == b""


def test_a_bad_tracestate_never_touches_traceparent() -> None:
    """The trace goes on without the state."""
    assert parse([(b"tracestate", b"a=1,B"), (b"traceparent", PARENT)]) == TraceContext(TRACE, SPAN, SAMPLED)


def test_an_invalid_traceparent_drops_the_tracestate_unread() -> None:
    """State of a trace that is not continued is not carried."""
    assert parse([(b"tracestate", b"a=1"), (b"traceparent", b"00-nonsense")]) is None


def test_tracestate_lines_around_the_traceparent_are_joined() -> None:
    """The order of the lines counts, their place among other headers does not."""
    headers = [(b"tracestate", b"a=1"), (b"traceparent", PARENT), (b"tracestate", b"b=2")]
    context = parse(headers)
    assert context is not None
    assert context.tracestate == b"a=1,b=2"


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        ([], b""),
        ([b"k=v"], b"k=v"),
        ([b"k=v", b"l=w"], b"k=v,l=w"),
        ([b" k = v ; p = q ; flag , l=w"], b"k = v ; p = q ; flag , l=w"),
        ([b"k="], b"k="),
        ([b"k=a=b"], b"k=a=b"),
        ([b"k=%20"], b"k=%20"),
        ([b"k"], b""),
        ([b"=v"], b""),
        ([b"k=v,"], b""),
        ([b"k=v;"], b""),
        ([b"k=a b"], b""),
        ([b'k="v"'], b""),
        ([b"k=v\\"], b""),
        ([b"k=\xc3\xa4"], b""),
        ([b"k(=v"], b""),
        ([b"k=v\r\nx: y"], b""),
        ([b""], b""),
    ],
)
def test_baggage_passes_whole_or_not_at_all(lines: list[bytes], sent: bytes) -> None:
    """Well-formed baggage keeps its bytes, malformed baggage is dropped."""
    assert baggage([(b"baggage", line) for line in lines]) == sent


def test_baggage_is_bounded_in_bytes_and_entries() -> None:
    """8,192 bytes and 64 entries pass; one more of either drops the header."""
    fits = b"k=" + b"v" * (BAGGAGE_BYTES - 2)
    assert baggage([(b"baggage", fits)]) == fits
    assert baggage([(b"baggage", fits + b"v")]) == b""
    entries = b",".join(b"k%d=v" % number for number in range(64))
    assert baggage([(b"baggage", entries)]) == entries
    assert baggage([(b"baggage", entries), (b"baggage", b"l=v")]) == b""


def test_only_what_there_is_is_sent() -> None:
    """Empty tracestate and baggage are no header lines."""
    assert propagated(PARENT, b"", b"") == ((b"traceparent", PARENT),)
    assert propagated(PARENT, b"a=1", b"k=v") == (
        (b"traceparent", PARENT),
        (b"tracestate", b"a=1"),
        (b"baggage", b"k=v"),
    )
