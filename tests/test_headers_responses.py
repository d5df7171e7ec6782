"""What a response's head must be to be relayed: limits, grammar, one framing."""

import pytest

from gateway.exchange import RawHeaders
from gateway.headers import RESPONSE_BYTES, RESPONSE_LINES, response_problem

LENGTH, CHUNKED = (b"content-length", b"2"), (b"transfer-encoding", b"chunked")
RELAYED: dict[str, RawHeaders] = {
    "nothing": [],
    "a length": [LENGTH],
    "equal lengths": [LENGTH, LENGTH],
    "nineteen digits": [(b"content-length", b"9" * 19)],
    "chunked": [(b"transfer-encoding", b"Chunked")],
    "chunked, beside two cookies": [CHUNKED, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
    "empty value": [(b"x-a", b"")],
    "tab and obs-text": [(b"x-a", b"a\tb\xe9")],
    "every token character": [(b"!#$%&'*+.^_`|~09az-", b"1")],
    "lines up to the limit": [(b"x-a", b"1")] * RESPONSE_LINES,
    "bytes up to the limit": [(b"x-b", b"b"), (b"x-a", b"a" * (RESPONSE_BYTES - 7))],
}
REFUSED: dict[str, tuple[RawHeaders, str]] = {
    "a line too many": ([(b"x-a", b"1")] * (RESPONSE_LINES + 1), "more than 100 header lines"),
    "a byte too many": (
        [(b"x-b", b"b"), (b"x-a", b"a" * (RESPONSE_BYTES - 6))],
        "headers of more than 65536 bytes",
    ),
    "bytes in names": ([(b"x" * 40_000, b"a" * 30_000)], "headers of more than 65536 bytes"),
    "empty name": ([(b"", b"1")], "not a token"),
    "space in a name": ([(b"x a", b"1")], "not a token"),
    "obs-text in a name": ([(b"x\xe9", b"1")], "not a token"),
    "NUL": ([(b"x-a", b"a\x00")], "control character"),
    "line feed": ([(b"x-a", b"a\nb")], "control character"),
    "carriage return": ([(b"x-a", b"a\rb")], "control character"),
    "vertical tab": ([(b"x-a", b"\x0b")], "control character"),
    "DEL": ([(b"x-a", b"\x7f")], "control character"),
    "length and coding": ([LENGTH, CHUNKED], "both Content-Length and Transfer-Encoding"),
    "two codings": ([CHUNKED, CHUNKED], "other than one chunked"),
    "another coding": ([(b"transfer-encoding", b"gzip, chunked")], "other than one chunked"),
    "two lengths": ([LENGTH, (b"content-length", b"3")], "more than one Content-Length"),
    "two spellings of one": ([LENGTH, (b"content-length", b"02")], "more than one Content-Length"),
    "a list": ([(b"content-length", b"2, 2")], "not a number"),
    "an empty length": ([(b"content-length", b"")], "not a number"),
    "a sign": ([(b"content-length", b"+2")], "not a number"),
    "twenty digits": ([(b"content-length", b"0" * 19 + b"2")], "not a number"),
}


@pytest.mark.parametrize("case", RELAYED)
def test_clean_heads_are_relayed(case: str) -> None:
    """What is within the limits and framed once has no problem."""
    assert response_problem(RELAYED[case]) is None


@pytest.mark.parametrize("case", REFUSED)
def test_other_heads_are_refused(case: str) -> None:
    """What is over a limit, no header, or framed twice is refused, and the reason is told."""
    headers, reason = REFUSED[case]
    assert reason in (response_problem(headers) or "")


@pytest.mark.parametrize("case", [*RELAYED, *REFUSED])
def test_only_limits_leave_the_end_certain(case: str) -> None:
    """A head that is too large may still be framed once; one refused for another reason is in doubt."""
    headers, reason = REFUSED.get(case) or (RELAYED[case], None)
    certain = reason is None or reason.startswith(("more than 100", "headers of more than"))
    assert (response_problem(headers, limited=False) is None) == certain
