"""Dashboards and metrics: they show what is exported and nothing else, by labels and values that exist."""

import re
from typing import Any

import promql_parser as promql
import pytest

from gateway.metrics.labels import FLEET_RESULTS
from tests.support import dashboards, docs
from tests.support.dashboards import FILES, panels
from tests.support.exchanges import finished
from tests.support.exposition import Job, build, families
from tests.support.promql import TARGET_LABELS, metrics_in, without_variables

ALL = [dashboards.load(path) for path in FILES]
each = pytest.mark.parametrize("dashboard", ALL, ids=[path.stem for path in FILES])
TARGETS = [(panel, target) for dashboard in ALL for panel in panels(dashboard) for target in panel["targets"]]
ASKED = [without_variables(target["expr"]) for _, target in TARGETS]
ASKED += [without_variables(each["expr"]) for dashboard in ALL for each in dashboard["annotations"]["list"]]

TOLD = {
    row.names(0)[0]: (row.cells[1], frozenset(row.names(2)))
    for row in docs.rows(docs.README.read_text(), "metric")
}
"""The README's table, which another test holds against a running gateway: type and labels by name."""

OPEN = {"job", "instance", "http_response_status_code", "error_type"}
"""Labels whose values come from outside of the closed sets, or that only traffic brings."""


def _samples() -> dict[str, frozenset[str]]:
    """Every name that can be selected, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for name, (kind, labels) in TOLD.items():
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    for family in families(build()).values():
        if family.name.startswith("process_"):
            found |= {sample.name: frozenset() for sample in family.samples}
    return found


SAMPLES = _samples()


def _family(name: str) -> str:
    """The metric's name in the table."""
    return name if name in TOLD else re.sub(r"_(bucket|count|sum)$", "", name)


def test_only_exported_metrics_are_used() -> None:
    """No query asks for a metric that no gateway has."""
    assert {name for expression in ASKED for name in metrics_in(expression)} <= SAMPLES.keys()


def test_every_exported_metric_is_shown() -> None:
    """Each metric of the README's table is in a panel."""
    asked = [without_variables(target["expr"]) for _, target in TARGETS]
    assert {_family(name) for expression in asked for name in metrics_in(expression)} >= TOLD.keys()


def _labels_of(node: Any) -> frozenset[str]:
    """The labels that the series of a result have; AssertionError where one is used that is not there."""
    match node:
        case promql.VectorSelector():
            labels = SAMPLES[node.name or ""] | TARGET_LABELS
            assert {matcher.name for matcher in node.matchers.matchers} <= labels, node.name
            return labels
        case promql.MatrixSelector():
            return _labels_of(node.vector_selector)
        case promql.ParenExpr():
            return _labels_of(node.expr)
        case promql.AggregateExpr():
            by = frozenset(node.modifier.labels if node.modifier else ())
            assert by <= _labels_of(node.expr)
            return by
        case promql.BinaryExpr():
            return _labels_of_both(node)
        case promql.Call(func=function) if function.name != "time":
            literal = promql.NumberLiteral | promql.StringLiteral
            labels = _labels_of(next(each for each in node.args if not isinstance(each, literal)))
            return labels - {"le"} if function.name == "histogram_quantile" else labels
    return frozenset()


def _labels_of_both(node: promql.BinaryExpr) -> frozenset[str]:
    left, right = _labels_of(node.lhs), _labels_of(node.rhs)
    matching = node.modifier.matching if node.modifier else None
    assert frozenset(matching.labels if matching else ()) <= left & right
    joined = node.modifier is not None and node.modifier.card == promql.VectorMatchCardinality.ManyToOne
    return left | right if joined else left or right


def test_labels_that_are_used_exist() -> None:
    """Series are matched, grouped and joined only by labels that they have."""
    for expression in ASKED:
        _labels_of(promql.parse(expression))


def _matchers(expression: str) -> list[tuple[str, str, str]]:
    """Metric, label and pattern of each matcher."""
    return [
        (name, label, pattern)
        for name, inside in re.findall(r"(\w+)\{([^}]*)\}", expression)
        for label, pattern in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', inside)
    ]


def test_values_that_are_matched_exist() -> None:
    """Each alternative of a matcher, such as a job's status, is a value that the label has at the start."""
    seen: dict[tuple[str, str], set[str]] = {}
    metrics = build(jobs=[Job()], job_series=1)
    metrics.fleet()
    for family in families(metrics).values():
        for sample in family.samples:
            for label, value in sample.labels.items():
                seen.setdefault((sample.name, label), set()).add(value)
    seen["adt_gateway_fleet_operations_total", "result"] = set(FLEET_RESULTS)
    seen["adt_job_status", "status"] = seen["adt_jobs", "status"]
    for _, target in TARGETS:
        for name, label, pattern in _matchers(target["expr"]):
            if label not in OPEN:
                assert set(pattern.split("|")) <= seen[name, label], f"{name} {label}"


def _with_exemplars() -> set[str]:
    """Samples that carry exemplars once there was a sampled exchange, error and job."""
    metrics = build()
    exchange = finished(status=500)
    exchange.error_code, exchange.error_origin = "GatewayInternal", "gateway"
    metrics.exchange_started(exchange)
    metrics.attempt_finished(exchange, exchange.attempts[0])
    metrics.exchange_finished(exchange)
    metrics.job_finished("import", "failed", "DTDLParsingError", 60.0, exchange.trace.trace_id)
    metrics.token_refreshed("oauth2", "success", 0.1, 1_800_000_000.0)
    metrics.rate_waited("read", 1.0)
    return {
        sample.name for family in families(metrics).values() for sample in family.samples if sample.exemplar
    }


def test_exemplars_are_asked_for_where_there_are_any() -> None:
    """Every drawing over time of a metric with exemplars shows them, once; no other query asks for them."""
    carrying = _with_exemplars()
    assert {_family(name) for name in carrying} == {
        "http_server_request_duration_seconds",
        "http_client_request_duration_seconds",
        "adt_gateway_error_responses_total",
        "adt_jobs_finished_total",
        "adt_job_duration_seconds",
    }
    for dashboard in ALL:
        for panel in panels(dashboard):
            over_time = panel["type"] in {"timeseries", "heatmap"}
            expected, asking = set(), []
            for target in panel["targets"]:
                names = metrics_in(without_variables(target["expr"])) & carrying
                expected |= names
                if target["exemplar"]:
                    asking.append(target["refId"])
                    assert names, panel["title"]
            assert bool(asking) == (over_time and bool(expected)), panel["title"]
            assert len(asking) <= max(1, len(expected)), panel["title"]


def test_legends_name_every_label_that_tells_series_apart() -> None:
    """A legend shows the labels that its series differ by, and no label that they have not."""
    for panel, target in TARGETS:
        if panel["type"] in {"table", "stat"} and target["legendFormat"] == "__auto":
            continue
        labels = _labels_of(promql.parse(without_variables(target["expr"])))
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert target["legendFormat"] != "__auto", panel["title"]
        assert named <= labels, panel["title"]
        apart = labels if len(labels) <= 2 else {"instance"}
        assert named >= apart - ({"job"} if "instance" in labels else set()), panel["title"]


def test_tables_have_a_column_for_every_label() -> None:
    """A table's columns are its label sets and its values, each with a title, in an order."""
    for dashboard in ALL:
        for panel in panels(dashboard):
            if panel["type"] != "table":
                continue
            [organized] = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
            values = [f"Value #{target['refId']}" for target in panel["targets"]]
            columns = set(values if len(values) > 1 else ["Value"])
            for target in panel["targets"]:
                columns |= _labels_of(promql.parse(without_variables(target["expr"])))
            assert organized["renameByName"].keys() == columns, panel["title"]
            assert organized["indexByName"].keys() == columns, panel["title"]
            sorting = {each["displayName"] for each in panel["options"]["sortBy"]}
            assert sorting <= set(organized["renameByName"].values()), panel["title"]
