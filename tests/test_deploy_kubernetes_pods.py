"""The gateway's container in both forms: what it may, what it is asked, what it gets, when it ends."""

import copy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import Settings, load
from gateway.routes import TEMPLATES
from tests.support.kubernetes import (
    KUBERNETES,
    Object,
    build,
    gateway_of,
    one,
    pod_of,
    prepared,
)
from tests.support.pod_security import violations

KEYS = {"my-app": "a-key-of-at-least-16-characters", "password": "a-password"}
FILLED = {
    "ADT_GATEWAY_UPSTREAM__BASE_URL": "https://example.api.weu.digitaltwins.azure.net",
    "ADT_GATEWAY_AUTH__ENTRA__TENANT_ID": "00000000-0000-0000-0000-000000000001",
    "ADT_GATEWAY_AUTH__ENTRA__CLIENT_ID": "00000000-0000-0000-0000-000000000002",
}
FLUSH = 4
"""Seconds that store and spans get after `limits.drain_timeout`."""


@pytest.fixture(scope="module", params=["fleet", "sidecar-example", "stand-alone"])
def manifests(request: pytest.FixtureRequest) -> list[Object]:
    return build(KUBERNETES / "overlays" / str(request.param))


@pytest.fixture
def pod(manifests: list[Object]) -> Object:
    return copy.deepcopy(pod_of(one(manifests, "Deployment")))


@pytest.fixture
def settings(manifests: list[Object], tmp_path: Path) -> Settings:
    """What the gateway makes of the manifest once it is filled in."""
    ready = prepared(manifests, one(manifests, "Deployment"), tmp_path, secrets=KEYS, over=FILLED)
    return load(ready.config, ready.environ, TEMPLATES)


def test_pod_passes_the_restricted_standard(pod: Object) -> None:
    """A namespace that enforces the restricted Pod Security Standard takes the pod."""
    assert not list(violations(pod))


def _without(field: str) -> Callable[[Object], None]:
    return lambda pod: gateway_of(pod)["securityContext"].pop(field)


def _root(pod: Object) -> None:
    gateway_of(pod)["securityContext"]["runAsUser"] = 0


def _host_path(pod: Object) -> None:
    pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without("runAsNonRoot"), "runAsNonRoot"),
        (_without("allowPrivilegeEscalation"), "allowPrivilegeEscalation"),
        (_without("capabilities"), "capabilities"),
        (_without("seccompProfile"), "seccompProfile"),
        (_root, "runAsNonRoot"),
        (_host_path, "volume host"),
    ],
    ids=["non-root", "escalation", "capabilities", "seccomp", "root", "host-path"],
)
def test_restricted_standard_is_checked(pod: Object, spoil: Callable[[Object], None], said: str) -> None:
    """Each of the standard's rules that matters here would be missed."""
    spoil(pod)
    assert list(violations(pod)) == [said]


def test_gateway_runs_as_the_images_user_on_a_read_only_root(pod: Object) -> None:
    """The user is the image's, and only the jobs store can be written."""
    context = gateway_of(pod)["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (65532, 65532)
    assert context["readOnlyRootFilesystem"] is True
    mounts = gateway_of(pod)["volumeMounts"]
    assert [mount["mountPath"] for mount in mounts if not mount.get("readOnly")] == ["/var/lib/adt-gateway"]


def test_probes_ask_what_the_gateway_answers(pod: Object, settings: Settings) -> None:
    """Probes go to the admin listener, which listens beyond loopback, at the paths that are open there."""
    gateway = gateway_of(pod)
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    probes = {name: gateway[name]["httpGet"] for name in gateway if name.endswith("Probe")}
    assert {probe["port"] for probe in probes.values()} == {"metrics"}
    assert ports["metrics"] == settings.admin.port
    assert settings.admin.host == "0.0.0.0"  # noqa: S104 - the kubelet is not in the pod
    alone = {"readinessProbe": "/readyz"} if "restartPolicy" not in gateway else {}
    paths = {name: probe["path"] for name, probe in probes.items()}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", **alone}


def test_startup_has_time_on_a_busy_node(pod: Object) -> None:
    """The start takes one second of a core, so with the requested share it is over in time."""
    gateway = gateway_of(pod)
    patience = gateway["startupProbe"]["periodSeconds"] * gateway["startupProbe"]["failureThreshold"]
    share = Decimal(gateway["resources"]["requests"]["cpu"].removesuffix("m")) / 1000
    assert patience * share >= 5


def test_data_port_is_as_far_as_it_is_meant(pod: Object, settings: Settings) -> None:
    """A sidecar listens on loopback, and names no port; alone it listens for all, and asks for a key."""
    gateway = gateway_of(pod)
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    if "restartPolicy" in gateway:
        assert settings.listen.host == "127.0.0.1"
        assert "data" not in ports
    else:
        assert settings.listen.host == "0.0.0.0"  # noqa: S104 - the Service is not in the pod
        assert ports["data"] == settings.listen.port
        assert settings.auth.inbound.key_files


def test_drain_fits_into_the_grace_period(pod: Object, settings: Settings) -> None:
    """The gateway can end in time; beside an app that takes its usual 30 s, too."""
    ending = settings.limits.drain_timeout + FLUSH
    sidecar = "restartPolicy" in gateway_of(pod)
    assert settings.limits.drain_delay == (0 if sidecar else 5)
    assert pod["terminationGracePeriodSeconds"] >= ending + (30 if sidecar else 0)


def test_job_store_is_on_a_volume(pod: Object, settings: Settings, manifests: list[Object]) -> None:
    """The store's file lies on a volume that outlives the container, of a lone gateway the pod too."""
    assert settings.jobs.store_file is not None
    assert settings.jobs.store_file.parent.is_dir()
    (mount,) = [item for item in gateway_of(pod)["volumeMounts"] if not item.get("readOnly")]
    volume = next(item for item in pod["volumes"] if item["name"] == mount["name"])
    alone = one(manifests, "Deployment")["spec"].get("strategy") == {"type": "Recreate"}
    kept = "persistentVolumeClaim" if alone else "emptyDir"
    assert kept in volume


def test_memory_is_bounded_and_cpu_is_not(pod: Object) -> None:
    """What was measured fits into the request; a limit for CPU would only add latency."""
    resources = gateway_of(pod)["resources"]
    assert resources["requests"]["memory"] == "128Mi"
    assert resources["limits"] == {"memory": "512Mi"}


def test_token_of_the_api_server_stays_out(pod: Object, manifests: list[Object]) -> None:
    """The only token in the pod is the one for Entra."""
    account = one(manifests, "ServiceAccount", pod["serviceAccountName"])
    assert account["automountServiceAccountToken"] is False
