"""Rules, alerts, their tests and their runbooks: against promtool, a gateway's metrics, and one another."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support import docs, promql
from tests.support.azure import running_azure
from tests.support.programs import require_program

DEPLOY = docs.ROOT / "deploy" / "prometheus"
RULES = sorted((DEPLOY / "rules").glob("*.yml"))
TESTS = sorted((DEPLOY / "tests").glob("*.yml"))
RUNBOOKS = (docs.ROOT / "docs" / "runbooks.md").read_text()

SEVERITIES = {"critical", "warning", "info"}
TARGET_LABELS = promql.TARGET_LABELS | {"cluster", "namespace"}
"""What a target may carry; a label that is not there counts as empty."""
RECORD = re.compile(r"(instance|instance_kind|job):[a-z_]+:(sum|ratio_rate\w+|increase\w+)")


@dataclass(frozen=True)
class Rule:
    """A rule of either sort; `labels` and `annotations` are an alert's."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def _rules(sort: str) -> Iterator[Rule]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if sort in rule:
                    yield Rule(rule[sort], rule["expr"], rule.get("labels", {}), rule.get("annotations", {}))


RECORDS = list(_rules("record"))
ALERTS = list(_rules("alert"))
CASES: list[dict[str, Any]] = [case for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]]
RUNBOOK_QUERIES = docs.blocks(RUNBOOKS, "promql")
EXPRESSIONS = [*(rule.expr for rule in (*RECORDS, *ALERTS)), *RUNBOOK_QUERIES]


def promtool(*arguments: str | Path) -> None:
    """Run promtool, and show what it says where it is not content."""
    program = require_program("promtool", "apt-get install prometheus")
    done = subprocess.run(  # noqa: S603 - the program was found by name on PATH
        [program, *arguments], cwd=DEPLOY, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_configuration() -> None:
    """Prometheus finds nothing wrong with its configuration, which loads every rule file."""
    promtool("check", "config", "--lint-fatal", "prometheus.yml")
    loaded = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["rule_files"]
    assert sorted(path for pattern in loaded for path in DEPLOY.glob(pattern)) == RULES


def test_prometheus_takes_the_rules() -> None:
    """Prometheus finds nothing wrong with the rules, and no two that are one."""
    promtool("check", "rules", "--lint-fatal", *RULES)


@pytest.mark.slow
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_rules_do_what_they_should(path: Path) -> None:
    """Every case of promtool's own tests holds."""
    promtool("test", "rules", path)


Exported = dict[str, dict[str, set[str]]]
"""By metric and label the label's values; a metric's name is that of its samples, `…_count` and the like."""


def _samples(texts: list[str]) -> Iterator[Sample]:
    for text in texts:
        for metric in text_string_to_metric_families(text):
            yield from metric.samples


async def _exported() -> Exported:
    """What Prometheus gets from a gateway that has seen a job and an error, from one of a fleet, and what it
    adds itself.
    """
    async with running_azure() as azure, azure.app() as app:
        assert (await app.put("/jobs/imports/one", json=azure.import_body())).status_code == 201
        while (await app.get("/jobs/imports/one")).json()["status"] != "succeeded":
            continue
        assert (await app.get("/jobs/imports/two")).status_code == 404
        texts = [await azure.metrics()]
    fleet = {"url": "unix:///nowhere/valkey.sock", "expected_size": 2}
    async with running_azure(fleet=fleet) as azure:
        texts.append(await azure.metrics())
    exported: Exported = {"up": {}}
    for sample in _samples(texts):
        for label, value in sample.labels.items():
            exported.setdefault(sample.name, {}).setdefault(label, set()).add(value)
        exported.setdefault(sample.name, {})
    for rule in RECORDS:
        exported[rule.name] = {}
        for metric_name in promql.metrics_in(rule.expr):
            exported[rule.name].update(exported[metric_name])
    return exported


async def test_a_gateway_exports_what_is_asked_for() -> None:
    """Metrics, labels and values in rules and runbooks are those of a gateway, or recorded before."""
    exported = await _exported()
    for expression in EXPRESSIONS:
        for metric, labels in promql.labels_by_metric(expression).items():
            assert metric in exported, expression
            assert labels <= exported[metric].keys() | TARGET_LABELS, expression
        for metric, label, value in promql.values_in(expression):
            assert label in TARGET_LABELS or value in exported[metric][label], expression


def test_nothing_is_recorded_for_nothing() -> None:
    """Every recording rule has a name of its kind, and a rule that uses it."""
    used = {metric for rule in (*RECORDS, *ALERTS) for metric in promql.metrics_in(rule.expr)}
    for rule in RECORDS:
        assert RECORD.fullmatch(rule.name), rule.name
        assert rule.name in used, rule.name


def test_every_alert_says_what_to_do() -> None:
    """An alert has a known severity, a summary, a description, and a runbook that is there."""
    anchors = docs.anchors(RUNBOOKS)
    for alert in ALERTS:
        assert re.fullmatch(r"AdtGateway([A-Z][a-z]+)+", alert.name)
        assert alert.labels["severity"] in SEVERITIES, alert.name
        assert alert.annotations.keys() == {"summary", "description", "runbook_url"}, alert.name
        assert alert.annotations["runbook_url"] == f"docs/runbooks.md#{alert.name.lower()}"
        assert alert.name.lower() in anchors


def test_every_runbook_belongs_to_an_alert() -> None:
    """Each section but the first is an alert's, with a query or a command, and says when to silence it."""
    first, *sections = re.findall(r"^## (.+)$", RUNBOOKS, re.MULTILINE)
    assert first == "Where to look first"
    assert sections == list(dict.fromkeys(alert.name for alert in ALERTS))
    for name in sections:
        text = docs.section(RUNBOOKS, name)
        assert "```" in text, name
        assert "**Silence it**" in text, name


def _label_names(text: str) -> set[str]:
    """The labels that a template reads."""
    return set(re.findall(r"\$labels\.(\w+)", text))


def test_alerts_name_what_their_expression_leaves() -> None:
    """A description reads no label that only the rule adds: Prometheus fills it in before that."""
    for alert in ALERTS:
        assert not _label_names(alert.annotations["description"]) & alert.labels.keys(), alert.name


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: "-".join((alert.name, *alert.labels.values())))
def test_every_alert_was_seen_to_fire_and_not_to_fire(alert: Rule) -> None:
    """For each rule there is a case in which it fires, and one in which no alert of its name does."""
    tried = [
        test for case in CASES for test in case.get("alert_rule_test", []) if test["alertname"] == alert.name
    ]
    fired = [labels["exp_labels"] for test in tried for labels in test["exp_alerts"]]
    assert any(alert.labels.items() <= labels.items() for labels in fired)
    assert any(not test["exp_alerts"] for test in tried)


@pytest.mark.parametrize("record", [rule.name for rule in RECORDS])
def test_every_recording_rule_was_seen_to_give_a_value(record: str) -> None:
    """For each rule there is a query in promtool's tests that reads it and expects a value."""
    queries = [
        test["expr"]
        for case in CASES
        for test in case.get("promql_expr_test", [])
        if test["exp_samples"] and not test["expr"].startswith("{")
    ]
    assert any(record in promql.metrics_in(query) for query in queries)
