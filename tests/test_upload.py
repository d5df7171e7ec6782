"""A body that streams: its pieces in order, and what went wrong with it."""

import pytest

from gateway import failures
from gateway.upload import Upload


class App:
    """Sends pieces, and then what breaks off, if anything does."""

    def __init__(self, *pieces: bytes, broken: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._broken = broken
        self.failure: BaseException | None = None
        self.body_finished = False

    async def next_piece(self) -> bytes:
        """The next one."""
        if not self._pieces and self._broken is not None:
            raise self._broken
        piece = self._pieces.pop(0)
        self.body_finished = not self._pieces and self._broken is None
        return piece


async def test_pieces_in_order() -> None:
    """First what was read before, then what comes; empty pieces are none, and the end is told."""
    body = Upload(App(b"b", b"", b"c"), b"a")
    assert body.untouched
    assert [piece async for piece in body] == [b"a", b"b", b"c"]
    assert (body.untouched, body.finished.is_set()) == (False, True)


@pytest.mark.parametrize("failure", [failures.RequestTimeout("late"), failures.ClientLeft()])
async def test_what_broke_it_is_kept(failure: Exception) -> None:
    """An engine may tell it in its own words; the app is told this one."""
    app = App(b"a", broken=failure)
    body = Upload(app, b"")
    pieces = body.__aiter__()
    assert await anext(pieces) == b"a"
    with pytest.raises(type(failure)):
        await anext(pieces)
    assert (app.failure, body.finished.is_set()) == (failure, False)
