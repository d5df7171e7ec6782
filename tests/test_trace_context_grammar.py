"""Every byte at every place of the trace headers: what the grammars allow passes, and nothing else."""

import string

import pytest

from gateway.trace_context import (
    BAGGAGE_BYTES,
    BAGGAGE_ENTRIES,
    KNOWN_FLAGS,
    RANDOM,
    SAMPLED,
    TRACESTATE_BYTES,
    TRACESTATE_MEMBERS,
    baggage,
    parse,
    propagated,
    traceparent,
    tracestate,
)

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
EVERY = [bytes([code]) for code in range(256)]
HEX = set(b"0123456789abcdef")
LOWER, DIGITS = set(string.ascii_lowercase.encode()), set(string.digits.encode())
# W3C Trace Context, section 3.3.1.3.
KEY_START = LOWER | DIGITS
KEY = KEY_START | set(b"_-*/@")
VALUE_END = set(range(0x21, 0x7F)) - set(b",=")
VALUE = VALUE_END | {0x20}
# W3C Baggage, section 3.2; token and baggage-octet.
TOKEN = set(string.ascii_letters.encode()) | DIGITS | set(b"!#$%&'*+-.^_`|~")
OCTET = set(range(0x21, 0x7F)) - set(b'",;\\')


def accepted(line: bytes) -> bool:
    return parse([(b"traceparent", line)]) is not None


@pytest.mark.parametrize("at", range(55))
def test_every_byte_of_a_traceparent(at: int) -> None:
    """Lower-case hex where digits stand, dashes where dashes stand; no other byte, at any place."""
    line = b"-".join([b"00", TRACE, SPAN, b"01"])
    allowed = set(b"-") if at in {2, 35, 52} else HEX
    for byte in EVERY:
        changed = line[:at] + byte + line[at + 1 :]
        assert accepted(changed) == (byte[0] in allowed), changed


@pytest.mark.parametrize("cut", range(55))
def test_a_traceparent_without_one_byte_or_with_one_more_is_none(cut: int) -> None:
    """Fields have one length."""
    line = b"-".join([b"00", TRACE, SPAN, b"01"])
    assert not accepted(line[:cut] + line[cut + 1 :])
    assert not accepted(line[:cut] + b"0" + line[cut:])


def test_versions() -> None:
    """Version ff is none; a later one may have more fields behind a dash, `00` may not."""
    rest = b"-".join([TRACE, SPAN, b"01"])
    for version in range(256):
        name = b"%02x" % version
        assert accepted(name + b"-" + rest) == (version != 255)
        assert accepted(name + b"-" + rest + b"-\x00\n") == (0 < version < 255)
        assert not accepted(name + b"-" + rest + b"x")


def test_each_flag() -> None:
    """The two known flags are read and sent; the others are not."""
    assert (SAMPLED, RANDOM, KNOWN_FLAGS) == (0b01, 0b10, 0b11)
    for flags in range(256):
        context = parse([(b"traceparent", b"-".join([b"00", TRACE, SPAN, b"%02x" % flags]))])
        assert context is not None
        assert context.flags == flags & 0b11
        assert traceparent("t", "s", flags) == b"00-t-s-%02x" % (flags & 0b11)


def test_blanks_around_are_no_part() -> None:
    """Spaces and tabs around a value are white space of the header's, other bytes are not."""
    line = b"-".join([b"00", TRACE, SPAN, b"01"])
    for byte in EVERY:
        assert accepted(byte + line) == accepted(line + byte) == (byte in {b" ", b"\t"})


@pytest.mark.parametrize(("zero", "other"), [(b"0" * 32, SPAN), (TRACE, b"0" * 16)])
def test_an_id_of_zeros_is_none(zero: bytes, other: bytes) -> None:
    """An id that is all zero says that there is none."""
    assert not accepted(b"-".join([b"00", zero, other, b"01"]))


def test_every_byte_of_a_tracestate_member() -> None:
    """Keys, values and ends of values have the bytes of the standard."""
    for byte in EVERY:
        code = byte[0]
        blank, comma = byte in {b" ", b"\t"}, byte == b","
        assert bool(tracestate([byte + b"=1"])) == (code in KEY_START), byte
        if not comma:
            assert bool(tracestate([b"a" + byte + b"=1"])) == (code in KEY), byte
            assert bool(tracestate([b"a=1" + byte + b"1"])) == (code in VALUE), byte
            assert bool(tracestate([b"a=" + byte])) == (code in VALUE_END), byte
        assert bool(tracestate([b"a=1" + byte])) == (code in VALUE_END or blank or comma), byte


def test_lengths_of_a_tracestate_member() -> None:
    """A key and a value have 256 characters at most; the value has one at least."""
    assert tracestate([b"k" * 256 + b"=" + b"v" * 256])
    for member in (b"k" * 257 + b"=v", b"k=" + b"v" * 257, b"k=", b"=v", b"k"):
        assert tracestate([member]) == b""


def test_number_and_length_of_a_tracestate() -> None:
    """32 members and 8,192 bytes, doubles and all; more is dropped whole."""
    members = [b"k%d=v" % number for number in range(TRACESTATE_MEMBERS)]
    assert TRACESTATE_MEMBERS == 32
    assert tracestate(members) == b",".join(members)
    assert tracestate([*members, b"last=1"]) == b""
    assert tracestate([b"k=v"] * 32) == b"k=v"
    assert tracestate([b"k=v"] * 33) == b""
    assert TRACESTATE_BYTES == 8_192
    long = b",".join([*(b"%02d=%s" % (number, b"v" * 252) for number in range(31)), b"k="]).ljust(8_191, b"v")
    assert tracestate([long + b"v"]) == long + b"v"
    assert tracestate([long + b"vv"]) == b""
    assert tracestate([b"\t " + long + b"v \t"]) == long + b"v"


def test_members_of_a_tracestate() -> None:
    """Empty members go, of two of one key the first stays, and blanks go where anything else does."""
    assert tracestate([b"a=1 , b=2", b"c=3"]) == b"a=1 , b=2,c=3"
    assert tracestate([b"a=1,, \t,b=2"]) == b"a=1,b=2"
    assert tracestate([b" a=1 ,\tb=2\t,a=3"]) == b"a=1,b=2"
    assert tracestate([b"a=1,b"]) == tracestate([]) == tracestate([b""]) == tracestate([b" ,"]) == b""


def bag(*lines: bytes) -> bytes:
    return baggage([(b"baggage", line) for line in lines])


def test_every_byte_of_a_baggage_member() -> None:
    """Keys are tokens, values are octets, properties are keys with or without a value."""
    for code in set(range(256)) - set(b",;"):
        byte = bytes([code])
        token, octet, blank, equals = code in TOKEN, code in OCTET, code in b" \t", byte == b"="
        for line, wanted in (
            (b"a" + byte + b"b=1", token or equals),
            (b"k" + byte + b"=1", token or blank or equals),
            (b"k=" + byte, octet or blank),
            (b"k=1" + byte + b"1", octet),
            (b"k=1" + byte + b";p", octet or blank),
            (b"k=1;" + byte + b"p", token or blank),
            (b"k=1;a" + byte + b"b", token or equals),
            (b"k=1;p" + byte + b"=1", token or blank or equals),
            (b"k=1;p=" + byte, octet or blank),
            (b"k=1;p=1" + byte + b"1", octet),
        ):
            assert bool(bag(line)) == wanted, line


def test_parts_of_baggage() -> None:
    """Keys, equals signs and property keys are needed, values are not; blanks may stand between them."""
    for line in (b"k=", b"k=1;p", b"k=1;p=", b"k \t= \t1 \t; \tp \t= \t2", b"k=1;p;q=1", b"a=1,b=2"):
        assert bag(line) == line.strip()
    for line in (
        b"k",
        b"=1",
        b"k=1;",
        b"k=1;;p",
        b"k=1;=2",
        b"a=1,",
        b",a=1",
        b"k=1; ;p",
        b"k=a b",
        b"k=1;p=1 =2",
        b"",
        b" ",
    ):
        assert bag(line) == b""
    assert bag(b"a=1", b"b=2") == b"a=1,b=2"
    assert bag(b" \ta=1 \t") == b"a=1"
    assert baggage([(b"x", b"a=1")]) == baggage([]) == b""


def test_number_and_length_of_baggage() -> None:
    """64 entries and 8,192 bytes; more is dropped whole."""
    entries = [b"k%d=" % number for number in range(BAGGAGE_ENTRIES)]
    assert BAGGAGE_ENTRIES == 64
    assert bag(b",".join(entries)) == b",".join(entries)
    assert bag(b",".join([*entries, b"l="])) == b""
    assert BAGGAGE_BYTES == 8_192
    whole = b"k=" + b"v" * (BAGGAGE_BYTES - 2)
    assert bag(whole) == bag(b" " + whole + b"\t") == whole
    assert bag(whole + b"v") == b""


def test_lines_to_send() -> None:
    """What is empty is not sent, and the order is the standard's."""
    assert propagated(b"p", b"s", b"b") == ((b"traceparent", b"p"), (b"tracestate", b"s"), (b"baggage", b"b"))
    assert propagated(b"p", b"", b"") == ((b"traceparent", b"p"),)
    assert propagated(b"", b"", b"b") == ((b"baggage", b"b"),)
    assert propagated(b"p", b"", b"b") == ((b"traceparent", b"p"), (b"baggage", b"b"))
    assert propagated(b"", b"", b"") == ()


def test_the_state_needs_its_parent() -> None:
    """Two traceparents are none; a tracestate counts beside a valid parent only, all its lines in order."""
    line = (b"traceparent", b"-".join([b"00", TRACE, SPAN, b"03"]))
    assert parse([line, line]) is None
    assert parse([(b"tracestate", b"a=1")]) is None
    context = parse([(b"x", b"y"), (b"tracestate", b"a=1"), line, (b"tracestate", b"b=2")])
    assert context is not None
    assert (context.trace_id, context.parent_id) == (TRACE.decode(), SPAN.decode())
    assert (context.flags, context.tracestate) == (3, b"a=1,b=2")
    alone = parse([line])
    assert alone is not None
    assert alone.tracestate == b""
