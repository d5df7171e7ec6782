"""The way to a response's head, which goes on where nobody waits for it any more.

`asyncio.shield` around each future would do the same, for another turn of the event loop and 170 of the
10,250 bytecodes of a request; a task of its own costs more still.
"""

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

Response = TypeVar("Response")


@types.coroutine
def going_on(steps: Coroutine[Any, Any, Response]) -> Generator[Any, Any, Response]:
    """Await a coroutine of Rust's; may be called again with it after whoever awaited it was cancelled.

    What is thrown in here ends here, and never reaches `steps`: a cancellation costs it only the future by
    which it was to be woken. Asked again, a future of Rust's says what it has, or gives another to wait for.
    """
    while True:
        try:
            waiting = steps.send(None)
        except StopIteration as done:
            response: Response = done.value
            return response
        yield waiting
