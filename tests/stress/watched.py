"""The gateway's process, which also tells how many tasks its event loop has.

    python -m tests.stress.watched

As `adt-gateway serve` without a file; each line on standard input is answered with the number.
"""

import asyncio
import os
import sys
import threading
from contextlib import closing

import uvloop

from gateway.access_log import configure_logging
from gateway.config import load
from gateway.serve import Stop, serve, settle


async def _count() -> int:
    return len(asyncio.all_tasks()) - 1


def _tell(loop: asyncio.AbstractEventLoop) -> None:
    for _ in sys.stdin:
        sys.stdout.write(f"{asyncio.run_coroutine_threadsafe(_count(), loop).result()}\n")
        sys.stdout.flush()


def main() -> None:
    """The command line above."""
    settings = load(None, os.environ)

    async def until_signal() -> None:
        loop = asyncio.get_running_loop()
        threading.Thread(target=_tell, args=(loop,), name="watch", daemon=True).start()
        stop = Stop()
        stop.on_signals()
        await serve(settings, os.environ, log, stop, started=lambda _: settle())

    with closing(configure_logging(settings.log, sys.stderr)) as log:
        uvloop.run(until_signal())


if __name__ == "__main__":
    main()
