"""How many connections a listener holds: where there are too many, one that is idle makes room.

The newest gets in, so that whoever opens connections and leaves them cannot keep a probe out.
"""

from typing import Any

from gateway.config import Limits
from gateway.protocol import StrictProtocol


def bounded_protocol(limits: Limits, most: int) -> type[StrictProtocol]:
    """The strict protocol for a listener that holds at most `most` connections."""

    class Bounded(StrictProtocol):
        limits_ = limits

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > most:
                _least_wanted(self).transport.abort()

    return Bounded


def _least_wanted(newest: StrictProtocol) -> StrictProtocol:
    """One without a request under way, where there is one; never the newest."""
    held = (one for one in newest.connections if isinstance(one, StrictProtocol))
    others = [one for one in held if one is not newest]
    idle = (one for one in others if one.cycle is None or one.cycle.response_complete)
    return next(idle, others[0])
