"""What runs beside the two listeners."""

import asyncio
import logging

import pytest

from gateway.serve import _beside


async def test_what_fails_beside_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Something that was to run as long as the gateway, and fails, does not do so silently."""

    async def fail() -> None:
        raise RuntimeError("no more threads")

    async with _beside(fail()):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "no more threads"


async def test_it_has_ended_when_the_block_has() -> None:
    """Its last steps are done before what it uses is closed."""
    ended = False

    async def run() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended = True

    async with _beside(run()):
        await asyncio.sleep(0)
    assert ended
