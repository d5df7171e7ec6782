"""The emulator as an upstream that keeps its limit of one jobs request a second: a process of its own."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from gateway.emulator import EmulatorSettings
from tests.bench import processes
from tests.bench.rig import READY_WITHIN, NotReadyError, Rig

_VERSION = {"api-version": "2023-10-31"}
_LONG = 600.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request that came to the emulator; `at` in seconds since the epoch."""

    at: float
    status: int | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator."""

    port: int
    client: httpx.Client

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **jobs: str) -> Mapping[str, str]:
        """Keys of a gateway in front of it, with its limit; `jobs` are keys of that section."""
        issuer = EmulatorSettings()
        return {
            "UPSTREAM__BASE_URL": self.url,
            "AUTH__OAUTH2__TOKEN_URL": f"{self.url}/{issuer.tenant}/oauth2/v2.0/token",
            "AUTH__OAUTH2__CLIENT_ID": issuer.client_id,
            "AUTH__OAUTH2__CLIENT_SECRET": issuer.client_secret,
            **{f"JOBS__{key.upper()}": value for key, value in jobs.items()},
        }

    def create_imports(self, count: int) -> None:
        """Imports `0` and on, past the limit; the last one runs for ten minutes, the others have ended."""
        self._change(rate_limit=None, verify_tokens=False, job_start_seconds=0, job_seconds=0)
        body = {"inputBlobUri": f"{self.url}/blob/a/b", "outputBlobUri": f"{self.url}/blob/a/c"}
        for number in range(count):
            if number == count - 1:
                self._change(job_seconds=_LONG)
            self.client.put(f"/jobs/imports/{number}", params=_VERSION, json=body).raise_for_status()
        self._change(rate_limit=1.0, verify_tokens=True)
        self.client.delete("/_emulator/requests").raise_for_status()

    def arrived(self) -> list[Arrived]:
        """The jobs requests since `create_imports`, in order."""
        requests: list[dict[str, Any]] = self.client.get("/_emulator/requests").json()["requests"]
        return [
            Arrived(datetime.fromisoformat(each["time"]).timestamp(), each["status"], each["request_id"])
            for each in requests
            if each["target"].startswith("/jobs/")
        ]

    def _change(self, **settings: object) -> None:
        self.client.post("/_emulator/settings", content=json.dumps(settings)).raise_for_status()


@contextmanager
def emulator(rig: Rig) -> Iterator[Emulator]:
    """One, until the block ends; raises NotReadyError."""
    port = processes.free_port()
    with (
        processes.running("-m", "gateway", "emulator", "--port", str(port), cores=rig.load_cores),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        deadline = time.perf_counter() + READY_WITHIN
        while time.perf_counter() < deadline:
            try:
                client.get("/_emulator/settings").raise_for_status()
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                yield Emulator(port, client)
                return
        raise NotReadyError("the emulator was not ready in time")
