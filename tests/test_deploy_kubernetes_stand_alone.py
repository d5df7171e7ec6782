"""The stand-alone gateway's manifests: one gateway, who reaches it, and how it leaves a node."""

from pathlib import Path

import pytest

from tests.support.kubernetes import (
    KUBERNETES,
    Object,
    build,
    build_beside,
    gateway_of,
    one,
    pod_of,
    pod_template,
    prepared,
)


@pytest.fixture(scope="module")
def manifests() -> list[Object]:
    return build(KUBERNETES / "overlays" / "stand-alone")


def test_can_move_to_another_namespace(tmp_path: Path) -> None:
    """One line moves everything, the Namespace too, and the Service's names follow."""
    kustomization = "namespace: twins\nresources: [../kubernetes/overlays/stand-alone]\n"
    moved = build_beside(tmp_path, {"kustomization.yaml": kustomization})
    assert one(moved, "Namespace")["metadata"]["name"] == "twins"
    assert {item["metadata"].get("namespace", "twins") for item in moved} == {"twins"}
    deployment = one(moved, "Deployment")
    environ = prepared(moved, deployment, tmp_path / "pod").environ
    assert "adt-gateway.twins.svc" in environ["ADT_GATEWAY_LISTEN__ALLOWED_HOSTS"].split(",")


def test_is_one_gateway(manifests: list[Object]) -> None:
    """One replica that ends before the next begins, since it has the store and ADT's rate to itself."""
    spec = one(manifests, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_lets_a_node_be_drained(manifests: list[Object]) -> None:
    """The budget never blocks an eviction, of a pod that is not ready neither."""
    budget = one(manifests, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_selectors_find_its_pods(manifests: list[Object]) -> None:
    """Deployment, Service, budget and policy all mean the gateway's pods."""
    labels = pod_template(one(manifests, "Deployment"))["metadata"]["labels"].items()
    assert one(manifests, "Deployment")["spec"]["selector"]["matchLabels"].items() <= labels
    assert one(manifests, "Service")["spec"]["selector"].items() <= labels
    assert one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= labels
    assert one(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels


def test_policy_names_ports_of_the_pod(manifests: list[Object]) -> None:
    """Apps reach the data port by label, Prometheus the metrics port from its namespace."""
    policy = one(manifests, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    apps, prometheus = policy["ingress"]
    ports = {port["name"] for port in gateway_of(pod_of(one(manifests, "Deployment")))["ports"]}
    assert [port["port"] for rule in (apps, prometheus) for port in rule["ports"]] == ["data", "metrics"]
    assert ports == {"data", "metrics"}
    assert all(peer["podSelector"]["matchLabels"] == {"adt-gateway/client": "true"} for peer in apps["from"])
    namespace = one(build(KUBERNETES / "overlays" / "monitoring"), "PodMonitor")["metadata"]["namespace"]
    selected = prometheus["from"][0]["namespaceSelector"]["matchLabels"]
    assert selected == {"kubernetes.io/metadata.name": namespace}
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [
        [53, 53],
        [443],
        [4318],
    ]
