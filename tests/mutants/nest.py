"""Many mutants of function bodies in one process: tests are collected once, and each mutant is a fork of it.

Only the code of functions is exchanged there. What an import computes cannot be, and neither can anything
that tests are collected by: such mutants have a process of their own (sandbox.py).
"""

import gc
import os
import select
import signal
import time
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import pytest

from tests.mutants.sandbox import Mutant, begin, run_pytest

TIMEOUT = -1
NOT_HERE = 77
"""Exit code of a mutant that cannot be exchanged, because its closure is another."""

Codes = dict[tuple[str, int], types.CodeType]
"""By qualified name, and the how manieth of that name."""


@dataclass(frozen=True)
class Job:
    """One mutant, the tests it meets in their order, and the seconds it has."""

    mutant: Mutant
    chosen: Sequence[str]
    limit: float


Asker = Connection
"""Who gives jobs, or None at the end, and is told their exit codes."""


def hatch(files: Sequence[str], asker: Asker) -> None:
    """Take jobs until there are no more; tell the exit code of each."""
    begin()
    os._exit(run_pytest(files, _Nest(asker)))


class _Nest:
    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        # The suite's own hook has frozen what was collected, and the collector does not tell what is frozen.
        gc.unfreeze()
        functions = [thing for thing in gc.get_objects() if isinstance(thing, types.FunctionType)]
        # What is there before a fork is left alone by the collector, so that memory stays shared.
        gc.freeze()
        while (job := self._asker.recv()) is not None:
            child = os.fork()
            if child == 0:
                os.setpgid(0, 0)
                os._exit(_run(session, [items[test] for test in job.chosen], job.mutant, functions))
            self._asker.send(_outcome(child, job.limit))
        return True


def _run(
    session: pytest.Session,
    items: Sequence[pytest.Item],
    mutant: Mutant,
    functions: Sequence[types.FunctionType],
) -> int:
    try:
        exchange(mutant, functions)
    except ValueError:
        return NOT_HERE
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def _outcome(child: int, limit: float) -> int:
    """The exit code; `TIMEOUT` where the time was over first."""
    until = time.monotonic() + limit
    ending = os.pidfd_open(child)
    try:
        over, _, _ = select.select([ending], [], [], max(0.0, until - time.monotonic()))
    finally:
        os.close(ending)
    if not over:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if over else TIMEOUT


def exchange(mutant: Mutant, functions: Sequence[types.FunctionType]) -> None:
    """Give those of the module the mutant's code; raises ValueError where that is impossible.

    So it is where no function has the code: decorators may have made another of it.
    """
    old = _codes(compile(mutant.path.read_text(), mutant.path, "exec", dont_inherit=True))
    new = _codes(compile(mutant.source, mutant.path, "exec", dont_inherit=True))
    others = [(code, new[name]) for name, code in old.items() if name in new and code != new[name]]
    exchanged = 0
    for function in functions:
        if function.__code__.co_filename == str(mutant.path):
            for code, other in others:
                if function.__code__ == code:
                    function.__code__ = other
                    exchanged += 1
                    break
    if not exchanged:
        raise ValueError("no function has the code that differs")


def _codes(module: types.CodeType) -> Codes:
    times: Counter[str] = Counter()
    found: Codes = {}
    for code in _functions(module):
        found[code.co_qualname, times[code.co_qualname]] = code
        times[code.co_qualname] += 1
    return found


def _functions(code: types.CodeType) -> Iterator[types.CodeType]:
    """Functions of a module and of its classes; those inside functions come along with them."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            if const.co_flags & 0x1:  # CO_OPTIMIZED: a function, not the body of a class
                yield const
            else:
                yield from _functions(const)
