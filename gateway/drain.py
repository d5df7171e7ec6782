"""Whether the gateway still takes requests: it runs, drains (serves, but says goodbye), or closes."""

from gateway import failures


class Drain:
    """The one switch of the shutdown; it only ever moves forward."""

    def __init__(self) -> None:
        self.draining = False
        """Not ready any more; requests are still served, each with `Connection: close`."""
        self.closing = False
        """The listener is closed; what is in flight is finished, nothing new begins."""

    def begin(self) -> None:
        """Say not ready, and ask every client to connect anew."""
        self.draining = True

    def close(self) -> None:
        """Take nothing more."""
        self.draining = True
        self.closing = True

    def check(self) -> None:
        """Raise Draining for a request that came over a kept connection after the listener closed."""
        if self.closing:
            raise failures.Draining("The gateway is shutting down.", retry_after=1)
