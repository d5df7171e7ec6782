"""The manifests for the Prometheus Operator and Grafana: what is scraped, the rules, the dashboards."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.docs import blocks
from tests.support.kubernetes import (
    KUBERNETES,
    ROOT,
    Object,
    build,
    containers,
    objects,
    one,
    pod_of,
    pod_template,
    rule_groups,
)
from tests.support.programs import require_program

POD_MONITOR = {"namespaceSelector": {"any"}, "selector": {"matchExpressions"}, "podMetricsEndpoints": None}
ENDPOINT = {"port", "path", "interval", "relabelings"}
RELABELING = {"sourceLabels", "regex", "action", "targetLabel", "replacement"}
RULE = {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
GROUP = {"name", "interval", "rules"}
"""Fields of the Prometheus Operator's own kinds, as far as they are used here."""


@pytest.fixture(scope="module")
def monitoring() -> list[Object]:
    return build(KUBERNETES / "overlays" / "monitoring")


@pytest.fixture(scope="module", params=["fleet", "sidecar-example", "stand-alone"])
def workload_manifests(request: pytest.FixtureRequest) -> list[Object]:
    return build(KUBERNETES / "overlays" / str(request.param))


def test_rules_are_those_of_prometheus(monitoring: list[Object]) -> None:
    """The operator gets every group of deploy/prometheus/rules, and only fields that it knows."""
    groups = one(monitoring, "PrometheusRule")["spec"]["groups"]
    assert groups == rule_groups()
    assert groups
    for group in groups:
        assert set(group) <= GROUP
        assert all(set(rule) <= RULE for rule in group["rules"])


def test_dashboards_reach_the_cluster(monitoring: list[Object]) -> None:
    """Every dashboard is a ConfigMap of its own, with the label that Grafana's sidecar looks for."""
    maps = objects(monitoring, "ConfigMap")
    assert all(item["metadata"]["labels"]["grafana_dashboard"] == "1" for item in maps)
    carried = sorted(text for item in maps for text in item["data"].values())
    assert carried == sorted(path.read_text() for path in (ROOT / "grafana" / "dashboards").glob("*.json"))
    assert all(len(text.encode()) < 1_000_000 for text in carried)


def test_pod_monitor_has_known_fields(monitoring: list[Object]) -> None:
    """What is written is what the Prometheus Operator reads."""
    spec = one(monitoring, "PodMonitor")["spec"]
    assert set(spec) == set(POD_MONITOR)
    assert set(spec["selector"]) == POD_MONITOR["selector"]
    assert set(spec["namespaceSelector"]) == POD_MONITOR["namespaceSelector"]
    for endpoint in spec["podMetricsEndpoints"]:
        assert set(endpoint) <= ENDPOINT
        assert all(set(relabeling) <= RELABELING for relabeling in endpoint["relabelings"])


def _targets(monitor: Object, workload: Object) -> list[tuple[str, int]]:
    """The ports of one pod that the operator's scrape configuration keeps: by label, port, container."""
    (expression,) = monitor["spec"]["selector"]["matchExpressions"]
    labels = pod_template(workload)["metadata"]["labels"]
    if expression["operator"] != "In" or labels.get(expression["key"]) not in expression["values"]:
        return []
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (keep,) = [rule for rule in endpoint["relabelings"] if rule.get("action") == "keep"]
    assert keep["sourceLabels"] == ["__meta_kubernetes_pod_container_name"]
    return [
        (container["name"], port["containerPort"])
        for container in containers(pod_of(workload))
        for port in container.get("ports", [])
        if port.get("name") == endpoint["port"] and container["name"] == keep["regex"]
    ]


def test_pod_monitor_finds_the_gateway(monitoring: list[Object], workload_manifests: list[Object]) -> None:
    """One target for each pod, its admin port, under the job name of the rules; none of the app's."""
    monitor = one(monitoring, "PodMonitor")
    workload = one(workload_manifests, "Deployment")
    app = {"name": "app", "ports": [{"name": "metrics", "containerPort": 9100}]}
    pod_of(workload)["containers"].append(app)
    assert _targets(monitor, workload) == [("adt-gateway", 9464)]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert {"targetLabel": "job", "replacement": "adt-gateway"} in endpoint["relabelings"]
    pod_template(workload)["metadata"]["labels"].pop("adt-gateway/mode")
    assert _targets(monitor, workload) == []


def _pod(address: str, phase: str, *, container: str = "adt-gateway", port: str = "metrics") -> Object:
    """A container's port as Prometheus discovers it in a cluster (kubernetes_sd_config, role pod)."""
    discovered = {
        "namespace": "shop",
        "pod_name": f"pod-{address}",
        "pod_phase": phase,
        "pod_container_name": container,
        "pod_container_port_name": port,
    }
    labels = {f"__meta_kubernetes_{name}": value for name, value in discovered.items()}
    return {"targets": [f"{address}:9464"], "labels": labels}


PODS = (
    _pod("10.0.0.1", "Running"),
    _pod("10.0.0.2", "Running", container="app"),
    _pod("10.0.0.3", "Running", port="data"),
    _pod("10.0.0.4", "Pending"),
    _pod("10.0.0.5", "Succeeded"),
    _pod("10.0.0.6", "Failed"),
)


def _relabelled(config: Path, job: str) -> list[dict[str, str]]:
    """The labels that each of `PODS` has after relabelling; none for what is dropped."""
    program = require_program("promtool", "apt-get install prometheus")
    # It looks for targets as long as it may; a busy machine may need more than a second to find the first.
    for seconds in (1, 5, 25):
        command = [program, "check", "service-discovery", f"--timeout={seconds}s", str(config), job]
        told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
        assert told.returncode == 0, told.stderr
        targets = json.loads(told.stdout) or []
        if len(targets) == len(PODS):
            return [target["labels"] for target in targets]
    raise AssertionError(told.stdout)


def test_targets_without_the_operator(tmp_path: Path) -> None:
    """The README's scrape job keeps the gateways of pods that go on, and no port of a pod that ended."""
    text = (KUBERNETES / "README.md").read_text()
    (config,) = [yaml.safe_load(block) for block in blocks(text, "yaml") if "scrape_configs:" in block]
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    job["static_configs"] = list(PODS)
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    kept = [labels for labels in _relabelled(path, job["job_name"]) if labels]
    told = {(labels["job"], labels["instance"], labels["namespace"], labels["pod"]) for labels in kept}
    assert told == {
        ("adt-gateway", "10.0.0.1:9464", "shop", "pod-10.0.0.1"),
        ("adt-gateway", "10.0.0.4:9464", "shop", "pod-10.0.0.4"),
    }
    assert len(kept) == len(told)
