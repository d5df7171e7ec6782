"""What every candidate has around it: a static nginx as upstream, the issuer, the OTLP sink; all on loopback.

The candidate that is measured has one core, everything else has the others.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import trustme

from tests.bench import nginx, processes
from tests.bench.rig import READY_WITHIN, NotReadyError, Rig
from tests.bench.upstream import job

TOKEN = "e" * 1_500
"""As long as those of Entra ID; the sink issues the same."""
LARGE = 1 << 26
_LIST = 64_000
_PASSED_ON = ("PATH", "HOME", "LANG")
_NAMES = ("localhost", "127.0.0.1")
EXPORT = {"OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_BSP_MAX_QUEUE_SIZE": "65536"}
"""The same for all that read it: no span is lost to a short queue, and all are there soon after the load."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the others are."""

    rig: Rig
    guarded: int
    """The upstream's port where a request without a token gets 401."""
    direct: int
    """The one where none is needed."""
    folder: Path
    control: httpx.Client

    def requests(self) -> int:
        """Requests that came to the upstream so far, this one included."""
        return int(self._get(self.direct, "/_status").splitlines()[2].split()[2])

    def refused(self) -> int:
        """Requests that came without a token so far."""
        return (self.folder / "upstream" / "refused.log").read_text().count("\n")

    def spans(self, service: str) -> Mapping[str, int]:
        """Spans of a service at the sink so far, by kind."""
        counts: dict[str, dict[str, int]] = json.loads(self._get(self.rig.sink, "/services"))
        return counts.get(service, {})

    def samples(self, port: int, path: str = "/metrics") -> str:
        """What a candidate shows to Prometheus."""
        return self._get(port, path)

    def own_folder(self, name: str) -> Path:
        """A folder for the files of one process."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def environ(self, service: str) -> dict[str, str]:
        """Environment of a candidate that exports by what OpenTelemetry's variables say."""
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        traces = f"http://127.0.0.1:{self.rig.sink}/v1/traces"
        return {
            **kept,
            **EXPORT,
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": traces,
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
            "GOMAXPROCS": "1",
        }

    def wait_for(self, url: str) -> None:
        """Until this is answered with 200; raises NotReadyError."""
        deadline = time.perf_counter() + READY_WITHIN
        while time.perf_counter() < deadline:
            try:
                if self.control.get(url).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.01)
        raise NotReadyError(f"{url} was not answered within {READY_WITHIN:g} s")

    def _get(self, port: int, path: str) -> str:
        return self.control.get(f"http://127.0.0.1:{port}{path}").raise_for_status().text


@contextmanager
def open_site(rig: Rig) -> Iterator[Site]:
    """The upstream, for as long as the block lasts; raises MissingProgramError and NotReadyError."""
    guarded, direct = processes.free_port(), processes.free_port()
    with TemporaryDirectory(prefix="adt-gateway-bench-") as name:
        folder = Path(name)
        _write_certificate(folder)
        control = httpx.Client(trust_env=False, verify=False, timeout=30.0)  # noqa: S501 - our own certificate
        site = Site(rig, guarded, direct, folder, control)
        own = site.own_folder("upstream")
        _write_documents(own / "www")
        config = nginx.upstream_config(own, guarded, direct)
        with control, nginx.nginx(config, own, rig.load_cores):
            site.wait_for(f"http://127.0.0.1:{direct}/_status")
            yield site


def _write_documents(folder: Path) -> None:
    folder.mkdir()
    listed: list[dict[str, str]] = []
    while len(json.dumps({"value": listed})) < _LIST:
        listed.append(job(len(listed)))
    (folder / "list").write_text(json.dumps({"value": listed}))
    with (folder / "large").open("wb") as large:
        large.write(os.urandom(1 << 20) * (LARGE >> 20))


def _write_certificate(folder: Path) -> None:
    certificate = trustme.CA().issue_cert(*_NAMES)
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(folder / "certificate.pem"), append=number > 0)
