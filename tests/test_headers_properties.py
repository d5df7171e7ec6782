"""Header rules for any lines at all: every byte is judged, nothing is injected, lost or made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import RawHeaders
from gateway.headers import (
    HOP_BY_HOP,
    RESPONSE_BYTES,
    RESPONSE_LINES,
    TRACE,
    VIA,
    ending_here,
    first,
    guarding,
    problem,
    replaced,
    response_problem,
    to_downstream,
    to_upstream,
)

# RFC 9110, section 5.6.2, without upper case: names are in lower case by then.
TCHAR = set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
ENDS = HOP_BY_HOP | TRACE | {b"host", b"expect", b"via", b"http2-settings"}
GUARDED = ENDS | {b"authorization", b"content-length", b"x-ms-error-code"}
SINGLE = {b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization"}
FIRST = {b"host": b"a", b"content-length": b"1", b"transfer-encoding": b"chunked"}

names = st.sampled_from(sorted(GUARDED | SINGLE | {b"x-a", b"x-b", b"accept-encoding", b"x-gateway-a"}))
values = (
    st.binary(max_size=6) | st.lists(names, max_size=3).map(b",".join) | st.sampled_from([b"1", b"chunked"])
)
lines = st.lists(st.tuples(names, values), max_size=8)


@pytest.mark.parametrize("judge", [problem, response_problem])
def test_every_byte_of_a_name(judge: object) -> None:
    """A name has the bytes of a token, requests and responses alike."""
    assert callable(judge)
    for code in range(256):
        for name in (bytes([code]), b"x" + bytes([code]), bytes([code]) + b"x"):
            assert (judge([(name, b"")]) is None) == (code in TCHAR), name


def test_every_byte_of_a_value() -> None:
    """Control characters but the tab are refused; above ASCII a request's value has to be UTF-8."""
    for code in range(256):
        for value in (bytes([code]), b"a" + bytes([code]), bytes([code]) + b"a"):
            printable = code == 9 or 32 <= code != 127
            assert (problem([(b"x", value)]) is None) == (printable and code < 128), value
            assert (response_problem([(b"x", value)]) is None) == printable, value
    assert problem([(b"x", "é\u2028".encode())]) is None


def test_a_line_break_does_not_make_two_names_of_one() -> None:
    """What passes as two names does not pass as one name with a line break in it, whichever comes first."""
    for judge in (problem, response_problem):
        assert judge([(b"a", b""), (b"b", b"")]) is None
        for names in ([b"a\nb"], [b"a\n", b"b"], [b"a", b"\nb"], [b"a\nb", b""], [b""]):
            assert judge([(name, b"") for name in names]) == "a header name is not a token"


def test_a_byte_between_two_lines_is_found_anywhere() -> None:
    """A line break is refused at every place of a value."""
    for at in range(12):
        for value in (b"x" * at + b"\n" + b"x" * (11 - at), b"x" * at + b"\r" + b"x" * (11 - at)):
            assert (
                problem([(b"x-a", value)])
                == response_problem([(b"x-a", value)])
                == "a header value has a control character"
            )


@pytest.mark.parametrize("name", sorted(GUARDED | {b"x-own"}))
def test_no_twin_of_ours_passes(name: bytes) -> None:
    """Any dash as underscore, or underscores around: refused for each field that means something here."""
    twins = {name.replace(b"-", b"_"), b"_" + name, name + b"_", b"-" + name + b"_", b"__" + name}
    for twin in twins - {name}:
        assert problem([(twin, b"x")], guarding([b"x-own"])) == "a header name imitates one of the gateway's"
    assert problem([(b"-" + name, b"x")], guarding([b"x-own"])) is None
    assert problem([(name + b"_x", b"x")], guarding([b"x-own"])) is None


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_single_fields_stand_once(name: bytes) -> None:
    """A second line of a field that has one value is refused by name, even if it says the same."""
    line = (name, FIRST.get(name, b"a/b"))
    assert problem([line]) is None
    assert problem([line, (b"x-a", b"1"), line]) == f"more than one {name.decode()} header"


@given(st.binary(max_size=30) | st.text("0123456789", max_size=30).map(str.encode))
def test_lengths_are_digits_that_fit(value: bytes) -> None:
    """Up to 19 ASCII digits are a length; nothing else is, in requests and in responses."""
    good = 0 < len(value) <= 19 and set(value) <= set(b"0123456789")
    assert (problem([(b"content-length", value)]) is None) == good
    assert (response_problem([(b"content-length", value)]) is None) == good


@pytest.mark.parametrize("digits", [1, 18, 19, 20, 21])
def test_lengths_end_at_19_digits(digits: int) -> None:
    """What every peer reads alike fits into 64 bits."""
    line = (b"content-length", b"9" * digits)
    assert (problem([line]) is None) == (response_problem([line]) is None) == (digits <= 19)


@given(lines)
def test_requests_that_pass_have_one_framing(headers: RawHeaders) -> None:
    """What passes has each single field once, a length or chunks but not both, and can be written down."""
    if problem(headers) is not None:
        return
    seen = [name for name, _ in headers]
    assert all(seen.count(name) <= 1 for name in SINGLE)
    assert not {b"content-length", b"transfer-encoding"} <= set(seen)
    for name, value in headers:
        assert name
        assert set(name) <= TCHAR
        assert not set(value) & {0, 10, 13}
        assert name != b"transfer-encoding" or value.lower() == b"chunked"
        assert name != b"content-length" or int(value) < 10**19


def test_both_framings_are_refused_in_any_order() -> None:
    """Length and chunks together have a reason of their own."""
    both = [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")]
    for pair in (both, both[::-1]):
        assert problem(pair) == "both content-length and transfer-encoding"
        assert response_problem(pair) == "both Content-Length and Transfer-Encoding"


@given(lines, st.booleans(), lines, st.frozensets(names))
def test_the_upstreams_copy(
    headers: RawHeaders, identity: bool, add: RawHeaders, extra: frozenset[bytes]
) -> None:
    """Host first, what may pass in its order, `Via` with what stood there, ours at the end; nothing else."""
    drop = ending_here(extra)
    sent = to_upstream(headers, drop=drop, host=b"h", identity=identity, add=add)
    connection = b",".join(value for name, value in headers if name == b"connection")
    named = {part.strip().lower() for part in connection.split(b",")} - {
        b"",
        b"content-length",
        b"content-type",
    }
    kept = [pair for pair in headers if pair[0] not in drop | named]
    vias = [value for name, value in headers if name == b"via" and name not in named]
    plain = [(b"accept-encoding", b"identity")]
    if identity:
        kept = [pair for pair in kept if pair[0] != b"accept-encoding"]
    wanted = [(b"host", b"h"), *kept, *(plain if identity else ()), (b"via", b", ".join([*vias, VIA])), *add]
    assert sent == wanted


@given(lines)
def test_the_apps_copy(headers: RawHeaders) -> None:
    """Order and duplicates stay; hop-by-hop, what `Connection` names and our names go; one length is left."""
    got = to_downstream(headers)
    connection = b",".join(value for name, value in headers if name == b"connection")
    named = {part.strip().lower() for part in connection.split(b",")} - {
        b"",
        b"content-length",
        b"content-type",
    }
    kept = [
        pair
        for pair in headers
        if pair[0] not in HOP_BY_HOP | named and not pair[0].startswith(b"x-gateway-")
    ]
    lengths = [pair for pair in kept if pair[0] == b"content-length"]
    assert [pair for pair in got if pair[0] != b"content-length"] == [
        pair for pair in kept if pair[0] != b"content-length"
    ]
    assert [pair for pair in got if pair[0] == b"content-length"] == lengths[:1]
    assert to_downstream(got) == got


@given(lines, st.booleans())
def test_a_long_list_of_names_is_treated_as_a_short_one(headers: RawHeaders, identity: bool) -> None:
    """A name too long for a list that is remembered goes through, and changes nothing for the others."""
    long = (b"x" * 2_000, b"1")
    drop = ending_here([b"authorization"])
    sent = to_upstream([*headers, long], drop=drop, host=b"h", identity=identity, add=())
    assert long in sent
    sent.remove(long)
    assert sent == to_upstream(headers, drop=drop, host=b"h", identity=identity, add=())
    assert to_downstream([*headers, long]) == [*to_downstream(headers), long]


@pytest.mark.parametrize("value", [b"keep-alive", b"Keep-Alive", b"keep-alive, x-a", b"x-a", b"close"])
@pytest.mark.parametrize("first_value", [None, b"keep-alive", b"x-a"])
def test_what_connection_says_beside_keep_alive(value: bytes, first_value: bytes | None) -> None:
    """`keep-alive` alone names nothing else; in a list, or beside another line, every name counts."""
    said = [(b"connection", each) for each in (first_value, value) if each is not None]
    lines = [
        (b"x-a", b"1"),
        *said,
        (b"keep-alive", b"timeout=5"),
        (b"proxy-connection", b"x-b"),
        (b"x-b", b"2"),
    ]
    left = [pair for pair in lines if pair[0] in {b"x-a", b"x-b"}]
    if b"x-a" in value or first_value == b"x-a":
        left = left[1:]
    assert to_downstream(lines) == left
    sent = to_upstream(lines, drop=ending_here([]), host=b"h", identity=False, add=())
    assert sent == [(b"host", b"h"), *left, (b"via", VIA)]


def test_what_connection_names_ends_here_both_ways() -> None:
    """A field that `Connection` names goes, whatever its place and spelling; its neighbours stay."""
    lines = [
        (b"x-a", b"1"),
        (b"connection", b"close, X-B ,x-c"),
        (b"x-b", b"2"),
        (b"x-d", b"3"),
        (b"x-c", b"4"),
    ]
    left = [(b"x-a", b"1"), (b"x-d", b"3")]
    assert to_downstream(lines) == left
    sent = to_upstream(lines, drop=ending_here([]), host=b"h", identity=False, add=())
    assert sent == [(b"host", b"h"), *left, (b"via", VIA)]


def test_connection_may_name_via() -> None:
    """What stood in `Via` then goes, and ours is there all the same."""
    lines = [(b"via", b"1.1 other"), (b"connection", b"Via")]
    sent = to_upstream(lines, drop=ending_here([]), host=b"h", identity=False, add=())
    assert sent == [(b"host", b"h"), (b"via", VIA)]


def test_what_follows_a_second_length_stays() -> None:
    """A length said twice is said once, and the lines behind it stay."""
    length = (b"content-length", b"2")
    assert to_downstream([length, (b"x-a", b"1"), length, (b"x-b", b"2")]) == [
        length,
        (b"x-a", b"1"),
        (b"x-b", b"2"),
    ]


def test_which_of_our_names_pass_down() -> None:
    """What a gateway further up said of a body stays; any other name of ours is not the upstream's."""
    told = [
        (b"x-gateway-error-normalised", b"html"),
        (b"x-gateway-error-origin", b"upstream"),
        (b"x-gateway", b"1"),
    ]
    assert to_downstream(told) == [told[0], told[2]]


@given(lines)
def test_responses_that_pass_have_one_framing(headers: RawHeaders) -> None:
    """An accepted head says one length, or chunks, or neither."""
    if response_problem(headers) is None:
        lengths = {value for name, value in headers if name == b"content-length"}
        codings = [value for name, value in headers if name == b"transfer-encoding"]
        assert len(lengths) + len(codings) <= 1
        assert all(coding.strip().lower() == b"chunked" for coding in codings)


def test_bounds_of_a_response_head() -> None:
    """So many lines and so many bytes pass, one more does not."""
    assert (RESPONSE_LINES, RESPONSE_BYTES) == (100, 65_536)
    line = (b"x", b"")
    assert response_problem([line] * RESPONSE_LINES) is None
    assert response_problem([line] * (RESPONSE_LINES + 1)) == "more than 100 header lines"
    assert response_problem([(b"xy", b"a" * (RESPONSE_BYTES - 2))]) is None
    assert response_problem([(b"xy", b"a" * (RESPONSE_BYTES - 1))]) == "headers of more than 65536 bytes"


@given(lines, names, st.none() | values)
def test_first_and_replaced_agree(headers: RawHeaders, name: bytes, value: bytes | None) -> None:
    """After `replaced` the first is the only one; all other lines are as they were."""
    changed = replaced(headers, name, value)
    assert first(changed, name) == value
    assert [pair for pair in changed if pair[0] != name] == [pair for pair in headers if pair[0] != name]
    assert [key for key, _ in changed].count(name) == (value is not None)
    places = [at for at, pair in enumerate(headers) if pair[0] == name]
    if value is not None:
        assert changed[places[0] if places else -1] == (name, value)
    assert first(headers, name) == next((found for key, found in headers if key == name), None)


def test_constants() -> None:
    """What the standards and the contract name."""
    assert VIA == b"1.1 adt-gateway"
    hop = b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    assert {*hop.split(), b"transfer-encoding", b"upgrade"} == HOP_BY_HOP
    assert {b"traceparent", b"tracestate", b"baggage"} == TRACE
    assert ending_here([]) == ENDS
    assert ending_here([b"x"]) == ENDS | {b"x"}
