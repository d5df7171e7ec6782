"""The sidecar component on workloads that know nothing of it."""

import json
from pathlib import Path

import pytest

from tests.support import docs
from tests.support.docs import blocks, section
from tests.support.kubernetes import (
    KUBERNETES,
    SIDECAR,
    Object,
    build,
    build_beside,
    containers,
    gateway_of,
    one,
    pod_of,
    pod_template,
)

README = (KUBERNETES / "README.md").read_text()

PLAIN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain}
spec:
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec:
      containers:
        - {name: app, image: "registry.example/app:1"}
"""

RICH = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: rich}
spec:
  selector: {matchLabels: {app: rich}}
  template:
    metadata:
      labels: {app: rich, azure.workload.identity/use: "true"}
      annotations: {example.com/own: kept}
    spec:
      serviceAccountName: rich
      terminationGracePeriodSeconds: 30
      securityContext: {runAsUser: 1000, fsGroup: 2000, supplementalGroups: [3000]}
      initContainers:
        - name: proxy
          image: "registry.example/proxy:2"
          restartPolicy: Always
        - name: migrate
          image: "registry.example/migrate:3"
          volumeMounts: [{name: data, mountPath: /data}]
      containers:
        - name: app
          image: "registry.example/app:1"
          command: [run]
          env: [{name: AZURE_CLIENT_ID, value: the-apps-own}]
          ports: [{name: metrics, containerPort: 9100}]
          volumeMounts: [{name: data, mountPath: /data}, {name: config, mountPath: /etc/app}]
          securityContext: {runAsUser: 1234, readOnlyRootFilesystem: false}
          readinessProbe: {tcpSocket: {port: metrics}}
        - {name: second, image: "registry.example/second:4", resources: {limits: {cpu: 1}}}
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: data}}
        - {name: config, configMap: {name: app}}
"""

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: import}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: app, image: "registry.example/import:1"}]
"""

CRON_JOB = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: app, image: "registry.example/import:1"}]
"""

STATEFUL_SET = PLAIN.replace("Deployment", "StatefulSet").replace(
    "spec:\n  sel", "spec:\n  serviceName: s\n  sel"
)
DAEMON_SET = PLAIN.replace("Deployment", "DaemonSet")

WORKLOADS = {
    "plain": PLAIN,
    "rich": RICH,
    "stateful-set": STATEFUL_SET,
    "daemon-set": DAEMON_SET,
    "job": JOB,
    "cron-job": CRON_JOB,
}

COMPONENT = """
resources: [workload.yaml]
components: [../kubernetes/components/sidecar]
configMapGenerator:
  - {name: adt-gateway-instance, literals: [ADT_GATEWAY_LOG__LEVEL=info]}
"""


def _with_and_without(folder: Path, workload: str, more: str = "") -> tuple[Object, Object]:
    """The workload as kustomize builds it by itself, and with the component."""
    files = {"workload.yaml": workload}
    (before,) = build_beside(folder / "before", {**files, "kustomization.yaml": "resources: [workload.yaml]"})
    after = build_beside(folder / "after", {**files, "kustomization.yaml": COMPONENT + more})
    return before, one(after, before["kind"])


@pytest.fixture(scope="module", params=list(WORKLOADS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Object, Object]:
    """Each workload in turn, without and with the gateway."""
    return _with_and_without(tmp_path_factory.mktemp("pair"), WORKLOADS[request.param])


def test_gateway_is_a_native_sidecar_that_starts_first(pair: tuple[Object, Object]) -> None:
    """Whatever the workload, the gateway is an init container that stays, before any of the app's own."""
    _, after = pair
    first = containers(pod_of(after))[0]
    assert first == gateway_of(pod_of(after))
    assert first["restartPolicy"] == "Always"
    assert first not in pod_of(after)["containers"]


def test_apps_containers_stay_as_they_are(pair: tuple[Object, Object]) -> None:
    """No byte of the app's containers, init containers and volumes changes, nor their order."""
    before, after = pair
    own = json.dumps(containers(pod_of(before)))
    assert json.dumps([item for item in containers(pod_of(after)) if item["name"] != "adt-gateway"]) == own
    volumes = [item for item in pod_of(after)["volumes"] if not item["name"].startswith("adt-gateway-")]
    assert volumes == pod_of(before).get("volumes", [])


def test_rest_of_the_workload_stays_as_it_is(pair: tuple[Object, Object]) -> None:
    """Beside containers and volumes the pod gets one label and the time to end; the selector is the app's."""
    before, after = pair
    touched = {"initContainers", "containers", "volumes", "terminationGracePeriodSeconds"}
    kept = {key: value for key, value in pod_of(before).items() if key not in touched}
    assert {key: value for key, value in pod_of(after).items() if key not in touched} == kept
    labels = pod_template(before).get("metadata", {}).get("labels", {})
    assert pod_template(after)["metadata"]["labels"] == {**labels, "adt-gateway/mode": "sidecar"}
    assert after["spec"].get("selector") == before["spec"].get("selector")
    assert after["metadata"] == before["metadata"]


def test_only_the_gateway_has_the_token(pair: tuple[Object, Object]) -> None:
    """The volume with the token that Entra takes is mounted by the gateway, and by nothing else."""
    _, after = pair
    (token,) = [volume for volume in pod_of(after)["volumes"] if "projected" in volume]
    (source,) = token["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "api://AzureADTokenExchange"
    mounts = [
        (container["name"], mount["name"])
        for container in containers(pod_of(after))
        for mount in container.get("volumeMounts", [])
    ]
    assert [container for container, volume in mounts if volume == token["name"]] == ["adt-gateway"]


def test_app_that_takes_longer_to_end_says_so(tmp_path: Path) -> None:
    """The README's patch for it is applied after the component, so that the app's time wins."""
    named = RICH.replace("name: rich", "name: my-app")
    _, after = _with_and_without(tmp_path, named, blocks(README, "yaml")[1])
    assert pod_of(after)["terminationGracePeriodSeconds"] == 150


def test_longer_time_to_end_is_replaced(tmp_path: Path) -> None:
    """The component sets 60 s in place of a longer time too, as the README says; its patch restores it."""
    assert "That replaces your own, a longer one too" in README
    long = RICH.replace("name: rich", "name: my-app").replace("Seconds: 30", "Seconds: 600")
    before, after = _with_and_without(tmp_path / "component", long)
    times = [pod_of(workload)["terminationGracePeriodSeconds"] for workload in (before, after)]
    assert times == [600, 60]
    patch = blocks(README, "yaml")[1].replace("value: 150", "value: 630")
    _, patched = _with_and_without(tmp_path / "patched", long, patch)
    assert pod_of(patched)["terminationGracePeriodSeconds"] == 630


def test_workload_can_be_left_alone(tmp_path: Path) -> None:
    """The label adt-gateway/mode=none keeps the gateway out of a workload."""
    label = "metadata: {name: plain, labels: {adt-gateway/mode: none}}"
    before, after = _with_and_without(tmp_path, PLAIN.replace("metadata: {name: plain}", label))
    assert after == before


def test_sidecar_has_no_part_in_readiness() -> None:
    """An identity outage leaves the app in its Service; the gateway's listener for it is not reachable."""
    pod = pod_of(one(build(KUBERNETES / "overlays" / "sidecar-example"), "Deployment"))
    gateway = gateway_of(pod)
    assert "readinessProbe" not in gateway
    assert gateway["ports"] == [{"name": "metrics", "containerPort": 9464}]


FIVE_LINES = {
    "deploy/kubernetes/README.md": README,
    "README.md": section(docs.README.read_text(), "Deploy it"),
}


@pytest.mark.parametrize("name", list(FIVE_LINES))
def test_five_lines_of_the_readme(tmp_path: Path, name: str) -> None:
    """The way to add the gateway to one's own Deployment works as it is written, in either README."""
    kustomization = blocks(FIVE_LINES[name], "yaml")[0]
    built = build_beside(tmp_path, {"kustomization.yaml": kustomization, "my-deployment.yaml": PLAIN})
    pod = pod_of(one(built, "Deployment"))
    assert gateway_of(pod)["image"] == "registry.invalid/adt-gateway:fill-in"
    name = gateway_of(pod)["envFrom"][0]["configMapRef"]["name"]
    assert "ADT_GATEWAY_UPSTREAM__BASE_URL" in one(built, "ConfigMap", name)["data"]


def test_webhook_patch_of_the_readme(tmp_path: Path) -> None:
    """The README's patch for the webhook takes our own token out and keeps the webhook's out of the app."""
    _, after = _with_and_without(tmp_path, PLAIN, blocks(README, "yaml")[2])
    gateway = gateway_of(pod_of(after))
    assert not [volume for volume in pod_of(after)["volumes"] if "projected" in volume]
    assert "adt-gateway-token" not in str(gateway)
    assert "AZURE_FEDERATED_TOKEN_FILE" not in str(gateway)
    metadata = pod_template(after)["metadata"]
    assert metadata["labels"]["azure.workload.identity/use"] == "true"
    assert metadata["annotations"]["azure.workload.identity/skip-containers"] == "app"


def test_component_stands_in_its_own_folder() -> None:
    """The folder can be copied or named by URL: nothing in it points outside."""
    assert not [path for path in SIDECAR.iterdir() if ".." in path.read_text()]
