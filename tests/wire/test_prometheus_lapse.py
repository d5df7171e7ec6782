"""The copy of the rules in which time passes faster, and the configuration made of the deployed one."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.lapse import lapsed, lapsed_expression
from tests.support.programs import require_program
from tests.support.prometheus import DEPLOYED, configuration


@pytest.mark.parametrize(
    ("expression", "faster"),
    [
        ("rate(a_total[5m])", "rate(a_total[5000ms])"),
        ("rate(a_total[ 1h30m ])", "rate(a_total[90000ms])"),
        ("max_over_time(a[1h:1m])", "max_over_time(a[60000ms:1000ms])"),
        ("max_over_time(a[1d:])", "max_over_time(a[1440000ms:])"),
        ("a offset 10m > 600", "a offset 10000ms > 600"),
        ("a offset -1w", "a offset -10080000ms"),
        ("time() - a_timestamp_seconds > 900", "time() - a_timestamp_seconds > 900"),
        ("a{b=\"[5m]\", c=~'x offset 5m'}[5m]", "a{b=\"[5m]\", c=~'x offset 5m'}[5000ms]"),
        ("level:a:ratio_rate5m > 14.4 * 0.001", "level:a:ratio_rate5m > 14.4 * 0.001"),
        ("a[10ms]", "a[1ms]"),
    ],
)
def test_durations_of_an_expression(expression: str, faster: str) -> None:
    """Ranges, subqueries and offsets are divided; names, strings and thresholds stay."""
    assert lapsed_expression(expression, 60) == faster


def test_durations_of_a_rule_file() -> None:
    """`interval`, `for` and `keep_firing_for` are divided, and nothing else changes."""
    text = """
groups:
- name: g
  interval: 30s
  rules:
  - alert: A
    expr: rate(a[5m]) > 0
    for: 15m
    labels: {severity: warning, window: 5m}
    annotations: {description: "for 15m, see [5m]"}
  - record: level:a:rate5m
    expr: |
      sum(rate(a[5m]))
        / sum(rate(b[5m]))
  - alert: B
    expr: a == 0
    for: 0m
"""
    [group] = yaml.safe_load(lapsed(text, 60))["groups"]
    assert group["interval"] == "500ms"
    first, second, third = group["rules"]
    assert first == {
        "alert": "A",
        "expr": "rate(a[5000ms]) > 0",
        "for": "15000ms",
        "labels": {"severity": "warning", "window": "5m"},
        "annotations": {"description": "for 15m, see [5m]"},
    }
    assert second["expr"] == "sum(rate(a[5000ms]))\n  / sum(rate(b[5000ms]))\n"
    assert third["for"] == "0s"


@pytest.mark.parametrize("name", ["adt-gateway.rules.yml", "adt-gateway.alerts.yml"])
def test_the_deployed_rules_lapse(tmp_path: Path, name: str) -> None:
    """The copy is accepted by promtool, has the same rules, and not one duration is as long as before."""
    promtool = require_program("promtool", "apt-get install prometheus")
    text = (DEPLOYED / "rules" / name).read_text()
    faster = tmp_path / "rules.yml"
    faster.write_text(lapsed(text, 60))
    checked = subprocess.run([promtool, "check", "rules", faster], capture_output=True, check=False)  # noqa: S603
    assert (checked.returncode, checked.stderr) == (0, b"")
    before, after = (yaml.safe_load(each)["groups"] for each in (text, faster.read_text()))
    for old, new in zip(
        (rule for group in before for rule in group["rules"]),
        (rule for group in after for rule in group["rules"]),
        strict=True,
    ):
        assert {**new, "expr": "", "for": ""} == {**old, "expr": "", "for": ""} | {"for": ""}
        assert lapsed_expression(old["expr"], 1) != new["expr"] or "[" not in old["expr"]
        assert old.get("for") != new.get("for") or old.get("for") in {None, "0m", "0s"}


def test_the_configuration_scrapes_the_gateways_given() -> None:
    """Other targets and intervals; what else the deployed job says about a scrape stays."""
    text = """
global: {scrape_interval: 15s, evaluation_interval: 15s, external_labels: {site: x}}
rule_files: [rules/*.yml]
alerting: {alertmanagers: [{static_configs: [{targets: [alertmanager:9093]}]}]}
scrape_configs:
- job_name: prometheus
  static_configs: [{targets: [localhost:9090]}]
- job_name: adt-gateway
  scrape_interval: 15s
  sample_limit: 5000
  static_configs: [{targets: [gateway:9464]}]
"""
    told = yaml.safe_load(
        configuration(text, {"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:2"}, "250ms")
    )
    assert told == {
        "global": {
            "scrape_interval": "250ms",
            "scrape_timeout": "250ms",
            "evaluation_interval": "250ms",
            "external_labels": {"site": "x"},
        },
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [
            {
                "job_name": "adt-gateway",
                "sample_limit": 5000,
                "static_configs": [
                    {"targets": ["127.0.0.1:1"], "labels": {"namespace": "a"}},
                    {"targets": ["127.0.0.1:2"], "labels": {"namespace": "b"}},
                ],
            }
        ],
    }
