"""A response's chunks: data comes out as it went in, however it is cut, and nothing is made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.chunked_body import BadChunk, ChunkedBody

PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
END = b"0\r\n\r\n"


def _chunked(pieces: list[bytes], end: bytes = END) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def _read(data: bytes, cuts: list[int]) -> tuple[ChunkedBody, bytes]:
    body, out, at = ChunkedBody(), b"", 0
    for cut in [*sorted(cuts), len(data)]:
        out += body.feed(data[at:cut])
        at = max(at, cut)
    return body, out


@given(PIECES, st.lists(st.integers(0, 300)))
def test_chunks_become_data_in_any_pieces(pieces: list[bytes], cuts: list[int]) -> None:
    """What was put into chunks comes out of them, and the end is seen with its last byte."""
    data = _chunked(pieces)
    cuts = [cut for cut in cuts if cut < len(data)]
    body, out = _read(data, cuts)
    assert (out, body.ended, body.surplus) == (b"".join(pieces), True, False)
    assert not _read(data[:-1], cuts)[0].ended


@given(PIECES, st.binary(min_size=1, max_size=20))
def test_what_follows_is_surplus(pieces: list[bytes], rest: bytes) -> None:
    """Bytes behind the end belong to nobody."""
    body, out = _read(_chunked(pieces) + rest, [])
    assert (out, body.ended, body.surplus) == (b"".join(pieces), True, True)


@pytest.mark.parametrize(
    "end", [b"0;a=b\r\n\r\n", b"000\r\n\r\n", b"0 \t\r\n\r\n", b"0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"]
)
def test_extensions_padding_and_trailers_are_dropped(end: bytes) -> None:
    """What some servers add is read over."""
    body, out = _read(b"2 ;x\r\nok\r\n" + end, [])
    assert (out, body.ended, body.surplus) == (b"ok", True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n", b"g\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b" 1\r\n", b"1\n", b"1 x\r\n", b"1\r\nok\r\n",
        b"1\r\no\n", b"1\r\noX\r\n", b"0" * 16 + b"\r\n", b"1;\x00\r\n", b"1" * 9_000, b"0\r\nX: 1\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    """A size that two readers could read in two ways, and a chunk that does not end where it says."""
    with pytest.raises(BadChunk):
        ChunkedBody().feed(data)


def test_a_second_byte_behind_a_chunk_is_refused_as_it_comes() -> None:
    """An end that cannot become one is not waited for."""
    body = ChunkedBody()
    assert body.feed(b"1\r\no") == b"o"
    with pytest.raises(BadChunk):
        body.feed(b"XY")


def test_any_number_of_small_chunks_is_read() -> None:
    """However small its chunks are, a body may have as many as it likes."""
    assert _read(_chunked([b"a"] * 100_000), [])[1] == b"a" * 100_000


@pytest.mark.parametrize(
    "data", [(b"1;" + b"x" * 1_000 + b"\r\na\r\n") * 100, b"0\r\n" + b"X: 1\r\n" * 20_000]
)
def test_extensions_and_trailers_have_an_end(data: bytes) -> None:
    """A body that is made of them is not read for ever."""
    with pytest.raises(BadChunk, match="longer than the data"):
        ChunkedBody().feed(data)
