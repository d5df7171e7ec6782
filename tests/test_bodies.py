"""Bounded reading of bodies: all of it, or what was read and the rest to follow; nothing lost or twice."""

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bodies import Body, Copied, decoded, read_up_to

CAP = 1_000
PLAIN_GZIP = gzip.compress(b"plain", mtime=0)
PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=12)


class Source:
    """A body in given pieces, that counts how often it was read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = list(pieces)
        self.reads = 0

    async def read(self) -> bytes | None:
        """The next piece; None at the end."""
        self.reads += 1
        return self._pieces.pop(0) if self._pieces else None


async def _pieces(body: Body) -> list[bytes]:
    pieces = []
    while (piece := await body.read()) is not None:
        pieces.append(piece)
    return pieces


async def _collected(body: Body) -> bytes:
    return b"".join(await _pieces(body))


@given(PIECES, st.integers(0, 200))
async def test_reading_loses_and_repeats_nothing(pieces: list[bytes], cap: int) -> None:
    """Whatever the cap, the pieces of the body are its bytes, and it is whole exactly within the cap."""
    data = b"".join(pieces)
    body = await read_up_to(Source(pieces), cap)
    assert body.whole == (data if len(data) <= cap else None)
    assert await _collected(body) == data


async def test_reading_stops_beyond_the_cap() -> None:
    """No more is read than shows that the body is too large; the rest follows when it is asked for."""
    source = Source([b"x" * 10] * 100)
    body = await read_up_to(source, 25)
    assert (len(body.start), source.reads) == (30, 3)
    assert body.whole is None
    assert len(await _collected(body)) == 1_000


async def test_body_of_exactly_the_cap_is_whole() -> None:
    """The cap is the largest size that is read."""
    assert (await read_up_to(Source([b"12345"]), 5)).whole == b"12345"
    assert (await read_up_to(Source([b"12345", b"6"]), 5)).whole is None


async def test_empty_body_has_no_pieces() -> None:
    """An empty body is whole and gives no piece, not an empty one."""
    body = await read_up_to(Source([]), CAP)
    assert body.whole == b""
    assert await _pieces(body) == []


async def test_failure_of_the_source_is_passed_on() -> None:
    """What breaks while the body is read, or while the rest follows, is raised there."""

    class Broken(Source):
        async def read(self) -> bytes | None:
            piece = await super().read()
            if piece is None:
                raise ConnectionError
            return piece

    with pytest.raises(ConnectionError):
        await read_up_to(Broken([b"x"]), CAP)
    body = await read_up_to(Broken([b"x" * 10]), 5)
    with pytest.raises(ConnectionError):
        await _collected(body)


@given(PIECES, st.integers(0, 200), st.booleans())
async def test_a_copy_is_given_with_the_last_piece(pieces: list[bytes], cap: int, announced: bool) -> None:
    """All that passed, or None where that is over the cap; the end is asked for where no length says it."""
    data, source, copies = b"".join(pieces), Source(pieces), list[bytes | None]()
    body = Copied(source, cap, len(data) if announced and data else None, copies.append)
    seen = b""
    while (piece := await body.read()) is not None:
        seen += piece
        assert len(copies) == (announced and seen == data)
        if copies:
            break
    assert (seen, copies) == (data, [data if len(data) <= cap else None])
    assert source.reads == len(pieces) + (not announced or not data)


async def test_outgrown_copy_holds_no_bytes() -> None:
    """Memory stays bounded: what outgrew the cap is let go."""
    piece = bytes(1_000_000)
    held = sys.getrefcount(piece)
    body = Copied(Source([piece, b"x"]), len(piece), None, print)
    await body.read()
    assert sys.getrefcount(piece) == held + 1
    await body.read()
    assert sys.getrefcount(piece) == held


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"plain", None),
        (b"plain", b""),
        (b"plain", b"identity"),
        (b"plain", b" Identity "),
        (PLAIN_GZIP, b"gzip"),
        (PLAIN_GZIP, b"x-gzip"),
        (PLAIN_GZIP, b"GZIP"),
        (zlib.compress(b"plain"), b"deflate"),
    ],
)
def test_known_codings_are_decoded(body: bytes, coding: bytes | None) -> None:
    """identity, gzip and deflate (zlib) give the plain body."""
    assert decoded(body, coding, CAP) == b"plain"


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"plain", b"br"),
        (b"plain", b"gzip, gzip"),
        (b"plain", b"\xff"),
        (b"plain", b"gzip"),
        (b"", b"gzip"),
        (PLAIN_GZIP[:-1], b"gzip"),
        (PLAIN_GZIP[:10], b"gzip"),
        (_raw_deflate(b"plain"), b"deflate"),
        (PLAIN_GZIP + b"junk", b"gzip"),
        (gzip.compress(b"pla", mtime=0) + gzip.compress(b"in", mtime=0), b"gzip"),
    ],
)
def test_what_is_not_understood_whole_is_not_decoded(body: bytes, coding: bytes) -> None:
    """Unknown, broken, cut or followed by more: None, never a part of the body."""
    assert decoded(body, coding, CAP) is None


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_bomb_is_not_decoded(coding: bytes) -> None:
    """A body larger than the cap when decoded is given up, in little memory; one of its size is decoded."""
    pack = gzip.compress if coding == b"gzip" else zlib.compress
    assert decoded(pack(b"x" * CAP), coding, CAP) == b"x" * CAP
    assert decoded(pack(b"x" * (CAP + 1)), coding, CAP) is None
    bomb = pack(b"\x00" * 50_000_000)
    tracemalloc.start()
    try:
        assert decoded(bomb, coding, CAP) is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(), st.one_of(st.none(), st.binary(max_size=8), st.sampled_from([b"gzip", b"deflate"])))
def test_any_body_is_judged(body: bytes, coding: bytes | None) -> None:
    """No bytes make decoding raise."""
    plain = decoded(body, coding, CAP)
    assert plain is None or len(plain) <= max(CAP, len(body))


async def test_a_whole_body_is_taken_once() -> None:
    """Taken or read, a body is given once; one with a rest cannot be taken."""
    taken, begun = Body(b"all"), Body(b"all")
    assert (taken.take(), taken.take(), await taken.read()) == (b"all", None, None)
    assert (await begun.read(), begun.take(), await begun.read()) == (b"all", None, None)
    partly = Body(b"some", Body(b"more"))
    assert (partly.take(), await partly.read(), await partly.read()) == (None, b"some", b"more")
