"""What is over is told once, in order, in the loop's next turn, whatever happens while it is told."""

import asyncio
import logging

import pytest

from gateway.afterwards import Afterwards, each


async def test_what_was_over_in_one_turn_is_told_at_once_and_in_order() -> None:
    """Nothing is told while it is added; one call has all of a turn, and the next turn has its own."""
    told: list[list[int]] = []
    over = Afterwards(told.append)
    over.add(1)
    over.add(2)
    assert told == []
    await asyncio.sleep(0)
    over.add(3)
    await asyncio.sleep(0)
    assert told == [[1, 2], [3]]


async def test_what_is_added_while_others_are_told_is_told_in_the_next_turn() -> None:
    """Telling may end something else: that is neither lost nor told twice."""
    told: list[list[int]] = []

    def tell(items: list[int]) -> None:
        told.append(items)
        if items == [1]:
            over.add(2)

    over = Afterwards(tell)
    over.add(1)
    for _ in range(3):
        await asyncio.sleep(0)
    assert told == [[1], [2]]


def test_a_bug_with_one_takes_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """Each that fails is logged with its reason, and those behind it are told all the same."""
    heard: list[float] = []
    with caplog.at_level(logging.ERROR, logger="gateway.afterwards"):
        each(lambda item: heard.append(1 / item), [1, 0, 2, 0, 4])
    assert heard == [1, 0.5, 0.25]
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
