"""A request's first line: what it says, and that it says the same when it comes again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.request_line import UNREAD, RequestLine, read_line


def test_what_a_line_says() -> None:
    """Method, target and version as they stand; the path is decoded, as ASGI wants it, the raw one is not."""
    assert read_line(b"GET /a%20b?c=%20&d=?e HTTP/1.0") == RequestLine(
        "GET", b"/a%20b?c=%20&d=?e", "1.0", b"/a%20b", b"c=%20&d=?e", "/a b", in_origin_form=True
    )


@pytest.mark.parametrize(
    ("target", "one_reading"),
    [("/", True), ("/?//", True), ("//host/a", False), ("*", False), ("http://host/", False), ("?a", False)],
)
def test_origin_form(target: str, one_reading: bool) -> None:
    """A path that begins with two slashes could be read as an authority, which CONNECT asks for."""
    assert read_line(f"GET {target} HTTP/1.1".encode()).in_origin_form is one_reading
    assert not read_line(f"CONNECT {target} HTTP/1.1".encode()).in_origin_form


def test_before_a_line() -> None:
    """Nothing is known, and nothing is to be forwarded."""
    assert (UNREAD.method, UNREAD.target, UNREAD.in_origin_form) == ("_OTHER", b"", False)


@given(st.from_regex(rb"[A-Z]{1,3} ?/[a-z%2?]{0,300} HTTP/[12]\.[0-3]", fullmatch=True))
def test_a_line_that_comes_again_says_the_same(line: bytes) -> None:
    """Short or long, read or refused: as if it had not come before."""
    said = []
    for _ in range(2):
        try:
            said.append(str(read_line(line)))
        except failures.RequestInvalid as refusal:
            said.append(refusal.message)
    assert said[0] == said[1]
