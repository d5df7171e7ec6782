"""The manifests for the Prometheus Operator and Grafana: what is scraped, the rules, the dashboards."""

import pytest

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

POD_MONITOR = {"namespaceSelector": {"any"}, "selector": {"matchExpressions"}, "podMetricsEndpoints": None}
ENDPOINT = {"port", "path", "interval", "relabelings"}
RELABELING = {"sourceLabels", "regex", "action", "targetLabel", "replacement"}
RULE = {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
GROUP = {"name", "interval", "rules"}
"""Fields of the Prometheus Operator's own kinds, as far as they are used here."""


@pytest.fixture(scope="module")
def monitoring() -> list[Object]:
    return build(KUBERNETES / "overlays" / "monitoring")


@pytest.fixture(scope="module", params=["sidecar-example", "stand-alone"])
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
