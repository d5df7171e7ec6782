"""An app that uses Azure Digital Twins through the gateway, again and again, and holds no credential.

Each round: an import job, one too many beside it, a few reads with some that go wrong, an import that fails,
and a deletion job. The app makes spans as any instrumented app does, so that a trace begins here.
"""

import logging
import os
import signal
import sys
import time
import uuid
from pathlib import Path
from types import FrameType

import httpx
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

log = logging.getLogger("app")
SAMPLES = Path(os.environ["SAMPLES"])
PAUSE = 2.0
"""Seconds between two rounds, and after a round that went wrong."""
UNFINISHED = {"notstarted", "running", "cancelling"}


class App:
    """One user of the gateway; `emulator` keeps the import files, and is told what shall go wrong."""

    def __init__(self, gateway: httpx.Client, emulator: httpx.Client, tracer: trace.Tracer) -> None:
        self._gateway = gateway
        self._emulator = emulator
        self._tracer = tracer

    def round(self) -> None:
        """All that this app does, once; each step is one trace. Raises httpx.HTTPError when something fails
        that should not.
        """
        with self._tracer.start_as_current_span("import campus"):
            self._import("campus.ndjson", beside=True)
        with self._tracer.start_as_current_span("look around"):
            self._look_around()
        with self._tracer.start_as_current_span("import broken model"):
            self._import("broken-model.ndjson")
        with self._tracer.start_as_current_span("delete all"):
            self._delete_all()

    def _import(self, name: str, *, beside: bool = False) -> None:
        job_id = f"{name.partition('.')[0]}-{uuid.uuid4().hex[:8]}"
        blobs = f"{self._emulator.base_url}/blob/demo"
        self._emulator.put(f"/blob/demo/{name}", content=(SAMPLES / name).read_bytes()).raise_for_status()
        body = {"inputBlobUri": f"{blobs}/{name}", "outputBlobUri": f"{blobs}/{job_id}.log"}
        self._gateway.put(f"/jobs/imports/{job_id}", json=body).raise_for_status()
        if beside:
            say("one too many", self._gateway.put(f"/jobs/imports/{job_id}-beside", json=body))
        self._follow(f"/jobs/imports/{job_id}")

    def _look_around(self) -> None:
        query = {"query": "SELECT * FROM digitaltwins"}
        twins = self._gateway.post("/query", json=query).raise_for_status().json()["value"]
        for twin in twins[:10]:
            self._gateway.get(f"/digitaltwins/{twin['$dtId']}").raise_for_status()
        say("no such twin", self._gateway.get("/digitaltwins/nobody"))
        for kind in ("html-502", "conforming", "empty-403"):
            self._emulator.post(
                "/_emulator/faults", json={"path": "/models", "kind": kind}
            ).raise_for_status()
            say(kind, self._gateway.get("/models"))

    def _delete_all(self) -> None:
        created = self._gateway.post("/jobs/deletions", headers={"operation-id": uuid.uuid4().hex})
        self._follow(created.raise_for_status().headers["operation-location"])

    def _follow(self, url: str) -> None:
        while (job := self._gateway.get(url).raise_for_status().json())["status"] in UNFINISHED:
            time.sleep(1)
        log.info("%s %s %s", url, job["status"], (job.get("error") or {}).get("code", ""))


def say(what: str, answer: httpx.Response) -> None:
    """Tell the error that the gateway gave."""
    log.info("%s: %s %s", what, answer.status_code, answer.headers.get("x-ms-error-code"))


def leave(_number: int, _frame: FrameType | None) -> None:
    """End at SIGTERM, which the first process of a container otherwise ignores."""
    sys.exit(0)


def main() -> None:
    """Rounds without end."""
    signal.signal(signal.SIGTERM, leave)
    logging.basicConfig(format="%(message)s")
    log.setLevel("INFO")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    version = {"api-version": "2023-10-31"}
    with (
        httpx.Client(base_url=os.environ["GATEWAY_URL"], params=version, timeout=60) as gateway,
        httpx.Client(base_url=os.environ["EMULATOR_URL"], timeout=10) as emulator,
    ):
        HTTPXClientInstrumentor.instrument_client(gateway, tracer_provider=provider)
        app = App(gateway, emulator, provider.get_tracer("app"))
        while True:
            try:
                app.round()
            except httpx.HTTPError as error:
                log.warning("the round went wrong: %s", error)
            time.sleep(PAUSE)


if __name__ == "__main__":
    main()
