"""Shares, the list of survivors, and what makes the command fail."""

import json
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.mutants.campaign import Fate
from tests.mutants.targets import SHARE, SURVIVORS

Reasons = Mapping[str, Mapping[str, str]]
"""By module and mutant, why it may live."""

_KILLED = frozenset({"killed", "timeout"})


def is_dead(fate: Fate) -> bool:
    """Whether the tests told the mutant from the module."""
    return fate.outcome in _KILLED


def reason_for(fate: Fate, listed: Reasons) -> str:
    """Why it may live; empty where nobody has said so."""
    return listed.get(fate.path, {}).get(fate.edit.name, "")


def reasons() -> Reasons:
    """The list of survivors as it stands."""
    listed: Reasons = tomllib.loads(SURVIVORS.read_text())
    return listed


def summary(target: str, fates: Sequence[Fate]) -> dict[str, object]:
    """What is printed and kept of one target."""
    counted = Counter(fate.outcome for fate in fates)
    dead = sum(map(is_dead, fates))
    return {
        "target": target,
        "mutants": len(fates),
        "killed": counted["killed"],
        "timeout": counted["timeout"],
        "survived": counted["survived"],
        "untested": counted["untested"],
        "share": round(dead / len(fates), 4) if fates else 1.0,
        "survivors": [
            {"module": fate.path, "mutant": fate.edit.name, "outcome": fate.outcome}
            for fate in fates
            if not is_dead(fate)
        ],
    }


def faults(target: str, fates: Sequence[Fate], listed: Reasons) -> list[str]:
    """What is wrong with a target: its share, a survivor without a reason, a reason without its mutant."""
    found = []
    alive = [fate for fate in fates if not is_dead(fate)]
    if fates and len(alive) > (1 - SHARE) * len(fates):
        found.append(f"{target}: less than {SHARE:.0%} of the mutants are killed")
    found += [
        f"{fate.path}: {fate.outcome}, and not in {SURVIVORS.name}: {fate.edit.name}"
        for fate in alive
        if not reason_for(fate, listed)
    ]
    for path in sorted({fate.path for fate in fates}):
        there = {fate.edit.name for fate in fates if fate.path == path}
        gone = [name for name in listed.get(path, {}) if name not in there]
        found += [f"{path}: {SURVIVORS.name} explains a mutant that does not exist: {name}" for name in gone]
    return found


def notes(fates: Sequence[Fate], listed: Reasons) -> list[str]:
    """Explained mutants that were killed after all: the reason may go."""
    return [
        f"{fate.path}: explained, but {fate.outcome}: {fate.edit.name}"
        for fate in fates
        if is_dead(fate) and reason_for(fate, listed)
    ]


def write(path: Path, summaries: Sequence[dict[str, object]]) -> None:
    """Keep the figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summaries, indent=1) + "\n")
