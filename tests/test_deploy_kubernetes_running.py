"""A real gateway, started with the arguments, variables and files that the manifests give it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.emulator import EmulatorSettings, RunningEmulator, running_emulator
from gateway.emulator.faults import Fault
from tests.support.addresses import own_address, require_own_address
from tests.support.authority import running_authority
from tests.support.docs import blocks
from tests.support.gateway import API
from tests.support.issuer import Issuer
from tests.support.kubernetes import KUBERNETES, Object, Prepared, build, gateway_of, one, pod_of, prepared
from tests.support.process import Serving, run, serving
from tests.support.raw import RawResponse, raw_client
from tests.support.wire import request, until

SECRET = "a-key-of-at-least-16-characters"
KEY = (b"x-gateway-key", SECRET.encode())
OVERLAYS = ("fleet", "sidecar-example", "stand-alone")
SERVICE = "adt-gateway.adt-gateway.svc:8080"
MODELS = f"/models?{API}"
OPEN_PATHS = ("/metrics", "/livez", "/readyz")


@dataclass(frozen=True, slots=True)
class Pod:
    """The gateway of a pod, with what is around it."""

    spec: Object
    serving: Serving
    azure: RunningEmulator
    entra: Issuer

    @property
    def admin(self) -> tuple[str, int]:
        """Where the kubelet finds the admin listener: an address of the machine that is not loopback."""
        return own_address() or "127.0.0.1", int(self.serving.admin.rpartition(":")[2])

    @property
    def host(self) -> str:
        """What the app has as Host."""
        return "127.0.0.1:8080" if "initContainers" in self.spec else SERVICE

    async def asked(self, path: str) -> RawResponse:
        """The admin listener's answer to a GET as the kubelet sends it."""
        host, port = self.admin
        head = f"GET {path} HTTP/1.1\r\nHost: {host}:9464\r\nUser-Agent: kube-probe/1.33\r\nConnection: close"
        async with raw_client(host, port) as client:
            await client.send(head.encode() + b"\r\n\r\n")
            return await client.response()

    async def told(self, host: str, *headers: tuple[bytes, bytes]) -> RawResponse:
        """The data listener's answer."""
        async with raw_client("127.0.0.1", self.serving.address[1]) as client:
            await client.send(request(MODELS, headers=list(headers), host=host))
            return await client.response()

    async def probed(self, *names: str) -> None:
        """Wait until the probes of these names, as far as the manifest has them, have succeeded."""
        gateway = gateway_of(self.spec)
        for path in [gateway[name]["httpGet"]["path"] for name in names if name in gateway]:

            async def succeeds(path: str = path) -> bool:
                return (await self.asked(path)).status == 200

            await until(succeeds)


def _prepared(folder: Path, overlay: str, over: Mapping[str, str]) -> tuple[Object, Prepared]:
    manifests = build(KUBERNETES / "overlays" / overlay)
    workload = one(manifests, "Deployment")
    secrets = {"my-app": SECRET, "password": SECRET}
    return pod_of(workload), prepared(manifests, workload, folder, secrets=secrets, over=over)


@asynccontextmanager
async def _running(folder: Path, overlay: str, *, entra_status: int = 200) -> AsyncIterator[Pod]:
    """The overlay's gateway, filled in for an emulator, and an authority in place of Entra ID."""
    azure_settings = EmulatorSettings(verify_tokens=False)
    async with running_authority(folder) as entra, running_emulator(azure_settings, port=0) as azure:
        entra.status = entra_status
        over = {
            "ADT_GATEWAY_UPSTREAM__BASE_URL": azure.url,
            "ADT_GATEWAY_AUTH__ENTRA__TENANT_ID": "tenant",
            "ADT_GATEWAY_AUTH__ENTRA__CLIENT_ID": "client",
            "AZURE_AUTHORITY_HOST": entra.origin,
            "SSL_CERT_FILE": str(folder / "ca.pem"),
        }
        spec, ready = await asyncio.to_thread(_prepared, folder / "pod", overlay, over)
        assert ready.arguments[0] == "serve"
        async with serving(ready.environ, *ready.arguments[1:]) as process:
            yield Pod(spec, process, azure, entra)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    """Each form in turn."""
    return str(request.param)


@pytest.mark.slow
async def test_probes_succeed_and_nothing_else_is_open(tmp_path: Path, overlay: str) -> None:
    """Every probe of the manifest gets its 200 from outside the pod; the status page does not."""
    require_own_address()
    async with _running(tmp_path, overlay) as pod:
        await pod.probed("startupProbe", "livenessProbe", "readinessProbe")
        assert [(await pod.asked(path)).status for path in OPEN_PATHS] == [200, 200, 200]
        assert [(await pod.asked(path)).status for path in ("/", "/api/status")] == [403, 403]


@pytest.mark.slow
async def test_identity_outage_restarts_nothing(tmp_path: Path, overlay: str) -> None:
    """Without any token the gateway starts and stays alive, /readyz tells, and the app gets a code."""
    async with _running(tmp_path, overlay, entra_status=503) as pod:
        await pod.probed("startupProbe", "livenessProbe")
        assert (await pod.asked("/readyz")).status == 503
        answer = await pod.told(pod.host, KEY)
        assert (answer.status, answer.value(b"x-ms-error-code")) == (503, b"GatewayTokenUnavailable")


@pytest.mark.slow
async def test_sidecar_serves_its_app_with_the_pods_identity(tmp_path: Path) -> None:
    """An app without a key is served; the pod's own token was exchanged for the one that ADT got."""
    async with _running(tmp_path, "sidecar-example") as pod:
        assert (await pod.told("127.0.0.1:8080")).status == 200
        (exchange,) = pod.entra.seen
        (arrived,) = pod.azure.emulator.state.journal.entries
    assert exchange.path == "/tenant/oauth2/v2.0/token"
    assert (exchange.form["client_id"], exchange.form["client_assertion"]) == ("client", "the-pods-own-token")
    assert ("authorization", "Bearer issued-1") in [(name.lower(), value) for name, value in arrived.headers]


@pytest.mark.slow
async def test_stand_alone_serves_by_its_service_name_and_key(tmp_path: Path) -> None:
    """A caller shows its key and uses a name of the Service; without the one 401, without the other 421."""
    async with _running(tmp_path, "stand-alone") as pod:
        assert (await pod.told(SERVICE, KEY)).status == 200
        assert (await pod.told("adt-gateway:8080", KEY)).status == 200
        assert (await pod.told(SERVICE)).status == 401
        assert (await pod.told("adt-gateway.other.svc:8080", KEY)).status == 421


@pytest.mark.slow
async def test_gateway_ends_within_the_grace_period(tmp_path: Path, overlay: str) -> None:
    """A request in flight at SIGTERM is answered, and the process has exited before it would be killed."""
    async with _running(tmp_path, overlay) as pod:
        await pod.probed("startupProbe")
        state = pod.azure.emulator.state
        state.faults.add(Fault(delay=2.0))
        asked = asyncio.create_task(pod.told(pod.host, KEY))

        async def under_way() -> bool:
            return state.journal.total == 1

        await until(under_way)
        pod.serving.send_signal(signal.SIGTERM)
        async with asyncio.timeout(pod.spec["terminationGracePeriodSeconds"]):
            assert (await asked).status == 200
            assert await pod.serving.process.wait() == 0


async def test_placeholders_are_refused(tmp_path: Path, overlay: str) -> None:
    """What was not filled in is named, key by key, by `check` and at start; the README shows these lines."""
    _, ready = await asyncio.to_thread(_prepared, tmp_path, overlay, {})
    readme = (KUBERNETES / "README.md").read_text()
    told = [line for block in blocks(readme, "text") for line in block.splitlines() if "error: " in line]
    assert len(told) == 3
    for command in ("check", "serve"):
        ended = await run(command, *ready.arguments[1:], environ={**ready.environ, "COLUMNS": "200"})
        assert ended.code == 2
        assert [line for line in ended.lines if line.startswith("error: ")] == told


async def test_filled_in_manifest_is_valid(tmp_path: Path, overlay: str) -> None:
    """With instance, tenant and client filled in, `check` finds nothing wrong."""
    over = {
        "ADT_GATEWAY_UPSTREAM__BASE_URL": "https://example.api.weu.digitaltwins.azure.net",
        "ADT_GATEWAY_AUTH__ENTRA__TENANT_ID": "tenant",
        "ADT_GATEWAY_AUTH__ENTRA__CLIENT_ID": "client",
    }
    _, ready = await asyncio.to_thread(_prepared, tmp_path, overlay, over)
    ended = await run("check", *ready.arguments[1:], environ=ready.environ)
    assert (ended.code, "error" in ended.err) == (0, False)
