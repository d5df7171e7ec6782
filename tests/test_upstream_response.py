"""A response whose head has arrived: its pieces as an engine gives them, and the slots it holds."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.upstream.response import PulledResponse, Response
from gateway.upstream.slots import Slots

LOST = failures.UpstreamConnectionLost


class Given(PulledResponse):
    """Gives pieces, each at once or after it was waited for; a ConnectionError breaks it."""

    broken = (ConnectionError,)

    def __init__(
        self, *pieces: tuple[bytes | Exception | None, bool], left: int | None = None, idle: float = 30
    ) -> None:
        self.status, self.headers, self.left, self.idle, self.held = 200, [], left, idle, ()
        self.closed = 0
        self._pieces = list(pieces)
        self._next = self._give

    async def _give(self) -> bytes | None:
        piece, waits = self._pieces.pop(0)
        if waits:
            await (asyncio.sleep(0) if self.idle > 1 else asyncio.Event().wait())
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def finish(self) -> None:
        self.closed += 1

    async def discard(self) -> None:
        raise NotImplementedError


async def all_of(response: Response) -> list[bytes]:
    pieces = []
    while (piece := await response.read()) is not None:
        pieces.append(piece)
    return pieces


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=4), st.booleans()), max_size=5), st.booleans())
def test_pieces_come_in_their_order_at_hand_or_not(given: list[tuple[bytes, bool]], announced: bool) -> None:
    """Up to the end, which is asked for only where no length was announced."""
    pieces = [piece for piece, _ in given]
    left, end = (sum(map(len, pieces)), []) if announced else (None, [(None, True)])
    assert asyncio.run(all_of(Given(*given, *end, left=left))) == pieces


async def test_what_is_at_hand_needs_no_wait() -> None:
    """It is there after the question; what is not is awaited, and goes on where it began."""
    response = Given((b"one", False), (b"two", True), left=6)
    assert response.is_at_hand()
    assert response.piece == b"one"
    assert not response.is_at_hand()
    assert await response.arrival() == b"two"
    assert response.is_at_hand()
    assert response.piece is None


@pytest.mark.parametrize("waits", [False, True])
async def test_a_body_that_breaks_off(waits: bool) -> None:
    """Whether it did before it was asked for or after: the connection was lost, with the engine's reason."""
    with pytest.raises(LOST) as lost:
        await Given((ConnectionResetError("reset"), waits)).read()
    assert isinstance(lost.value.__cause__, ConnectionResetError)


async def test_a_piece_that_does_not_come() -> None:
    """Each piece has its own time."""
    with pytest.raises(failures.UpstreamTimeout):
        await Given((b"late", True), idle=0.01).read()


async def test_its_slots_are_given_back_once() -> None:
    """Closed twice, it was held once."""
    slots = Slots(1, max_queued=0, wait=1)
    assert slots.take_free()
    response = Given()
    response.held = (slots,)
    for _ in range(2):
        await response.aclose()
    assert response.closed == 1
    assert slots.take_free()
    assert not slots.take_free()
