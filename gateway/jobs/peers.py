"""What the other gateways of a fleet are to the jobs' room: one upstream limit, and things to tell.

A gateway without a fleet has no peers (None), and nothing changes for it. Who is behind the protocol keeps
three promises: nothing raises, nothing waits longer than a small budget, and while the others cannot be
reached (`away`) every answer is at once None, so that each gateway decides alone.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

__all__ = ["Hear", "Look", "Peers"]

Hear = Callable[[str, bytes, float], None]
"""Called with key, payload and age in seconds of what another gateway told."""


class Look(Protocol):
    """What the fleet knows of a read."""

    @property
    def answer(self) -> bytes | None:
        """A fresh answer, as it was published; None without one."""

    @property
    def age(self) -> float:
        """Seconds since `answer` was sent upstream, by the store's clock; 0.0 without one."""

    @property
    def leads(self) -> bool:
        """Whether this gateway is to fetch it: its lease has begun, or goes on."""


class Peers(Protocol):
    """The other gateways in front of the same instance. Used from the event loop's thread.

    Keys and names may hold what callers sent: they are hashed before they leave the process. Durations are
    seconds. What is not a coroutine only notes what to do, and returns at once.
    """

    @property
    def away(self) -> bool:
        """The others cannot be reached now: each gateway decides alone."""

    @property
    def expected_size(self) -> int:
        """How many gateways there should be: by it a local rate is divided while the others are away."""

    async def reserve(self) -> float | None:
        """Reserve the fleet's next turn: seconds from now until it, 0.0 for now; None while away.

        A turn that is reserved is used up, whether it is used or not. Any window of T seconds has at most
        `burst + T * rate` turns, whoever asks. Cancelled, the turn may or may not have been reserved.
        """

    def pause(self, seconds: float) -> None:
        """No turn for this time, for nobody; a longer pause is not shortened. Told as topic `pause`.

        The others hear key "" and the seconds as decimal text; the age is to be taken off.
        """

    async def look(self, key: str, lease: float) -> Look | None:
        """A fresh answer, else who fetches it: this gateway, where nobody else does; None while away.

        Who leads publishes or releases within `lease` seconds, or looks again to go on leading.
        """

    async def publish(self, key: str, answer: bytes, age: float, lasts: float) -> None:
        """Tell an answer that was sent upstream `age` seconds ago; the lead ends.

        It is kept for `lasts` seconds from now, 0 keeps nothing. Told as topic `read` with the key; the age
        heard counts from when it was sent upstream. An answer above the bound is not told, the lead ends.
        """

    def release(self, key: str) -> None:
        """Give a lead back without an answer. Told as topic `released` with the key, if it was ours."""

    def forget(self) -> None:
        """No answer that was sent upstream before now is given by `look` any more; leads before it are void.

        Told as topic `forget` with key "", to be taken as of `age` seconds ago.
        """

    async def hold(self, name: str, lease: float) -> bool | None:
        """Take or renew a lock for `lease` seconds: whether it is ours; None while away."""

    def drop(self, name: str) -> None:
        """Give a lock back, if it is ours."""

    async def claim(self, key: str) -> bool | None:
        """Once in the fleet's life: True for one process, False for all others; None while away.

        Asked again, the process that has won is told True again, so that a reply that was lost loses
        nothing.
        """

    async def load(self, space: str) -> Mapping[str, bytes] | None:
        """All entries of a space by key; None while away, and where they do not come within some seconds."""

    async def get(self, space: str, key: str) -> bytes | None:
        """The entry; None where there is none, and while away."""

    def put(self, space: str, key: str, value: bytes, lasts: float) -> None:
        """Keep an entry for `lasts` seconds: soon, in order for each key. Told with the space as topic.

        While away the last value of each key is kept back, up to a bound, and written on return.
        """

    async def settled(self) -> bool:
        """Wait, for no longer than the budget, until what was put is in the store: whether it is."""

    def tell(self, topic: str, key: str, payload: bytes) -> None:
        """Tell the other gateways something that is not kept."""

    def listen(self, topic: str, hear: Hear) -> None:
        """Call `hear` for what other gateways tell of the topic; it is not called for what this one told."""

    def on_return(self, call: Callable[[], None]) -> None:
        """Call each time the others can be reached again, or messages may have been lost, from now on.

        Told too when they can be reached for the first time, if that is still to come. The store may have
        lost all it had: put again what is known, look again for what is awaited.
        """
