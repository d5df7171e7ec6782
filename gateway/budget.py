"""How many bytes of a request may come before it gets anywhere.

The server's parser keeps an unfinished header line, chunk extension or trailer to itself, and has no limit;
so two things are counted: the finished parts of a head, and whatever came without finishing anything.
"""

from gateway import failures


class Budget:
    """The count of one connection; every method raises HeadersTooLarge over `limit` bytes."""

    __slots__ = ("_head", "_limit", "_moved", "_unfinished")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = 0
        self._unfinished = 0
        self._moved = False

    def begin(self) -> None:
        """A head begins."""
        self._head = 0
        self.move()

    def take(self, size: int) -> None:
        """A part of the head is complete: the target, or a header."""
        self._head += size
        self._check(self._head)

    def move(self) -> None:
        """The request got somewhere: its head is complete, or a piece of its body."""
        self._unfinished = 0
        self._moved = True

    def before(self) -> None:
        """A read is about to be parsed."""
        self._moved = False

    def after(self, size: int) -> None:
        """A read of `size` bytes was parsed."""
        if not self._moved:
            self._unfinished += size
            self._check(self._unfinished)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise failures.HeadersTooLarge(
                f"The request head is over {self._limit} bytes (limits.head_bytes)."
            )
