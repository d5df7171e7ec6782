"""Which tests each mutant meets, and what became of it."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from tests.mutants.edit import Edit
from tests.mutants.nest import NOT_HERE, TIMEOUT, Job, hatch
from tests.mutants.sandbox import Mutant, judge, survey
from tests.mutants.statements import edits_of
from tests.mutants.targets import ROOT, sources_of, tests_of

Outcome = Literal["killed", "timeout", "survived", "untested"]

_LEFT_BEHIND = shutil.ignore_patterns(
    ".*", "__pycache__", "node_modules", "bench-results", "*.egg-info", "build", "dist"
)
_PASSED = 0
_NO_TESTS = 5
_PATIENCE = 10.0
"""Seconds that any mutant has."""
_TIMES = 5.0
"""And this many times as long as its tests take without it."""
_SURVEY = 600.0


class Broken(Exception):
    """The tests fail without any mutant, or the runner itself does."""


@dataclass(frozen=True)
class Fate:
    """What became of one mutant."""

    path: str
    edit: Edit
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class _Task:
    """A mutant, and the tests that are to kill it."""

    path: str
    edit: Edit
    job: Job

    def fate(self, code: int, seconds: float) -> Fate:
        """What the exit code means."""
        if code == _NO_TESTS:
            raise Broken(f"no test was found for {self.path}: {self.edit.name}")
        outcome: Outcome = "survived" if code == _PASSED else "timeout" if code == TIMEOUT else "killed"
        return Fate(self.path, self.edit, outcome, seconds)


@dataclass
class _Run:
    task: _Task
    process: Any
    began: float
    fates: Any = None
    """Where a nest tells; None for a process of one mutant."""


@contextmanager
def copied_tree() -> Iterator[Path]:
    """A copy of the work tree, which mutants run in; the tree itself is never touched."""
    with TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder, "tree")
        shutil.copytree(ROOT, copy, ignore=_LEFT_BEHIND)
        # The forked processes import from where this one does.
        before, sys.path[:] = (
            list(sys.path),
            [str(copy), *(path for path in sys.path if path not in {"", str(ROOT)})],
        )
        try:
            with chdir(copy):
                yield copy
        finally:
            sys.path[:] = before


class Campaign:
    """All mutants of some targets, in one copy of the tree."""

    def __init__(self, tree: Path, workers: int) -> None:
        self._tree = tree
        self._workers = workers
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.mutants.libraries"])

    def fates(self, target: str) -> Iterator[Fate]:
        """What became of each mutant of the target, as it becomes known."""
        files = tests_of(target)
        tests = self._survey(target, files)
        here: list[_Task] = []
        alone: list[_Task] = []
        for path, edit in self._edits(target):
            file = str(self._tree / path)
            imported = not edit.lines or not set(edit.lines).isdisjoint(tests[""]["lines"].get(file, ()))
            chosen = sorted(tests) if imported else _that_run(edit.lines, file, tests)
            chosen = sorted(filter(None, chosen), key=lambda test: tests[test]["took"])
            if chosen:
                limit = _PATIENCE + _TIMES * sum(tests[test]["took"] for test in chosen)
                (alone if imported else here).append(self._task(path, edit, chosen, limit))
            else:
                yield Fate(str(path), edit, "untested", 0.0)
        yield from self._in_nests(here, files, alone)
        yield from self._alone(alone, files)

    def _edits(self, target: str) -> Iterator[tuple[Path, Edit]]:
        for path in sources_of(target):
            for edit in edits_of((self._tree / path).read_text()):
                yield path, edit

    def _survey(self, target: str, files: Sequence[str]) -> dict[str, Any]:
        out = self._tree / f"{target}.json"
        sources = [str(self._tree / path) for path in sources_of(target)]
        process = self._context.Process(target=survey, args=(files, sources, out))
        process.start()
        process.join(_SURVEY)
        ended = process.exitcode == 0
        _end(process)
        if not ended:
            raise Broken(f"the tests of {target} did not come to an end without a mutant")
        seen: dict[str, Any] = json.loads(out.read_text())
        if seen["code"] != _PASSED:
            raise Broken(f"the tests of {target} fail without a mutant:\n{seen['said']}")
        tests: dict[str, Any] = seen["tests"]
        return tests

    def _task(self, path: Path, edit: Edit, chosen: Sequence[str], limit: float) -> _Task:
        file = self._tree / path
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        return _Task(str(path), edit, Job(Mutant(name, file, edit.applied(file.read_text())), chosen, limit))

    def _in_nests(self, tasks: Sequence[_Task], files: Sequence[str], alone: list[_Task]) -> Iterator[Fate]:
        """Mutants of function bodies; those that do not fit there are added to `alone`."""
        left = iter(tasks)
        nests: list[_Run] = []
        try:
            for task in islice(left, self._workers):
                jobs, fates = self._context.Pipe()
                process = self._context.Process(target=hatch, args=(files, fates))
                process.start()
                fates.close()
                jobs.send(task.job)
                nests.append(_Run(task, process, time.monotonic(), jobs))
            while nests:
                for run in [run for run in nests if run.fates in wait([run.fates for run in nests])]:
                    code, now = run.fates.recv(), time.monotonic()
                    if code == NOT_HERE:
                        alone.append(run.task)
                    else:
                        yield run.task.fate(code, now - run.began)
                    following = next(left, None)
                    run.fates.send(None if following is None else following.job)
                    if following is None:
                        nests.remove(run)
                        run.process.join()
                    else:
                        run.task, run.began = following, now
        finally:
            for run in nests:
                _end(run.process)

    def _alone(self, tasks: Sequence[_Task], files: Sequence[str]) -> Iterator[Fate]:
        under_way: list[_Run] = []
        try:
            for task in tasks:
                wanted = {test.partition("::")[0] for test in task.job.chosen}
                needed = [file for file in files if file in wanted]
                process = self._context.Process(target=judge, args=(task.job.mutant, needed, task.job.chosen))
                process.start()
                under_way.append(_Run(task, process, time.monotonic()))
                while len(under_way) >= self._workers:
                    yield from _ended(under_way)
            while under_way:
                yield from _ended(under_way)
        finally:
            for run in under_way:
                _end(run.process)


def _that_run(lines: range, file: str, tests: dict[str, Any]) -> list[str]:
    wanted = set(lines)
    return [test for test in tests if test and not wanted.isdisjoint(tests[test]["lines"].get(file, ()))]


def _ended(under_way: list[_Run]) -> Iterator[Fate]:
    """Wait until one of the runs is over, or has had its time."""
    next_limit = min(run.began + run.task.job.limit for run in under_way)
    over = wait([run.process.sentinel for run in under_way], max(0.0, next_limit - time.monotonic()))
    for run in list(under_way):
        took = time.monotonic() - run.began
        ended = run.process.sentinel in over
        if not ended and took < run.task.job.limit:
            continue
        if ended:
            run.process.join()
        code = run.process.exitcode if ended else TIMEOUT
        _end(run.process)
        under_way.remove(run)
        yield run.task.fate(code, took)


def _end(process: Any) -> None:
    """End the process and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    process.close()
