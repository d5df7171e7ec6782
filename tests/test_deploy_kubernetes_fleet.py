"""The fleet's manifests: several gateways with one rate, how many there may be, and their Valkey."""

from pathlib import Path

import pytest

from gateway.config import Settings, load, parse_fleet_url
from gateway.routes import TEMPLATES
from tests.support.docs import blocks, section
from tests.support.kubernetes import (
    KUBERNETES,
    Object,
    build,
    build_beside,
    objects,
    one,
    pod_of,
    pod_template,
    prepared,
)
from tests.support.pod_security import violations

README = (KUBERNETES / "README.md").read_text()
VALKEY = "adt-gateway-valkey"
SECRETS = {"my-app": "a-key-of-at-least-16-characters", "password": "a-password"}
FILLED = {
    "ADT_GATEWAY_UPSTREAM__BASE_URL": "https://example.api.weu.digitaltwins.azure.net",
    "ADT_GATEWAY_AUTH__ENTRA__TENANT_ID": "00000000-0000-0000-0000-000000000001",
    "ADT_GATEWAY_AUTH__ENTRA__CLIENT_ID": "00000000-0000-0000-0000-000000000002",
}
NAME = "app.kubernetes.io/name"


@pytest.fixture(scope="module")
def manifests() -> list[Object]:
    return build(KUBERNETES / "overlays" / "fleet")


@pytest.fixture
def settings(manifests: list[Object], tmp_path: Path) -> Settings:
    """What the gateway makes of the manifest once it is filled in."""
    ready = prepared(manifests, one(manifests, "Deployment"), tmp_path, secrets=SECRETS, over=FILLED)
    return load(ready.config, ready.environ, TEMPLATES)


def test_the_autoscaler_says_how_many(manifests: list[Object]) -> None:
    """The Deployment names no number, which each apply would set again; the autoscaler means it."""
    deployment, scaler = one(manifests, "Deployment"), one(manifests, "HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in deployment["spec"]
    target = scaler["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


def test_gateways_on_their_own_keep_the_rate_together(manifests: list[Object], settings: Settings) -> None:
    """Without Valkey each takes its part: as many parts as there can be gateways, in a rollout too."""
    most = one(manifests, "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    rollout = one(manifests, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert settings.fleet.expected_size == most + rollout["maxSurge"]


def test_it_scales_before_a_core_is_full(manifests: list[Object]) -> None:
    """A gateway runs on one core, so more gateways come while that has room left."""
    (metric,) = one(manifests, "HorizontalPodAutoscaler")["spec"]["metrics"]
    target = metric["resource"]["target"]
    assert (metric["resource"]["name"], target["type"]) == ("cpu", "AverageValue")
    assert 250 <= int(target["averageValue"].removesuffix("m")) <= 800


def test_the_password_is_in_a_file(manifests: list[Object], settings: Settings) -> None:
    """The gateway finds it in the Secret that is mounted, as it can change; the URL names the Service."""
    assert settings.fleet.url is not None
    url = parse_fleet_url(settings.fleet.url.get_secret_value())
    assert (url.hosts, url.username, url.password) == (((VALKEY, 6379),), "adt-gateway", None)
    assert one(manifests, "Service", VALKEY)["metadata"]["namespace"] == "adt-gateway"
    assert settings.fleet.password_file is not None
    assert settings.fleet.password_file.read_text() == "a-password"
    volumes = {each["name"]: each for each in pod_of(one(manifests, "Deployment"))["volumes"]}
    assert volumes["adt-gateway-fleet"]["secret"]["items"] == [{"key": "password", "path": "password"}]


def test_no_two_gateways_have_one_store(manifests: list[Object]) -> None:
    """The volume that stand-alone claims is gone; each pod has a folder of its own."""
    assert not objects(manifests, "PersistentVolumeClaim")
    volumes = {each["name"]: each for each in pod_of(one(manifests, "Deployment"))["volumes"]}
    assert volumes["adt-gateway-jobs"].keys() == {"name", "emptyDir"}


def test_gateways_and_nobody_else_reach_valkey(manifests: list[Object]) -> None:
    """The policies of both ends name each other's pods, and the port of the Service and of the container."""
    deployment, valkey = one(manifests, "Deployment"), one(manifests, "StatefulSet")
    labels = pod_template(valkey)["metadata"]["labels"]
    *_, out = one(manifests, "NetworkPolicy", "adt-gateway")["spec"]["egress"]
    assert [peer["podSelector"]["matchLabels"] for peer in out["to"]] == [{NAME: VALKEY}]
    policy = one(manifests, "NetworkPolicy", VALKEY)["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = policy["ingress"]
    for peer in rule["from"]:
        (wanted,) = peer["podSelector"]["matchExpressions"]
        assert pod_template(deployment)["metadata"]["labels"][wanted["key"]] in wanted["values"]
        assert "sidecar" in wanted["values"]
    (port,) = pod_of(valkey)["containers"][0]["ports"]
    (service,) = one(manifests, "Service", VALKEY)["spec"]["ports"]
    assert [each["port"] for each in out["ports"]] == [port["containerPort"]] == [service["port"]]
    assert [each["port"] for each in rule["ports"]] == [port["name"]] == [service["targetPort"]]
    assert one(manifests, "Service", VALKEY)["spec"]["selector"].items() <= labels.items()


def test_valkey_is_not_one_of_the_gateways(manifests: list[Object]) -> None:
    """No selector that means gateways finds it: not the Service, the budget, or the monitor."""
    labels = pod_template(one(manifests, "StatefulSet"))["metadata"]["labels"]
    for selector in (
        one(manifests, "Service", "adt-gateway")["spec"]["selector"],
        one(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(manifests, "NetworkPolicy", "adt-gateway")["spec"]["podSelector"]["matchLabels"],
    ):
        assert not selector.items() <= labels.items()
    assert "adt-gateway/mode" not in labels


def test_valkey_passes_the_restricted_standard(manifests: list[Object]) -> None:
    """The namespace enforces the restricted Pod Security Standard, and nothing but /data can be written."""
    pod = pod_of(one(manifests, "StatefulSet"))
    assert not list(violations(pod))
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")] == ["/data"]
    account = one(manifests, "ServiceAccount", pod["serviceAccountName"])
    assert account["automountServiceAccountToken"] is False


def test_valkey_gets_its_files_and_not_the_gateways(manifests: list[Object]) -> None:
    """The configuration and the users are where the command and the configuration look for them."""
    pod = pod_of(one(manifests, "StatefulSet"))
    (container,) = pod["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    config = one(manifests, "ConfigMap", volumes["config"]["configMap"]["name"])["data"]
    assert container["command"][1] == f"{mounts['config']}/{next(iter(config))}"
    (item,) = volumes["users"]["secret"]["items"]
    assert f"aclfile {mounts['users']}/{item['path']}" in config["valkey.conf"].splitlines()
    assert f"dir {mounts['data']}" in config["valkey.conf"].splitlines()


def test_memory_of_valkey_has_room_for_a_rewrite(manifests: list[Object]) -> None:
    """What it may hold fits twice into the container's limit: a rewrite of its file may copy every page."""
    (container,) = pod_of(one(manifests, "StatefulSet"))["containers"]
    (most,) = [
        line.split()[1]
        for line in (KUBERNETES / "components/valkey/valkey.conf").read_text().splitlines()
        if line.startswith("maxmemory ")
    ]
    limit = container["resources"]["limits"]["memory"]
    assert 2 * int(most.removesuffix("mb")) <= int(limit.removesuffix("Mi"))


def test_sidecars_can_be_a_fleet(tmp_path: Path) -> None:
    """The README's additions give the gateway beside an app the way and the size, and the app nothing."""
    [snippet] = [text for text in blocks(section(README, "Fleet"), "yaml") if "components:" in text]
    example = (KUBERNETES / "overlays/sidecar-example/my-app.yaml").read_text()
    built = build_beside(tmp_path, {"kustomization.yaml": snippet, "my-app.yaml": example})
    workload = one(built, "Deployment")
    ready = prepared(built, workload, tmp_path / "pod", secrets=SECRETS, over=FILLED)
    fleet = load(ready.config, ready.environ, TEMPLATES).fleet
    assert fleet.url is not None
    assert fleet.password_file is not None
    assert fleet.password_file.read_text() == "a-password"
    assert fleet.expected_size == 10
    app = next(each for each in pod_of(workload)["containers"] if each["name"] == "my-app")
    assert app.get("volumeMounts", []) == []
    assert not [each for each in app["env"] if "GATEWAY" in each["name"]]
