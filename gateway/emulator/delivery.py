"""How an answer goes on the wire: at once, late, in small pieces, or cut off."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.emulator.exchange import Answer
from gateway.emulator.faults import Fault

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Cut = Callable[[bool], None]

NO_BODY: Final = (204, 304)


class Gone(Exception):
    """The client left, or the emulator stops; nothing more is to be sent."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One request's side of a connection; `cut` closes the connection, with a TCP reset where that is asked
    for.
    """

    receive: Receive
    send: Send
    cut: Cut
    closing: asyncio.Event

    @classmethod
    def of(cls, scope: Scope, receive: Receive, send: Send, closing: asyncio.Event) -> "Wire":
        """The wire of a request. Under a listener other than `server` a connection cannot be cut."""
        return cls(receive, send, scope.get("state", {}).get("cut", cannot_cut), closing)

    async def deliver(self, answer: Answer) -> None:
        """Send the whole answer."""
        await self._head(answer)
        await self.send({"type": "http.response.body", "body": self._body(answer)})

    async def spoil(self, answer: Answer, fault: Fault) -> None:
        """Send what the fault leaves of the answer. Raises Gone when the client leaves between pieces."""
        if not fault.sends_head:
            await self.close(reset=fault.cut == "reset")
            return
        await self._head(answer)
        limit = fault.cut if isinstance(fault.cut, int) else None
        body = self._body(answer)[:limit]
        size = fault.chunk_size if fault.chunk_delay else max(len(body), 1)
        for position in range(0, len(body), size):
            if position and fault.chunk_delay:
                await self.wait(fault.chunk_delay)
            await self.send(
                {"type": "http.response.body", "body": body[position : position + size], "more_body": True}
            )
        if limit is None:
            await self.send({"type": "http.response.body", "body": b""})
        else:
            await self.close(reset=False)

    async def wait(self, seconds: float) -> None:
        """Let time pass. Raises Gone when the client leaves or the emulator stops meanwhile."""
        ends = [asyncio.ensure_future(self._left()), asyncio.ensure_future(self.closing.wait())]
        try:
            done, _ = await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        if done:
            raise Gone

    async def close(self, *, reset: bool) -> None:
        """Close the connection and see it closed, so that the listener does not answer in our place."""
        self.cut(reset)
        await self._left()

    async def _left(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            continue

    async def _head(self, answer: Answer) -> None:
        names = {name.lower() for name, _ in answer.headers}
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        if answer.status not in NO_BODY and not names & {"content-length", "transfer-encoding"}:
            headers.append((b"Content-Length", str(len(answer.body)).encode()))
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})

    @staticmethod
    def _body(answer: Answer) -> bytes:
        return b"" if answer.status in NO_BODY else answer.body


def cannot_cut(_: bool) -> None:
    """Raises ConnectionAbortedError: there is no connection to close."""
    raise ConnectionAbortedError("this listener cannot close the connection")
