"""The head of a response as it comes from the wire: what is judged, in whatever pieces it comes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.headers import RESPONSE_BYTES, RESPONSE_LINES
from gateway.upstream.response_head import BadHead, JudgedHead, ResponseHead, whole_head

OK = b"HTTP/1.1 200 OK\r\n"
GOOD = (
    OK + b"\r\n",
    OK + b"Content-Length: 2\r\nX-A:\t 1 \r\n\r\n",
    b"HTTP/1.0 204\n\n",
    b"HTTP/1.1 599 \xff\t!\r\nX-B: \xc3\xa9\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + OK + b"\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
)
BAD = (
    b"\r\n" + OK + b"\r\n",
    b"HTTP/1.2 200 OK\r\n\r\n",
    b"HTTP/1.1 600 Odd\r\n\r\n",
    b"HTTP/1.1 099 Odd\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n",
    b"HTTP/1.1 200 O\x01K\r\n\r\n",
    OK + b"X-A\r\n\r\n",
    OK + b"X-A : 1\r\n\r\n",
    OK + b"X-A: 1\r\n folded: 2\r\n\r\n",
    OK + b"X-A: 1\r\r\n\r\n",
    OK + b"X-A: a\x00\r\n\r\n",
    OK + b": 1\r\n\r\n",
    OK + b"Content-Length: 2, 2\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\ngarbage\r\n\r\n",
    OK + b"X: 1\r\n" * (RESPONSE_LINES + 1) + b"\r\n",
    OK + b"X: " + b"a" * RESPONSE_BYTES,
    b"HTTP/1.1 100 Continue\r\n\r\n" * (RESPONSE_BYTES // 24),
)


def _fed(data: bytes, *cuts: int) -> ResponseHead:
    head = JudgedHead()
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        head.feed(data[start:end])
    return head


@given(st.sampled_from(GOOD), st.lists(st.integers(0, 100)))
def test_good_heads_pass_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    """A head is complete with its last byte, not before, however it is cut."""
    cuts = [cut for cut in cuts if cut < len(data)]
    assert _fed(data, *cuts).complete
    assert not _fed(data[:-1], *cuts).complete


@pytest.mark.parametrize("data", BAD, ids=lambda data: repr(data[:60]))
def test_bad_heads_are_refused(data: bytes) -> None:
    """What is no head of a response, or one over the limits, is refused, whole or byte by byte."""
    with pytest.raises(BadHead):
        _fed(data)
    with pytest.raises(BadHead):
        _fed(data, *range(min(len(data), 200)))


@pytest.mark.parametrize("data", [b"garbage", b"\x16\x03\x01", b"HTTQ", b"<html>"])
def test_what_begins_otherwise_is_refused_at_once(data: bytes) -> None:
    """Nothing waits for the end of a head that cannot become one."""
    with pytest.raises(BadHead):
        _fed(data)


def test_body_is_not_looked_at() -> None:
    """What follows the head is the parser's."""
    head = _fed(OK + b"\r\n")
    head.feed(b"\x00" * 2 * RESPONSE_BYTES)
    assert head.complete


@given(
    st.sampled_from(
        [*GOOD, *BAD, OK + b"Server: a\r\nDate: b\r\n\r\n", b"HTTP/1.1 202\r\n\r\n", OK + b"A: 1\n\r\n\r\n"]
    ),
    st.binary(max_size=40),
)
def test_a_whole_head_is_read_as_one_that_comes_in_pieces(data: bytes, rest: bytes) -> None:
    """The short way says the same as the long one, or leaves it to that."""
    head = ResponseHead()
    try:
        whole = whole_head(data + rest)
    except BadHead:
        with pytest.raises(BadHead):
            head.feed(data + rest)
        return
    if whole is not None:
        assert head.feed(data + rest) == whole[2]
        assert (head.status, head.headers, head.old) == (whole[0], whole[1], False)


def test_most_heads_are_read_the_short_way() -> None:
    """What ADT and its front answer with needs no second look."""
    assert whole_head(OK + b"Content-Length: 2\r\n\r\nok") == (200, [(b"content-length", b"2")], b"ok")
    assert whole_head(b"HTTP/1.1 429 Too Many Requests\r\n\r\n") == (429, [], b"")
