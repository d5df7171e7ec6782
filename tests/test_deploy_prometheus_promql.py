"""What is read out of a PromQL expression."""

import pytest

from tests.support import promql


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ("time() - last_sync > 3", {"last_sync"}),
        ('sum by (a) (rate(x_count{b="1"}[5m])) / on (job) group_left (v) y', {"x_count", "y"}),
        ('absent(up{job="a"}) or -topk(3, w) unless z offset 5m', {"up", "w", "z"}),
        ("max_over_time(sum(job:x:rate5m)[1h:1m])", {"job:x:rate5m"}),
        ('label_replace(x, "a", "$1", "b", "(.*)")', {"x"}),
        ("vector(1)", set()),
    ],
)
def test_metrics_are_found_wherever_they_stand(expression: str, metrics: set[str]) -> None:
    """Every selector of an expression is seen."""
    assert promql.metrics_in(expression) == metrics


@pytest.mark.parametrize("expression", ["sum(", '{__name__="x"}', '{job="a"}'])
def test_what_cannot_be_read_is_an_error(expression: str) -> None:
    """Text that is not PromQL, and a selector without a name, pass for nothing."""
    with pytest.raises(ValueError, match=r"."):
        promql.metrics_in(expression)


def test_labels_come_from_matchers_groups_and_joins() -> None:
    """A metric must have the labels it is matched by, and those that are worked with around it."""
    expression = 'sum by (le, a) (rate(x_bucket{b!="", c=~"d|e"}[5m])) / on (job) y{f="g"}'
    assert promql.labels_by_metric(expression) == {
        "x_bucket": {"le", "a", "b", "c", "job"},
        "y": {"f", "job"},
    }
    assert promql.values_in(expression) == {("y", "f", "g")}


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("sum by (a) (x and on (b) y)", {"x": {"a", "b"}, "y": {"b"}}),
        ("sum by (a) (x unless y{c='d'})", {"x": {"a"}, "y": {"c"}}),
        ("sum by (a) (x or on (b) y)", {"x": {"a", "b"}, "y": {"a", "b"}}),
        ("sum by (a) (x and on (b) max by (c) (y unless z))", {"x": {"a", "b"}, "y": {"b", "c"}, "z": set()}),
    ],
)
def test_what_only_chooses_needs_only_what_it_is_matched_by(
    expression: str, labels: dict[str, set[str]]
) -> None:
    """The right side of `and` and `unless` gives the result no labels, so what is above asks none of it."""
    assert promql.labels_by_metric(expression) == labels


def test_variables_of_grafana_are_filled_in() -> None:
    """Durations become durations, their forms in seconds numbers, other variables names; `$1` stays."""
    text = 'rate(x{job=~"$job",i=~"${instance:regex}"}[$__rate_interval]) * $__range_s'
    filled = promql.without_variables(text, {"job": "gw"})
    assert filled == 'rate(x{job=~"gw",i=~"x"}[5m]) * 300'
    assert promql.without_variables('label_replace(y, "a", "$1", "b", "")').count("$1") == 1
