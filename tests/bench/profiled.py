"""The gateway's process under a profiler.

    python -m tests.bench.profiled STATS serve

SIGUSR1 starts cProfile on the main thread, which runs the event loop; its end writes STATS. Each line on
standard input is answered with the CPU seconds of every thread as JSON, profiled or not.
"""

import cProfile
import json
import signal
import sys
import threading
import time
from pathlib import Path

from gateway import cli


def _tell_threads() -> None:
    for _ in sys.stdin:
        used = {
            thread.name: time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
            for thread in threading.enumerate()
            if thread.ident is not None
        }
        used["threads of the engine"] = time.process_time() - sum(used.values())
        sys.stdout.write(json.dumps(used) + "\n")
        sys.stdout.flush()


def main() -> None:
    """The command line above."""
    stats = Path(sys.argv[1])
    sys.argv = ["adt-gateway", *sys.argv[2:]]
    profile = cProfile.Profile()
    signal.signal(signal.SIGUSR1, lambda *_: profile.enable())
    threading.Thread(target=_tell_threads, name="bench", daemon=True).start()
    try:
        cli.main()
    finally:
        profile.dump_stats(stats)


if __name__ == "__main__":
    main()
