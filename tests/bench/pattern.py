"""The bytes of a large body: made as they are needed, each block another one, so that no loss goes unseen."""

import hashlib
from collections.abc import Iterator

BLOCK = 65_536
_FILL = hashlib.shake_256(b"adt-gateway").digest(BLOCK - 8)


def blocks(size: int) -> Iterator[bytes]:
    """`size` bytes in blocks of 64 KiB; each begins with its number."""
    for number in range(size // BLOCK):
        yield number.to_bytes(8) + _FILL
    if rest := size % BLOCK:
        yield _FILL[:rest]


def digest(size: int) -> str:
    """SHA-256 of the body, in hex."""
    whole = hashlib.sha256()
    for block in blocks(size):
        whole.update(block)
    return whole.hexdigest()
