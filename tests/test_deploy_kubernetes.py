"""The Kubernetes manifests as a whole: they build, fit the API's schemas, and hang together."""

import copy
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.support.kubernetes import (
    GENERATED,
    KUBERNETES,
    OVERLAYS,
    Object,
    build,
    build_beside,
    containers,
    gateway_of,
    one,
    pod_of,
)

OLDEST, NEWEST = "1.29", "1.36"
"""The first version with native sidecars on by default, and the newest that is certain to be known here."""
WORKLOADS = ("fleet", "sidecar-example", "stand-alone")
MONITORING = "monitoring.coreos.com/v1"


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def manifests(overlay: str) -> list[Object]:
    return build(KUBERNETES / "overlays" / overlay)


@pytest.fixture(scope="module", params=WORKLOADS)
def workload_manifests(request: pytest.FixtureRequest) -> list[Object]:
    return build(KUBERNETES / "overlays" / str(request.param))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_fits_the_schema(manifests: list[Object], version: str) -> None:
    """Nothing is misspelled or misplaced, in the oldest supported version of Kubernetes and in a new."""
    own = [item for item in manifests if item["apiVersion"] != MONITORING]
    assert own
    for item in own:
        kubernetes_validate.validate(item, version, strict=True)


def test_schema_sees_a_misspelled_field() -> None:
    """The check above is one: a field that does not exist is refused."""
    item = one(build(KUBERNETES / "overlays" / "stand-alone"), "Deployment")
    wrong = copy.deepcopy(item)
    pod_of(wrong)["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_every_object_is_in_the_namespace_that_is_there(workload_manifests: list[Object]) -> None:
    """The overlay brings its namespace, which enforces the restricted Pod Security Standard."""
    namespace = one(workload_manifests, "Namespace")["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = [item for item in workload_manifests if item["kind"] != "Namespace"]
    assert {item["metadata"]["namespace"] for item in others} == {namespace["name"]}


def _names(pod: Object) -> Iterator[tuple[str, str]]:
    for container in containers(pod):
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]
    for volume in pod["volumes"]:
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    yield "ServiceAccount", pod["serviceAccountName"]


def test_what_a_pod_needs_is_there(workload_manifests: list[Object]) -> None:
    """Every ConfigMap, claim and ServiceAccount that a pod names is among the manifests."""
    there = {(item["kind"], item["metadata"]["name"]) for item in workload_manifests}
    assert set(_names(pod_of(one(workload_manifests, "Deployment")))) <= there


@pytest.mark.parametrize("overlay_name", WORKLOADS)
def test_configuration_rolls_the_pods(tmp_path: Path, overlay_name: str) -> None:
    """Another setting gives the ConfigMap another name, so that the pods are replaced."""
    kustomization = f"""
resources: [../kubernetes/overlays/{overlay_name}]
configMapGenerator:
  - name: adt-gateway-instance
    behavior: merge
    literals: [ADT_GATEWAY_LOG__LEVEL=debug]
"""
    before = gateway_of(pod_of(one(build(KUBERNETES / "overlays" / overlay_name), "Deployment")))
    after = build_beside(tmp_path, {"kustomization.yaml": kustomization})
    name = gateway_of(pod_of(one(after, "Deployment")))["envFrom"][0]["configMapRef"]["name"]
    assert name != before["envFrom"][0]["configMapRef"]["name"]
    assert one(after, "ConfigMap", name)["data"]["ADT_GATEWAY_LOG__LEVEL"] == "debug"


@pytest.mark.parametrize("overlay_name", WORKLOADS)
def test_images_fail_until_they_are_filled_in(overlay_name: str) -> None:
    """No image is pulled from anywhere by accident: the placeholder's registry exists nowhere (RFC 2606)."""
    pod = pod_of(one(build(KUBERNETES / "overlays" / overlay_name), "Deployment"))
    for container in containers(pod):
        assert container["image"].startswith("registry.invalid/")


@pytest.mark.parametrize("path", sorted(GENERATED), ids=lambda path: path.name)
def test_generated_manifests_are_up_to_date(path: Path) -> None:
    """What follows from another file says the same; `python -m tests.support.kubernetes` writes it again."""
    assert path.read_text() == GENERATED[path]()
