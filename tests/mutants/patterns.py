"""Mutants of a regular expression: each loses, gains or moves one thing, and accepts another language.

A grammar that is a little too wide is what request smuggling is made of, so the ends of every range, every
bound of a repetition and every alternative are tried.
"""

import re
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<klass>\[\^?\]?(?:\\.|[^\]\\])*\])
    |(?P<open>\((?:\?(?:[:=!]|<[=!]|P<\w+>|i:))?)
    |(?P<shut>\))
    |(?P<bar>\|)
    |(?P<times>[*+?]|\{[0-9]+(?:,[0-9]*)?\})(?P<mode>[+?]?)
    |(?P<literal>\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.)""",
    re.VERBOSE | re.DOTALL,
)
_MEMBER = re.compile(
    r"(\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.)(?:-(\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|[^\\]))?", re.DOTALL
)
_TRIED = [chr(code) for code in (*range(256), *range(0x2000, 0x2100), 0xFEFF)]


class Change(NamedTuple):
    """One mutant of a pattern."""

    pattern: str
    told: str


def changes(pattern: str) -> Iterator[Change]:
    """Every mutant that compiles, at most once each; of a piece of a pattern, those that keep its groups."""
    seen = {pattern}
    whole = _compiles(pattern)
    for change in _all_changes(pattern):
        if change.pattern not in seen and (_compiles(change.pattern) or not whole):
            seen.add(change.pattern)
            yield change


def _compiles(pattern: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, Warning):
        return False
    return True


def _all_changes(pattern: str) -> Iterator[Change]:
    tokens = list(_TOKEN.finditer(pattern))
    for token in tokens:
        old = token[0]
        for new in _instead(token):
            changed = pattern[: token.start()] + new + pattern[token.end() :]
            yield Change(changed, _shown(f"{old} -> {new or 'nothing'} at {token.start()}"))
    for start, end in _branches(tokens, len(pattern)) if _compiles(pattern) else ():
        yield Change(pattern[:start] + pattern[end:], _shown(f"without {pattern[start:end]} at {start}"))


def _shown(text: str) -> str:
    """Characters that do not print as escapes, so that the list of survivors can hold them."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _instead(token: re.Match[str]) -> Iterator[str]:
    if token["klass"]:
        yield from _classes(token["klass"])
    elif token["times"]:
        yield from (other + token["mode"] for other in _repetitions(token["times"]))
        yield ""
    elif token["literal"] and token["literal"] != "^":
        yield ""


def _repetitions(times: str) -> Iterator[str]:
    if times in "*+?":
        yield {"*": "+", "+": "*", "?": "*"}[times]
        return
    low, comma, high = times.strip("{}").partition(",")
    for moved in (int(low) - 1, int(low) + 1):
        if moved >= 0:
            yield f"{{{moved}{comma}{high}}}"
    if high:
        yield from (f"{{{low},{int(high) + step}}}" for step in (-1, 1))


def _classes(klass: str) -> Iterator[str]:
    """The class without one member, or with one end of a range moved."""
    head = 2 if klass.startswith("[^") else 1
    inside = klass[head:-1]
    before = _accepted(klass)
    for member in _MEMBER.finditer(inside):
        for new in _members(member):
            changed = klass[:head] + inside[: member.start()] + new + inside[member.end() :] + "]"
            if len(changed) > head + 1 and _compiles(changed) and _accepted(changed) != before:
                yield changed


def _members(member: re.Match[str]) -> Iterator[str]:
    yield ""
    low, high = member[1], member[2]
    if high is None:
        return
    ends = [_code(low), _code(high)]
    for which, step in ((0, -1), (0, 1), (1, -1), (1, 1)):
        moved = [*ends]
        moved[which] += step
        if 0 <= moved[0] <= moved[1]:
            yield "-".join(map(_written, moved))


def _code(text: str) -> int:
    if text.startswith(("\\x", "\\u")):
        return int(text.lstrip("\\xu"), base=16)
    return ord(text[-1])


def _written(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _accepted(klass: str) -> list[bool]:
    pattern = re.compile(klass)
    return [pattern.fullmatch(char) is not None for char in _TRIED]


def _branches(tokens: list[re.Match[str]], length: int) -> Iterator[tuple[int, int]]:
    """Where each alternative stands, with one bar; and each group that looks around."""
    open_at: list[tuple[str, list[int], int]] = [("", [0], 0)]
    for token in tokens:
        if token["open"]:
            open_at.append((token[0], [token.end()], token.start()))
        elif token["bar"]:
            open_at[-1][1].append(token.end())
        elif token["shut"]:
            kind, starts, start = open_at.pop()
            yield from _cuts(starts, token.start())
            if kind in {"(?=", "(?!", "(?<=", "(?<!"}:
                yield start, token.end()
    yield from _cuts(open_at[0][1], length)


def _cuts(starts: list[int], end: int) -> Iterator[tuple[int, int]]:
    if len(starts) > 1:
        yield from pairwise(starts)
        yield starts[-1] - 1, end
