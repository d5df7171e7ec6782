"""One process for each run of tests, with a mutant in place of a module.

Processes are forked from a server that has the libraries imported and nothing of the gateway, so each imports
gateway and tests afresh. The mutant exists in memory only.
"""

import importlib.machinery
import importlib.util
import json
import os
import resource
import sys
import threading
import time
import types
from collections.abc import Collection, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_MEMORY = 6 << 30
"""Bytes of address space: a mutant that never stops collecting must not take the machine with it."""
_ARGUMENTS = (
    "-x",
    "-q",
    "--assert=plain",
    "-pno:cacheprovider",
    "-pno:xdist",
    "--hypothesis-profile=mutants",
)


@dataclass(frozen=True)
class Mutant:
    """A module's source in place of the file's."""

    module: str
    path: Path
    source: str


def judge(mutant: Mutant, files: Sequence[str], chosen: Sequence[str]) -> None:
    """Run the chosen tests in their order until one fails; ends the process with pytest's exit code."""
    begin()
    sys.meta_path.insert(0, _Finder(mutant))
    os._exit(run_pytest(files, _Choice(chosen)))


def survey(files: Sequence[str], sources: Collection[str], out: Path) -> None:
    """Run all tests of the files as they are; which test runs which lines of `sources` is written as JSON."""
    begin()
    seen = _Survey(frozenset(sources))
    said = out.with_suffix(".txt")
    with seen.tracing():
        code = run_pytest(files, seen, said)
    out.write_text(json.dumps({"code": code, "tests": seen.tests, "said": said.read_text()}))
    os._exit(0)


def begin() -> None:
    os.setpgid(0, 0)
    # Whatever the environment says: the copy's modules are compiled once, and not for each mutant.
    sys.dont_write_bytecode = False
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    from hypothesis import HealthCheck, Phase, settings  # noqa: PLC0415 - imported already by the server

    settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow],
        report_multiple_bugs=False,
    )


def run_pytest(files: Sequence[str], plugin: object, said: Path = Path(os.devnull)) -> int:
    """The exit code of pytest; what it says goes to `said`."""
    with said.open("w") as output, redirect_stdout(output), redirect_stderr(output):
        return int(pytest.main([*_ARGUMENTS, *files], plugins=[plugin]))


class _Finder:
    """Finds the mutant where its module is asked for."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._mutant.module:
            return None
        loader = _Loader(self._mutant)
        return importlib.util.spec_from_file_location(name, self._mutant.path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(mutant.path))
        self._mutant = mutant

    def get_code(self, fullname: str) -> types.CodeType | None:  # noqa: ARG002 - one loader, one module
        code: types.CodeType = compile(self._mutant.source, self._mutant.path, "exec", dont_inherit=True)
        return code


class _Choice:
    """Leaves of a collection what is chosen, in that order."""

    def __init__(self, chosen: Sequence[str]) -> None:
        self._chosen = {test: place for place, test in enumerate(chosen)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._chosen),
            key=lambda item: self._chosen[item.nodeid],
        )


@dataclass
class _Survey:
    """Which test ran which lines, and for how long."""

    sources: frozenset[str]
    tests: dict[str, Any] = field(default_factory=dict)
    _lines: dict[str, set[int]] = field(default_factory=dict)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._note("")
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            self._note(item.nodeid, time.perf_counter() - began)

    def _note(self, test: str, took: float = 0.0) -> None:
        known = self.tests.setdefault(test, {"took": 0.0, "lines": {}})
        known["took"] += took
        for path, lines in self._lines.items():
            known["lines"][path] = sorted({*known["lines"].get(path, ()), *lines})
        self._lines = {}

    def tracing(self) -> "_Tracing":
        return _Tracing(self)

    def called(self, frame: types.FrameType, _event: str, _value: object) -> Any:
        if frame.f_code.co_filename not in self.sources or frame.f_code.co_name in {"<module>", "<lambda>"}:
            return None
        self._lines.setdefault(frame.f_code.co_filename, set())
        return self.stepped

    def stepped(self, frame: types.FrameType, _event: str, _value: object) -> Any:
        self._lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return self.stepped


@dataclass
class _Tracing:
    survey: _Survey

    def __enter__(self) -> None:
        threading.settrace(self.survey.called)
        sys.settrace(self.survey.called)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)
        self.survey._note("")
