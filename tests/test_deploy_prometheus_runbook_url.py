"""Links to runbooks are relative: the commands that put an address in front of them do just that."""

import re
import subprocess
from typing import Any

import yaml

from tests.support import docs
from tests.support.kubernetes import KUBERNETES, build, one

PROMETHEUS = docs.ROOT / "deploy" / "prometheus"
MONITORING = KUBERNETES / "overlays" / "monitoring"
ADDRESS = "https://git.example/adt-gateway/blob/main/"


def _edited(text: str, command: str) -> str:
    """What the only `sed` in a command makes of the text."""
    [script] = re.findall(r"sed (?:-i )?'([^']+)'", command)
    done = subprocess.run(["sed", script], input=text, capture_output=True, text=True, check=True)  # noqa: S603, S607 - in every PATH
    return done.stdout


def _linked(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The groups with the address in front of each link."""
    for alert in (rule for group in groups for rule in group["rules"] if "alert" in rule):
        alert["annotations"]["runbook_url"] = ADDRESS + alert["annotations"]["runbook_url"]
    return groups


def test_the_rule_file() -> None:
    """The README's command changes every link of the alerts."""
    text = (PROMETHEUS / "rules" / "adt-gateway.alerts.yml").read_text()
    [command] = [
        each for each in docs.blocks((PROMETHEUS / "README.md").read_text(), "sh") if "runbook_url" in each
    ]
    edited = yaml.safe_load(_edited(text, command))["groups"]
    assert edited == _linked(yaml.safe_load(text)["groups"])


def test_the_rule_of_the_operator() -> None:
    """The command at the head of the PrometheusRule changes every link, in what kustomize makes of it."""
    head = (MONITORING / "prometheus-rule.yaml").read_text().partition("apiVersion")[0]
    assert "kubectl kustomize deploy/kubernetes/overlays/monitoring" in head
    built = build(MONITORING)
    before = one(built, "PrometheusRule")
    after = yaml.safe_load(_edited(yaml.safe_dump(before), head))
    assert after["spec"]["groups"] == _linked(before["spec"]["groups"])
