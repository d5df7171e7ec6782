"""Alert and recording rules in which time passes faster.

Divided by the factor: `interval`, `for` and `keep_firing_for` of groups and rules, and in expressions ranges
`[5m]`, subqueries `[1h:5m]` and `offset 5m`. Numbers that are seconds but no durations to PromQL, such as a
threshold `> 600`, stay as they are; so do names, labels and annotations. A ratio of two rates, which most
alerts are, does not depend on the factor; a rate against a threshold would, and there is a difference to see
in `increase()`: in a window shorter by the factor, less happens.
"""

import re
from typing import Any

import yaml

_UNITS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
_TIMED = re.compile(
    rf"""
    (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` )
    | \[ \s* (?P<range>{_DURATION}) \s* (?: (?P<colon>:) \s* (?P<step>{_DURATION})? \s* )? \]
    | (?P<offset>\boffset\s+-?) (?P<by>{_DURATION})
    """,
    re.VERBOSE,
)
_KEYS = ("interval", "for", "keep_firing_for")


def lapsed(rule_text: str, factor: float) -> str:
    """A rule file with every duration divided by `factor`, to the millisecond and at least one."""
    told = yaml.safe_load(rule_text)
    for group in told["groups"]:
        _divide(group, factor)
        for rule in group["rules"]:
            _divide(rule, factor)
            rule["expr"] = lapsed_expression(str(rule["expr"]), factor)
    return str(yaml.safe_dump(told, sort_keys=False, width=10_000))


def lapsed_expression(expression: str, factor: float) -> str:
    """A PromQL expression with every duration divided by `factor`."""

    def replaced(found: re.Match[str]) -> str:
        if found["string"] is not None:
            return found[0]
        if found["by"] is not None:
            return found["offset"] + _divided(found["by"], factor)
        step = "" if found["step"] is None else _divided(found["step"], factor)
        return f"[{_divided(found['range'], factor)}{found['colon'] or ''}{step}]"

    return _TIMED.sub(replaced, expression)


def _divide(entry: dict[str, Any], factor: float) -> None:
    for key in _KEYS:
        if key in entry:
            entry[key] = _divided(str(entry[key]), factor)


def _divided(duration: str, factor: float) -> str:
    if duration == "0":
        return duration
    whole = sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(duration))
    return "0s" if whole == 0 else f"{max(round(whole / factor), 1)}ms"
