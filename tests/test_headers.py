"""Header rules both ways: what is refused, what ends at the gateway, and that all else stays as it was."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import RawHeaders
from gateway.headers import (
    HOP_BY_HOP,
    TRACE,
    ending_here,
    first,
    guarding,
    problem,
    replaced,
    response_problem,
    to_downstream,
    to_upstream,
)

HOST = (b"host", b"adt.example")
VIA = (b"via", b"1.1 adt-gateway")
OWN = ending_here([b"authorization", b"x-key"])
CREDENTIALS = {b"authorization", b"x-key", b"proxy-authorization"}

TOKEN = st.text("!#$%&'*+-.^`|~0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
NAMES = st.one_of(
    st.sampled_from(sorted(HOP_BY_HOP | TRACE | CREDENTIALS | {b"host", b"via", b"expect", b"cookie"})),
    TOKEN.map(str.encode),
)
VALUES = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.encode),
    st.lists(NAMES, max_size=4).map(b" , ".join),
)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=20)


def _upstream(
    given_lines: RawHeaders, *, identity: bool = False, add: tuple[tuple[bytes, bytes], ...] = ()
) -> RawHeaders:
    return to_upstream(given_lines, drop=OWN, host=HOST[1], identity=identity, add=add)


def _named(lines: RawHeaders) -> set[bytes]:
    """What `Connection` names, less what it may not take away."""
    values = b",".join(value for name, value in lines if name == b"connection")
    return {part.strip().lower() for part in values.split(b",")} - {b"content-length", b"content-type"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([(b"", b"x")], "not a token"),
        ([(b"a b", b"x")], "not a token"),
        ([(b"a:", b"x")], "not a token"),
        ([(b"a\x00", b"x")], "not a token"),
        ([(b"\xe9", b"x")], "not a token"),
        ([(b"Upper", b"x")], "not a token"),
        ([(b"authorization ", b"x")], "not a token"),
        ([(b"x-a", b"1\r\nx-b: 2")], "control character"),
        ([(b"x-a", b"1\n2")], "control character"),
        ([(b"x-a", b"1\x00")], "control character"),
        ([(b"x-a", b"\x7f")], "control character"),
        ([(b"x-a", b"\xff")], "neither ASCII nor UTF-8"),
        ([(b"x-a", b"\xc3")], "neither ASCII nor UTF-8"),
        ([(b"authorization_", b"x")], "imitates"),
        ([(b"_authorization", b"x")], "imitates"),
        ([(b"content_length", b"1")], "imitates"),
        ([(b"transfer_encoding", b"chunked")], "imitates"),
        ([(b"x_ms_error_code", b"x")], "imitates"),
        ([(b"x-ms_error-code", b"x")], "imitates"),
        ([(b"x_key", b"x")], "imitates"),
        ([(b"host", b"a"), (b"host", b"a")], "more than one host"),
        ([(b"content-length", b"1"), (b"content-length", b"1")], "more than one content-length"),
        ([(b"transfer-encoding", b"chunked")] * 2, "more than one transfer-encoding"),
        ([(b"content-type", b"a/b")] * 2, "more than one content-type"),
        ([(b"authorization", b"x"), (b"authorization", b"y")], "more than one authorization"),
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], "both content-length and"),
        ([(b"content-length", b"+1")], "not a number"),
        ([(b"content-length", b"1, 1")], "not a number"),
        ([(b"content-length", b"1_0")], "not a number"),
        ([(b"content-length", b"")], "not a number"),
        ([(b"content-length", b"0x1")], "not a number"),
        ([(b"transfer-encoding", b"gzip, chunked")], "other than chunked"),
        ([(b"transfer-encoding", b"chunked, chunked")], "other than chunked"),
        ([(b"transfer-encoding", b"xchunked")], "other than chunked"),
        ([(b"transfer-encoding", b"identity")], "other than chunked"),
        ([(b"transfer-encoding", b"")], "other than chunked"),
    ],
)
def test_ambiguous_headers_are_refused(lines: RawHeaders, said: str) -> None:
    """What two servers could read in two ways has a reason why it is not forwarded."""
    found = problem([(b"x-before", b"1"), *lines], guarding([b"x-key"]))
    assert found is not None
    assert said in found


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(b"x-a", b"1"), (b"x-a", b"1"), (b"accept", b"a"), (b"accept", b"b")],
        [(b"x-a", b"1"), (b"x-a", b"1"), (b"host", b"a")],
        [(b"x_custom_header", b"fine"), (b"x-tab", b"a\tb"), (b"x-word", "\u00e9".encode())],
        [(b"x_custom_header", b"fine"), (b"host", b"a"), (b"content-length", b"0"), (b"x-key", b"k")],
        [(b"content-length", b"0"), (b"content-type", b"text/plain"), (b"host", b"a")],
        [(b"transfer-encoding", b"Chunked"), (b"authorization", b"Bearer x")],
        [(b"!#$%&'*+-.^_`|~09az", b"")],
    ],
)
def test_clean_headers_are_accepted(lines: RawHeaders) -> None:
    """Duplicates of list fields, odd but valid names, UTF-8 values, beside fields of ours too: no problem."""
    assert problem(lines, guarding([b"x-key"])) is None


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=8))
def test_any_bytes_are_judged(lines: RawHeaders) -> None:
    """No header makes the check raise, and what it accepts can be written on one line."""
    if problem(lines) is None:
        assert not any(char in name + value for name, value in lines for char in b"\r\n\x00")
        assert all(name for name, _ in lines)


@given(LINES)
def test_nothing_of_the_hop_or_the_credentials_gets_through(lines: RawHeaders) -> None:
    """Hop-by-hop, trace and credential fields, and those `Connection` names, never reach the upstream."""
    sent = _upstream(lines)
    gone = (OWN | _named(lines)) - {b"host", b"via"}
    assert not gone & {name for name, _ in sent}
    assert [pair for pair in sent if pair[0] == b"host"] == [HOST]
    assert len([name for name, _ in sent if name == b"via"]) == 1


@given(LINES)
def test_all_else_reaches_the_upstream_as_it_was(lines: RawHeaders) -> None:
    """Every other field keeps its place, its value and its duplicates."""
    kept = [pair for pair in lines if pair[0] not in OWN | _named(lines)]
    assert _upstream(lines) == [HOST, *kept, _upstream(lines)[-1]]


@given(LINES, LINES)
def test_what_the_gateway_adds_cannot_be_taken_away(lines: RawHeaders, added: RawHeaders) -> None:
    """The gateway's own fields follow at the end, whatever `Connection` names."""
    sent = _upstream(lines, add=tuple(added))
    assert sent[len(sent) - len(added) :] == added


@pytest.mark.parametrize(
    "spelling", [b"authorization", b"Authorization", b" AUTHORIZATION\t", b"x, authorization ,"]
)
def test_connection_names_are_dropped_in_any_spelling(spelling: bytes) -> None:
    """A field named in `Connection` ends here, case and blanks aside, in a mode that would forward it too."""
    lines = [(b"authorization", b"theirs"), (b"connection", spelling), (b"x-a", b"1")]
    forward = partial(to_upstream, drop=ending_here([]), host=HOST[1], identity=False, add=[])
    assert forward(lines) == [HOST, (b"x-a", b"1"), VIA]
    assert forward(lines[:1]) == [HOST, lines[0], VIA]


def test_connection_cannot_take_the_framing_away() -> None:
    """Length and type of the body stay, although `Connection` names them."""
    lines = [
        (b"connection", b"content-length, content-type"),
        (b"content-length", b"3"),
        (b"content-type", b"a/b"),
    ]
    assert _upstream(lines) == [HOST, *lines[1:], VIA]


def test_via_is_appended_in_order() -> None:
    """The gateway names itself after every earlier hop (RFC 9110, section 7.6.3)."""
    sent = _upstream([(b"via", b"1.0 a, 1.1 b"), (b"x-a", b"1"), (b"via", b"1.1 c")])
    assert sent == [HOST, (b"x-a", b"1"), (b"via", b"1.0 a, 1.1 b, 1.1 c, 1.1 adt-gateway")]


def test_identity_replaces_accept_encoding() -> None:
    """Where the gateway reads the answer it asks for no coding, once; elsewhere the app's wish stays."""
    lines = [(b"accept-encoding", b"gzip"), (b"x-a", b"1"), (b"accept-encoding", b"br")]
    assert _upstream(lines, identity=True) == [HOST, (b"x-a", b"1"), (b"accept-encoding", b"identity"), VIA]
    assert _upstream(lines) == [HOST, *lines, VIA]


@given(LINES)
def test_response_loses_the_hop_and_keeps_all_else(lines: RawHeaders) -> None:
    """Towards the app hop-by-hop fields end, and names that are the gateway's; the rest is as it was."""
    lines = [
        *lines,
        (b"x-gateway-error-origin", b"gateway"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    ]
    kept = [pair for pair in lines if pair[0] not in HOP_BY_HOP | _named(lines) | {b"x-gateway-error-origin"}]
    assert to_downstream(lines) == kept


def test_a_response_loses_its_traceresponse() -> None:
    """The app gets the gateway's own."""
    assert to_downstream([(b"traceresponse", b"00-1-2-01"), (b"x-a", b"1")]) == [(b"x-a", b"1")]


def test_every_connection_line_of_a_response_counts() -> None:
    """A line that names nothing of its own does not hide the one before it."""
    lines = [(b"connection", b"x-a"), (b"x-a", b"1"), (b"connection", b"keep-alive"), (b"x-b", b"2")]
    assert to_downstream(lines) == [(b"x-b", b"2")]


def test_equal_lengths_of_a_response_become_one() -> None:
    """Two Content-Length lines that say the same are one line for the app."""
    lines = [(b"content-length", b"2"), (b"x-a", b"1"), (b"content-length", b"2")]
    assert to_downstream(lines) == lines[:2]


@pytest.mark.parametrize(
    ("lines", "clean"),
    [
        ([], True),
        ([(b"content-length", b"2")], True),
        ([(b"content-length", b"2"), (b"content-length", b"2")], True),
        ([(b"transfer-encoding", b"chunked")], True),
        ([(b"transfer-encoding", b" Chunked ")], True),
        ([(b"content-length", b"2"), (b"content-length", b"3")], False),
        ([(b"content-length", b"2"), (b"content-length", b"02")], False),
        ([(b"content-length", b"2, 2")], False),
        ([(b"content-length", b"-2")], False),
        ([(b"content-length", b"\xb2")], False),
        ([(b"content-length", b"")], False),
        ([(b"transfer-encoding", b"gzip")], False),
        ([(b"transfer-encoding", b"gzip, chunked")], False),
        ([(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], False),
        ([(b"transfer-encoding", b"chunked"), (b"content-length", b"2")], False),
    ],
)
def test_framing_of_a_response_has_one_reading(lines: RawHeaders, *, clean: bool) -> None:
    """A response whose end two parsers could see in two places has a problem (RFC 9112, section 6.3)."""
    assert (response_problem(lines) is None) == clean


@given(
    st.lists(st.tuples(st.sampled_from([b"content-length", b"transfer-encoding"]), st.binary()), max_size=4)
)
def test_any_framing_is_judged(lines: RawHeaders) -> None:
    """No response head makes the check raise; an accepted length is a number."""
    if response_problem(lines) is None:
        assert all(int(value) >= 0 for name, value in lines if name == b"content-length")


def test_first_and_replaced() -> None:
    """`first` takes the first of several; `replaced` leaves one, at the place of the first, or at the end."""
    lines = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert first(lines, b"a") == b"1"
    assert first(lines, b"c") is None
    assert replaced(lines, b"a", b"x") == [(b"a", b"x"), (b"b", b"2")]
    assert replaced(lines, b"c", b"x") == [*lines, (b"c", b"x")]
    assert replaced(lines, b"a", None) == [(b"b", b"2")]


def test_tables_hold_what_the_standards_name() -> None:
    """RFC 9110, section 7.6.1, and W3C Trace Context: these fields, in lower case, end at the gateway."""
    hop = "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    assert {*hop.encode().split(), b"transfer-encoding", b"upgrade"} == HOP_BY_HOP
    assert {b"traceparent", b"tracestate", b"baggage"} == TRACE
    replaced_fields = {b"host", b"expect", b"via", b"http2-settings", b"authorization", b"x-key"}
    assert HOP_BY_HOP | TRACE | replaced_fields == OWN
