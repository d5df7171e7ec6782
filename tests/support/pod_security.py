"""The restricted Pod Security Standard, as far as it matters to the manifests here."""

from collections.abc import Iterator

from tests.support.kubernetes import Object, containers


def violations(pod: Object) -> Iterator[str]:
    """What the restricted Pod Security Standard (v1.29) forbids, in the words of the field."""
    for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
        if pod.get(field):
            yield field
    kinds = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    for volume in pod.get("volumes", []):
        if not set(volume) - {"name"} <= kinds:
            yield f"volume {volume['name']}"
    for container in containers(pod):
        yield from _container_violations(container, pod.get("securityContext", {}))


def _container_violations(container: Object, of_pod: Object) -> Iterator[str]:
    context = {**of_pod, **container.get("securityContext", {})}
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 1) == 0:
        yield "runAsNonRoot"
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    if context.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccompProfile"
