"""PromQL expressions: which metrics and labels they use, read by a real parser.

Give the expressions of a Grafana panel, whose variables PromQL does not know, to `without_variables` first.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import promql_parser as promql

TARGET_LABELS = frozenset({"job", "instance"})
"""What Prometheus puts on every series of a target."""

Use = tuple[str, Sequence[promql.Matcher], frozenset[str]]
"""A selector: its metric, its matchers, and the labels that what surrounds it groups by or joins on."""

_NUMBERS = re.compile(r"_(?:ms|s)$")
_VARIABLE = re.compile(
    r"\$\{(?P<braced>\w+)(?::\w+)?\}|\$(?P<plain>[A-Za-z_]\w*)|\[\[(?P<old>\w+)(?::\w+)?\]\]"
)
_CHOOSING = frozenset({"and", "unless"})
"""Operators whose right side only says which series of the left stay; it gives the result no labels."""
_DURATIONS = frozenset({"__rate_interval", "__interval", "__range"})


def without_variables(expression: str, values: Mapping[str, str] | None = None) -> str:
    """The expression with its Grafana variables filled in: `$name`, `${name}`, `${name:format}`, `[[name]]`.

    `values` comes first; else durations (`$__rate_interval`, `$__interval`, `$__range`) become `5m`, their
    `_s` and `_ms` forms `300`, and all other variables `x`. `$1` of `label_replace` stays.
    """

    def filled(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"] or match["old"]
        if values is not None and name in values:
            return values[name]
        if name in _DURATIONS:
            return "5m"
        return "300" if _NUMBERS.sub("", name) in _DURATIONS else "x"

    return _VARIABLE.sub(filled, expression)


def metrics_in(expression: str) -> set[str]:
    """Names of the metrics as they are written: `http_…_bucket`, `job:adt_…:rate5m`.

    Raises ValueError where it is not PromQL, or where a selector has no fixed name.
    """
    return {name for name, _, _ in _uses(promql.parse(expression), frozenset())}


def labels_by_metric(expression: str) -> dict[str, set[str]]:
    """By metric the labels that the expression expects on it: those it matches, groups by and joins on.

    `le` of a quantile is among them where it is named. Raises ValueError as `metrics_in`.
    """
    found: dict[str, set[str]] = {}
    for name, matchers, above in _uses(promql.parse(expression), frozenset()):
        found.setdefault(name, set()).update(above, (matcher.name for matcher in matchers))
    return found


def matchers_in(expression: str) -> Iterator[tuple[str, promql.Matcher]]:
    """Every matcher, with the metric that it stands at. Raises ValueError as `metrics_in`."""
    for name, matchers, _ in _uses(promql.parse(expression), frozenset()):
        for matcher in matchers:
            yield name, matcher


def values_in(expression: str) -> set[tuple[str, str, str]]:
    """Metric, label and value of each matcher `label="value"`. Raises ValueError as `metrics_in`."""
    return {
        (name, matcher.name, matcher.value)
        for name, matcher in matchers_in(expression)
        if matcher.op == promql.MatchOp.Equal
    }


def _uses(node: object, above: frozenset[str]) -> Iterator[Use]:
    match node:
        case promql.VectorSelector():
            yield _selected(node, above)
        case promql.MatrixSelector():
            yield _selected(node.vector_selector, above)
        case promql.AggregateExpr():
            named = frozenset(node.modifier.labels) if node.modifier else frozenset()
            yield from _uses(node.param, above)
            yield from _uses(node.expr, above | named)
        case promql.BinaryExpr():
            matching = node.modifier.matching if node.modifier else None
            named = frozenset(matching.labels) if matching else frozenset()
            chooses = str(node.op) in _CHOOSING
            yield from _uses(node.lhs, above | named)
            yield from _uses(node.rhs, named if chooses else above | named)
        case promql.Call():
            for argument in node.args:
                yield from _uses(argument, above)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _uses(node.expr, above)


def _selected(selector: promql.VectorSelector, above: frozenset[str]) -> Use:
    if selector.name is None:
        raise ValueError(f"a selector without a metric's name: {selector}")
    return selector.name, selector.matchers.matchers, above
