"""Envoy: OpenTelemetry tracer, credential injector, statistics; one worker."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench import processes
from tests.bench.candidates.kind import Candidate, Duties, total
from tests.bench.programs import path_of
from tests.bench.site import TOKEN, Site

_TYPE = "type.googleapis.com/envoy"
_NETWORK = f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_INJECTOR = f"{_TYPE}.extensions.filters.http.credential_injector.v3.CredentialInjector"
_CREDENTIAL = f"{_TYPE}.extensions.http.injected_credentials.generic.v3.Generic"
_TRACER = f"{_TYPE}.config.trace.v3.OpenTelemetryConfig"
_ROUTER = f"{_TYPE}.extensions.filters.http.router.v3.Router"
_TLS = f"{_TYPE}.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_RUNTIME = {"tracing.opentelemetry.min_flush_spans": 512, "tracing.opentelemetry.flush_interval_ms": 500}
"""By default it exports as soon as it has 5 spans, which costs it dear."""
_MANY = 10_000


@contextmanager
def envoy(
    site: Site, name: str = "envoy", *, client_span: bool = False, tls: bool = False
) -> Iterator[Candidate]:
    """One span for each request, as it does by itself, or one for the upstream's part too."""
    port, admin = processes.free_port(), processes.free_port()
    path = site.own_folder(name) / "envoy.json"
    path.write_text(json.dumps(_configuration(site, name, port, admin, client_span=client_span, tls=tls)))
    command = (path_of("envoy"), "-c", str(path), "--concurrency", "1", "--use-dynamic-base-id")
    with processes.program(
        *command, "--log-level", "error", cores=site.rig.gateway_cores, stderr=subprocess.DEVNULL
    ) as process:
        site.wait_for(f"http://127.0.0.1:{admin}/ready")
        duties = Duties(
            spans=("server", "client") if client_span else ("server",),
            counted=lambda: _counted(site, admin),
        )
        yield Candidate(name, port, process.pid, duties, tls=tls)


def _counted(site: Site, admin: int) -> float:
    samples = site.samples(admin, "/stats/prometheus?filter=cluster.upstream.upstream_rq_total")
    return total(samples, "envoy_cluster_upstream_rq_total")


def _configuration(
    site: Site, name: str, port: int, admin: int, *, client_span: bool, tls: bool
) -> dict[str, Any]:
    chain: dict[str, Any] = {"filters": [_typed(_NETWORK, **_manager(site, name, client_span=client_span))]}
    if tls:
        chain["transport_socket"] = _typed(
            _TLS, common_tls_context={"tls_certificates": [_certificate(site)]}
        )
    return {
        "admin": {"address": _address(admin)},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _RUNTIME}]},
        "static_resources": {
            "secrets": [
                {"name": "token", "generic_secret": {"secret": {"inline_string": f"Bearer {TOKEN}"}}}
            ],
            "listeners": [{"name": "app", "address": _address(port), "filter_chains": [chain]}],
            "clusters": [_cluster("upstream", site.guarded), _cluster("sink", site.rig.sink)],
        },
    }


def _manager(site: Site, name: str, *, client_span: bool) -> dict[str, Any]:
    traces = {"uri": f"http://127.0.0.1:{site.rig.sink}/v1/traces", "cluster": "sink", "timeout": "5s"}
    tracer = _typed(_TRACER, service_name=name, http_service={"http_uri": traces})
    injector = _typed(_INJECTOR, overwrite=True, credential=_typed(_CREDENTIAL, credential={"name": "token"}))
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    return {
        "stat_prefix": "app",
        "tracing": {
            "random_sampling": {"value": 100},
            "provider": tracer,
            "spawn_upstream_span": client_span,
        },
        "route_config": {"virtual_hosts": [{"name": "upstream", "domains": ["*"], "routes": [route]}]},
        "http_filters": [injector, _typed(_ROUTER)],
    }


def _typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": kind.rpartition("/")[2], "typed_config": {"@type": kind, **fields}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}
    limits = {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY}
    return {
        "name": name,
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": name, "endpoints": [endpoint]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _certificate(site: Site) -> dict[str, Any]:
    return {
        "certificate_chain": {"filename": str(site.folder / "certificate.pem")},
        "private_key": {"filename": str(site.folder / "key.pem")},
    }
