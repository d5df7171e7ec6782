"""Shared keys in files, which are renewed while the gateway serves."""

import asyncio
import logging
from pathlib import Path

import pytest

from gateway.callers import Callers, Keys
from gateway.config import Inbound
from gateway.config.followed import POLL
from tests.support.limits import no_file_to_open

FIRST, SECOND, THIRD = (f"{name}-key-of-an-app-0123456789" for name in ("first", "second", "the-third"))
"""Of different lengths: a clock that is coarse may give two writes one time."""


class Folder:
    """Key files by their owners' names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(orders=FIRST, billing=SECOND)
        self.keys = Keys({"admin": THIRD}, {name: folder / name for name in ("orders", "billing")})

    def write(self, **keys: str) -> None:
        for name, key in keys.items():
            (self.folder / name).write_text(key)

    async def settled(self) -> None:
        """Look until what was written counts: it has to keep still from one look to the next."""
        await self.keys.look()
        await self.keys.look()

    def owner(self, key: str) -> str | None:
        return self.keys.owner(key.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and owner of each line; no line has a key."""
    for record in caplog.records:
        assert not any(key in str(vars(record)) for key in (FIRST, SECOND, THIRD))
    return [
        (record.levelname, record.getMessage().split(":")[0].rpartition(".")[2]) for record in caplog.records
    ]


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.callers")


async def test_a_new_key(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """A changed file's key is the valid one, the key before is no more, others stay; one line says so."""
    folder.write(orders="new-" + FIRST + "\n")
    await folder.settled()
    assert [folder.owner(key) for key in ("new-" + FIRST, FIRST, SECOND, THIRD)] == [
        "orders",
        None,
        "billing",
        "admin",
    ]
    assert told(caplog) == [("INFO", "orders")]


async def test_what_has_not_changed_is_not_read(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """A look at the same files says nothing, and neither does a file written with the same key."""
    await folder.settled()
    folder.write(orders=FIRST + "\n")
    await folder.settled()
    assert folder.owner(FIRST) == "orders"
    assert told(caplog) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"short", "the key must be at least 16 characters long"),
        (b"two words of a key that is long", "the key must be printable ASCII without spaces"),
        (b"\xff" * 20, "the file is not UTF-8 text"),
        (b"k" * 70_000, "the file is larger than 65536 bytes"),
        (THIRD.encode(), "it is the key of another name"),
        (SECOND.encode(), "it is the key of another name"),
    ],
)
async def test_a_changed_file_that_cannot_be_used(
    folder: Folder, caplog: pytest.LogCaptureFixture, content: bytes, reason: str
) -> None:
    """The key before stays valid and the log says why; once the file is right its key is taken up."""
    (folder.folder / "orders").write_bytes(content)
    await folder.settled()
    assert (folder.owner(FIRST), folder.owner(SECOND)) == ("orders", "billing")
    assert told(caplog) == [("ERROR", "orders")]
    assert vars(caplog.records[0])["reason"] == reason
    folder.write(orders="new-" + FIRST)
    await folder.settled()
    assert (folder.owner("new-" + FIRST), folder.owner(FIRST)) == ("orders", None)


async def test_a_file_that_is_gone(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is gone keeps its key valid, is told once, and counts again when it is back."""
    (folder.folder / "orders").unlink()
    await folder.settled()
    await folder.settled()
    assert folder.owner(FIRST) == "orders"
    assert told(caplog) == [("ERROR", "orders")]
    assert vars(caplog.records[0])["reason"] == "the file cannot be read: No such file or directory"
    folder.write(orders="new-" + FIRST)
    await folder.settled()
    assert folder.owner("new-" + FIRST) == "orders"


async def test_a_file_that_is_half_written(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """While a key is being written no part of it opens the gateway, and the key before does."""
    new, half = "new-" + FIRST, ("new-" + FIRST)[:18]
    with (folder.folder / "orders").open("w") as file:
        for end in (half, new[18:]):
            file.write(end)
            file.flush()
            await folder.keys.look()
            assert [folder.owner(key) for key in (FIRST, half, new)] == ["orders", None, None]
    await folder.keys.look()
    assert [folder.owner(key) for key in (FIRST, half, new)] == [None, None, "orders"]
    assert told(caplog) == [("INFO", "orders")]


async def test_a_fault_that_passes(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """A file that could not be read for a moment is read again though it does not change, and told once."""
    for key in ("new-" + FIRST, "newer-" + FIRST):
        caplog.clear()
        folder.write(orders=key)
        with no_file_to_open():
            for _ in range(3):
                await folder.settled()
        assert told(caplog) == [("ERROR", "billing"), ("ERROR", "orders")]
        assert vars(caplog.records[0])["reason"] == "the file cannot be read: Too many open files"
        assert folder.owner(key) is None
        await folder.keys.look()
        assert folder.owner(key) == "orders"


async def test_two_owners_that_change_keys(folder: Folder) -> None:
    """Files may exchange their keys in one step."""
    folder.write(orders=SECOND, billing=FIRST)
    await folder.settled()
    assert (folder.owner(FIRST), folder.owner(SECOND)) == ("billing", "orders")


async def test_one_new_key_for_two_owners(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """The same new key in two files is refused for both, as it would be at start."""
    folder.write(orders="new-" + FIRST, billing="new-" + FIRST)
    await folder.settled()
    assert [folder.owner(key) for key in (FIRST, SECOND, "new-" + FIRST)] == ["orders", "billing", None]
    assert told(caplog) == [("ERROR", "billing"), ("ERROR", "orders")]


async def test_a_refused_key_leaves_no_other_owner_with_it(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a key goes back to the one before, whoever has taken that one meanwhile goes back, too."""
    folder.write(orders=SECOND, billing=THIRD)
    await folder.settled()
    assert [folder.owner(key) for key in (FIRST, SECOND, THIRD)] == ["orders", "billing", "admin"]
    assert told(caplog) == [("ERROR", "billing"), ("ERROR", "orders")]


async def test_files_are_looked_at_again_and_again(tmp_path: Path) -> None:
    """Every few seconds, until it is cancelled; where there are no files, it ends at once."""
    await Callers(Inbound(), bearer_keys=True).follow()
    folder = Folder(tmp_path)
    callers = Callers(Inbound(key_files={"orders": tmp_path / "orders"}), bearer_keys=True)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 5:
            raise asyncio.CancelledError
        if len(slept) in {1, 3}:
            folder.write(orders="new-" * len(slept) + FIRST)

    with pytest.raises(asyncio.CancelledError):
        await callers.follow(sleep)
    assert slept == [POLL] * 5
    assert callers.keys.owner(b"new-new-new-" + FIRST.encode()) == "orders"
