"""The rules of Grafana's dashboard-linter, by their names there; here they hold for every kind of panel.

What is excluded stands in `grafana/dashboards/.lint`, where the linter itself looks for it.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import promql_parser as promql
import pytest
import yaml

from tests.support import dashboards
from tests.support.dashboards import FILES, FOLDER, Panel, panels
from tests.support.promql import without_variables

ALL = [dashboards.load(path) for path in FILES]
each = pytest.mark.parametrize("dashboard", ALL, ids=[path.stem for path in FILES])

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"short", "percentunit", "bytes", "s", "dateTimeFromNow", "reqps"}
"""Of the linter's list, those that are in use."""
VALUES = {"job": "JOB", "instance": "INSTANCE", "__rate_interval": "1m15s", "__range": "6h"}
STEP, RANGE = timedelta(minutes=1, seconds=15), timedelta(hours=6)
FUNCTION = re.compile(r"\b(\w+)\(")
COUNTER = re.compile(r"_(total|count|sum|bucket)$")


def _targets(dashboard: dict[str, Any]) -> Iterator[tuple[Panel, str]]:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel, target["expr"]


def _parsed(expression: str) -> Any:
    return promql.parse(without_variables(expression, VALUES))


def _variable(dashboard: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [each for each in dashboard["templating"]["list"] if each["name"] == name]
    return dict(found)


def _selectors(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every vector selector with what surrounds it, the outermost first."""
    here = (*above, node)
    match node:
        case promql.VectorSelector():
            yield node, above
        case promql.MatrixSelector():
            yield node.vector_selector, here
        case promql.BinaryExpr():
            yield from _selectors(node.lhs, here)
            yield from _selectors(node.rhs, here)
        case promql.Call():
            for argument in node.args:
                yield from _selectors(argument, here)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from _selectors(node.expr, here)


def _functions(above: tuple[Any, ...]) -> list[str]:
    return [node.func.name for node in above if isinstance(node, promql.Call)]


@each
def test_template_datasource_rule(dashboard: dict[str, Any]) -> None:
    """The data source is a variable, first of all variables, so that the dashboard works anywhere."""
    source = _variable(dashboard, "datasource")
    assert dashboard["templating"]["list"][0] == source
    assert (source["type"], source["query"], source["label"]) == ("datasource", "prometheus", "Data source")


@each
@pytest.mark.parametrize("name", ["job", "instance"])
def test_template_job_and_instance_rules(dashboard: dict[str, Any], name: str) -> None:
    """Scrape job and instance can be chosen, several or all of them."""
    variable = _variable(dashboard, name)
    assert (variable["type"], variable["label"]) == ("query", name.title())
    assert variable["datasource"] == SOURCE
    assert variable["multi"]
    assert variable["includeAll"]
    assert variable["allValue"] == ".+"
    assert variable["current"]["value"] == ["$__all"]


@each
def test_template_on_time_change_reload_rule(dashboard: dict[str, Any]) -> None:
    """What can be chosen is what there was in the time range."""
    refreshed = [each["refresh"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    assert refreshed == [2, 2]


@each
def test_template_label_promql_rule(dashboard: dict[str, Any]) -> None:
    """The variables ask for values of their own label, of a series selected by valid PromQL."""
    for name in ("job", "instance"):
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", _variable(dashboard, name)["query"])
        assert match is not None
        assert match[2] == name
        assert isinstance(_parsed(match[1]), promql.VectorSelector)


@each
def test_panel_datasource_rule(dashboard: dict[str, Any]) -> None:
    """Each panel and each query uses the data source of the variable."""
    for panel in panels(dashboard):
        assert panel["datasource"] == SOURCE, panel["title"]
        assert all(target["datasource"] == SOURCE for target in panel["targets"]), panel["title"]


@each
def test_panel_title_description_rule(dashboard: dict[str, Any]) -> None:
    """Each panel says what it shows."""
    for panel in panels(dashboard):
        assert panel["title"].strip()
        assert len(panel["description"].split()) >= 5, panel["title"]
        assert panel["description"].endswith("."), panel["title"]


@each
def test_panel_units_rule(dashboard: dict[str, Any]) -> None:
    """Each panel has a unit that Grafana knows, its columns too."""
    for panel in panels(dashboard):
        fields = panel["fieldConfig"]
        properties = [found for override in fields["overrides"] for found in override["properties"]]
        units = {fields["defaults"]["unit"], *(each["value"] for each in properties if each["id"] == "unit")}
        assert units <= UNITS, panel["title"]


@each
def test_panel_no_targets_rule(dashboard: dict[str, Any]) -> None:
    """Each panel asks something, each query under a name of its own."""
    for panel in panels(dashboard):
        names = [target["refId"] for target in panel["targets"]]
        assert names, panel["title"]
        assert len(set(names)) == len(names), panel["title"]


@each
def test_target_promql_rule(dashboard: dict[str, Any]) -> None:
    """Each query is PromQL, with variables that there are."""
    there = {each["name"] for each in dashboard["templating"]["list"]}
    for panel, expression in _targets(dashboard):
        _parsed(expression)
        used = set(re.findall(r"\$\{?(\w+)", expression))
        assert used <= there | {"__rate_interval", "__range", "__range_s"}, panel["title"]


@each
def test_target_job_and_instance_rules(dashboard: dict[str, Any]) -> None:
    """Each selector of each query, of the annotation's too, keeps to the chosen jobs and instances."""
    asked = [(panel["title"], expression) for panel, expression in _targets(dashboard)]
    asked += [(each["name"], each["expr"]) for each in dashboard["annotations"]["list"]]
    for title, expression in asked:
        for selector, _ in _selectors(_parsed(expression)):
            chosen = {each.name: (str(each.op), each.value) for each in selector.matchers.matchers}
            assert chosen["job"] == (str(promql.MatchOp.Re), "JOB"), title
            assert chosen["instance"] == (str(promql.MatchOp.Re), "INSTANCE"), title


@each
def test_target_rate_interval_rule(dashboard: dict[str, Any]) -> None:
    """A window is `$__rate_interval` over time and the whole range for a total, never a fixed one."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            windows = {
                window
                for selector, above in _selectors(_parsed(target["expr"]))
                for window in (*(each.range for each in above if hasattr(each, "range")), selector.offset)
                if window
            }
            assert windows <= {RANGE if target["instant"] and "$__range" in target["expr"] else STEP}
            assert not {"rate", "irate"} & set(FUNCTION.findall(target["expr"])) or windows == {STEP}


def _raw_counters(dashboard: dict[str, Any]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Counters that stand without `rate`, `irate` or `increase` right around them."""
    for panel, expression in _targets(dashboard):
        for selector, above in _selectors(_parsed(expression)):
            if COUNTER.search(selector.name) and not {"rate", "increase"} & set(_functions(above)[-1:]):
                yield panel["title"], selector, above


def test_target_counter_agg_rule() -> None:
    """A counter is read through `rate` or `increase`, except in panels that are excluded with a reason."""
    configured = yaml.safe_load((FOLDER / "dashboards" / ".lint").read_text())
    rule = configured["exclusions"]["target-counter-agg-rule"]
    excluded = {(entry["dashboard"], entry["panel"]) for entry in rule["entries"]}
    assert rule["reason"]
    assert excluded == {
        (dashboard["title"], title)
        for dashboard in ALL
        for title, selector, _ in _raw_counters(dashboard)
        if selector.name.endswith("_total")
    }


@each
def test_raw_counters_only_tell_whether_a_series_is_new(dashboard: dict[str, Any]) -> None:
    """A counter that is read as it is stands in `min_over_time(x) unless x offset …`, its first value."""
    for title, _, above in _raw_counters(dashboard):
        assert any("unless" in str(node.op) for node in above if isinstance(node, promql.BinaryExpr)), title


@each
def test_target_histogram_rule(dashboard: dict[str, Any]) -> None:
    """Buckets are read by `histogram_quantile`, or drawn as a heat map of all of them."""
    for panel, expression in _targets(dashboard):
        for selector, above in _selectors(_parsed(expression)):
            if selector.name.endswith("_bucket"):
                drawn = panel["type"] == "heatmap" and panel["targets"][0]["format"] == "heatmap"
                assert drawn or "histogram_quantile" in _functions(above), panel["title"]


@each
def test_uneditable_dashboard_rule(dashboard: dict[str, Any]) -> None:
    """A dashboard that code makes is not edited in Grafana."""
    assert dashboard["editable"] is False


@each
def test_no_recording_rule_is_needed(dashboard: dict[str, Any]) -> None:
    """A dashboard works with a Prometheus that has none of the project's rules."""
    for panel, expression in _targets(dashboard):
        assert ":" not in "".join(selector.name for selector, _ in _selectors(_parsed(expression))), panel[
            "title"
        ]
