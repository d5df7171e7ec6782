"""Where a request's time goes: CPU by thread without a profiler, then cProfile of the loop's thread.

cProfile makes short Python functions look dearer than they are: read its shares, not its times.
"""

import json
import pstats
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import processes
from tests.bench.rig import JOB, Gateway, Rig

_MICRO = 1_000_000
_BUILT_IN = "~"
_SHOWN = 30
_CONNECTIONS = "32"
_CALLS, _OWN, _CUMULATIVE = 1, 2, 3
"""Places in a pstats record."""
Function = tuple[str, int, str]


def profile(rig: Rig, engine: str, seconds: float, console: Console) -> None:
    """Run load for `seconds` twice, and print both views."""
    with tempfile.TemporaryDirectory() as folder:
        stats = Path(folder) / "stats"
        program = ("-m", "tests.bench.profiled", str(stats), "serve")
        with rig.gateway(engine, program=program, pipes=True) as gateway:
            _load(rig, gateway.data, 1.0)
            before = _threads(gateway)
            plain = _load(rig, gateway.data, seconds)
            after = _threads(gateway)
            gateway.process.send_signal(signal.SIGUSR1)
            profiled = _load(rig, gateway.data, seconds)
        used = {name: value - before.get(name, 0.0) for name, value in after.items()}
        console.print(_by_thread(used, plain, engine))
        _show(pstats.Stats(str(stats)), profiled["requests"], console)


def _load(rig: Rig, port: int, seconds: float) -> dict[str, float]:
    arguments = ("-m", "tests.bench.load", str(port), _CONNECTIONS, str(seconds), JOB)
    printed = processes.output_of(*arguments, cores=rig.load_cores, within=seconds + 60)
    result: dict[str, float] = json.loads(printed)
    return result


def _threads(gateway: Gateway) -> dict[str, float]:
    stdin = gateway.process.stdin
    if stdin is None:
        raise ValueError("the gateway was started without pipes")
    stdin.write("\n")
    stdin.flush()
    told: dict[str, float] = json.loads(processes.first_line(gateway.process))
    return told


def _by_thread(used: dict[str, float], result: dict[str, float], engine: str) -> Table:
    rate = result["requests"] / result["seconds"]
    table = Table(
        "thread", "µs a request", "share", title=f"{engine}: CPU by thread at {rate:,.0f} requests/s"
    )
    whole = sum(used.values())
    for name, seconds in sorted(used.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{seconds / result['requests'] * _MICRO:.0f}", f"{seconds / whole:.1%}")
    return table


def _show(stats: pstats.Stats, requests: float, console: Console) -> None:
    functions: dict[Function, Any] = stats.stats  # type: ignore[attr-defined]  # typeshed leaves it out
    whole = sum(each[_OWN] for each in functions.values())
    parts = Table("part", "share", title="loop's thread, own time; C functions count for their caller")
    for part, seconds in _by_part(functions).most_common(_SHOWN):
        parts.add_row(part, f"{seconds / whole:.1%}")
    console.print(parts)
    ours = {function: each for function, each in functions.items() if "/gateway/" in function[0]}
    for title, chosen, column in (("own time", functions, _OWN), ("time with callees", ours, _CUMULATIVE)):
        table = Table(
            "function", "own", "with callees", "calls a request", title=f"loop's thread, by {title}"
        )
        for function, each in sorted(chosen.items(), key=lambda item: -item[1][column])[:_SHOWN]:
            shares = (f"{each[_OWN] / whole:.1%}", f"{each[_CUMULATIVE] / whole:.1%}")
            table.add_row(_name(function), *shares, f"{each[_CALLS] / requests:.2f}")
        console.print(table)


def _by_part(functions: dict[Function, Any]) -> Counter[str]:
    parts: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in functions.items():
        if function[0] != _BUILT_IN or not callers:
            parts[_part(function)] += own
            continue
        for caller, (_, _, seconds, _) in callers.items():
            parts[_part(caller)] += seconds
    return parts


def _part(function: Function) -> str:
    path = Path(function[0])
    if function[0] == _BUILT_IN:
        return "C functions"
    for root in (processes.ROOT, *map(Path, sys.path)):
        if path.is_relative_to(root) and ".venv" not in path.relative_to(root).parts:
            parts = path.relative_to(root).parts
            return "/".join(parts[:2]) if parts[0] in {"gateway", "opentelemetry"} else parts[0]
    return path.name


def _name(function: Function) -> str:
    path, line, name = function
    if path == _BUILT_IN:
        return name
    return f"{'/'.join(Path(path).parts[-2:])}:{line} {name}"
