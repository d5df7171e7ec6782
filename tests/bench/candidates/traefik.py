"""Traefik: OTLP tracing, Prometheus, the token as a header that a middleware puts on; one processor."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import processes
from tests.bench.candidates.kind import Candidate, Duties, total
from tests.bench.programs import path_of
from tests.bench.site import TOKEN, Site

_IDLE = 1_024
"""Idle upstream connections that are kept; with 200, the default, 512 callers would mean ever new ones."""


@contextmanager
def traefik(site: Site) -> Iterator[Candidate]:
    """It with a route for everything."""
    port, admin = processes.free_port(), processes.free_port()
    routes = site.own_folder("traefik") / "routes.yml"
    routes.write_text(json.dumps(_routes(site)))
    options = {
        "global.checkNewVersion": "false",
        "global.sendAnonymousUsage": "false",
        "log.level": "ERROR",
        "providers.file.filename": str(routes),
        "providers.file.watch": "false",
        "entryPoints.app.address": f"127.0.0.1:{port}",
        "entryPoints.metrics.address": f"127.0.0.1:{admin}",
        "metrics.prometheus.entryPoint": "metrics",
        "tracing.serviceName": "traefik",
        "tracing.sampleRate": "1.0",
        "tracing.otlp.http.endpoint": f"http://127.0.0.1:{site.rig.sink}/v1/traces",
    }
    command = (path_of("traefik"), *(f"--{name}={value}" for name, value in options.items()))
    with processes.program(
        *command, cores=site.rig.gateway_cores, environ=site.environ("traefik"), stderr=subprocess.DEVNULL
    ) as process:
        site.wait_for(f"http://127.0.0.1:{port}/jobs/imports/bench")
        duties = Duties(
            spans=("server", "client"),
            counted=lambda: total(site.samples(admin), "traefik_service_requests_total"),
        )
        yield Candidate("traefik", port, process.pid, duties)


def _routes(site: Site) -> dict[str, object]:
    upstream = {
        "servers": [{"url": f"http://127.0.0.1:{site.guarded}"}],
        "serversTransport": "kept",
    }
    router = {
        "rule": "PathPrefix(`/`)",
        "entryPoints": ["app"],
        "middlewares": ["token"],
        "service": "upstream",
    }
    return {
        "http": {
            "routers": {"all": router},
            "middlewares": {
                "token": {"headers": {"customRequestHeaders": {"Authorization": f"Bearer {TOKEN}"}}}
            },
            "services": {"upstream": {"loadBalancer": upstream}},
            "serversTransports": {"kept": {"maxIdleConnsPerHost": _IDLE}},
        }
    }
