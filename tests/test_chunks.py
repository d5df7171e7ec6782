"""A chunk's line: its size is read, and what it may say besides is bounded by the data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.chunks import SPARE, Chunks


@given(st.lists(st.integers(0, 2**60 - 1)))
def test_no_size_is_too_many_without_extensions(sizes: list[int]) -> None:
    """However small its chunks are, a body may have as many as it likes."""
    chunks = Chunks()
    assert [chunks.size(b"%x" % size) for size in sizes] == sizes


@pytest.mark.parametrize(
    "line",
    [b"", b"g", b"-1", b"+1", b"0x1", b"1 ", b" 1", b"1;", b"1;a=", b"1;=b", b"0" * 16, b"1\r", b"1;a b"],
)
def test_another_line_begins_no_chunk(line: bytes) -> None:
    """What is no size, or no extension, is refused."""
    with pytest.raises(failures.RequestInvalid, match="does not begin with its size"):
        Chunks().size(line)


@given(st.lists(st.tuples(st.integers(1, 3_000), st.integers(2, 3_000)), max_size=30))
def test_extensions_are_as_long_as_the_data_so_far_and_a_little_more(chunks: list[tuple[int, int]]) -> None:
    """The first that is too long is refused; the data behind it does not count."""
    body = Chunks()
    data = said = 0
    for size, extension in chunks:
        line = b"%x;" % size + b"a" * (extension - 1)
        said += extension
        if said > data + SPARE:
            with pytest.raises(failures.RequestInvalid, match="extensions"):
                body.size(line)
            return
        assert body.size(line) == size
        data += size


def test_not_one_byte_more() -> None:
    """The bound is exact."""
    body = Chunks()
    assert body.size(b"3;" + b"a" * (SPARE - 1)) == 3
    assert body.size(b"0;aa") == 0
    with pytest.raises(failures.RequestInvalid, match=f"over {SPARE} bytes longer than its data"):
        body.size(b"0;a")


def test_a_signature_for_each_chunk_is_no_reason() -> None:
    """A client that signs each 8 KiB of a long upload, with 85 bytes, may go on for ever."""
    body = Chunks()
    for _ in range(2_000):
        assert body.size(b"2000;chunk-signature=" + b"0" * 64) == 8_192
