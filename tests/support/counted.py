"""The gateway's process, which counts what the thread of its event loop executes.

    python -m tests.support.counted serve

SIGUSR1 begins the count. Each line on standard input is answered with a JSON of the bytecodes that were
executed since, and of the calls of functions written in C. Unlike times, both are the same from run to run.
"""

import json
import signal
import sys
import threading
from types import FrameType
from typing import Any

from gateway import cli

COUNTS = {"bytecodes": 0, "calls": 0}


def _traced(frame: FrameType, event: str, _value: object) -> Any:
    if event == "opcode":
        COUNTS["bytecodes"] += 1
    else:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
    return _traced


def _profiled(_frame: FrameType, event: str, _value: object) -> None:
    if event == "c_call":
        COUNTS["calls"] += 1


def _begin(*_: object) -> None:
    sys.settrace(_traced)
    sys.setprofile(_profiled)


def _tell() -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(COUNTS) + "\n")
        sys.stdout.flush()


def main() -> None:
    """The command line above."""
    sys.argv = ["adt-gateway", *sys.argv[1:]]
    signal.signal(signal.SIGUSR1, _begin)
    threading.Thread(target=_tell, name="counts", daemon=True).start()
    cli.main()


if __name__ == "__main__":
    main()
