"""All kinds, in the order in which a round goes through them; the first is what the reach is about."""

from functools import partial

from tests.bench.candidates.caddy import caddy
from tests.bench.candidates.envoy import envoy
from tests.bench.candidates.gateway import gateway
from tests.bench.candidates.kind import Kind, Part
from tests.bench.candidates.limits import direct, proxy
from tests.bench.candidates.plain import plain
from tests.bench.candidates.traefik import traefik


def _gateway(name: str, part: Part = "job", *, sampled: float = 1.0, tls: bool = False) -> Kind:
    return Kind(name, partial(gateway, name=name, sampled=sampled, tls=tls), part=part)


KINDS = (
    _gateway("gateway", "all"),
    _gateway("gateway-1-percent", sampled=0.01),
    _gateway("gateway-unsampled", sampled=0.0),
    Kind("gateway-httpx", partial(gateway, name="gateway-httpx", engine="httpx")),
    Kind("plain", plain, ("uvicorn",)),
    Kind("envoy", envoy, ("envoy",)),
    Kind("envoy-two-spans", partial(envoy, name="envoy-two-spans", client_span=True), ("envoy",), "job"),
    Kind("traefik", traefik, ("traefik",)),
    Kind("caddy", caddy, ("caddy",)),
    Kind("nginx", proxy, ("nginx",)),
    Kind("direct", direct),
    _gateway("gateway-tls", "tls", tls=True),
    Kind("envoy-tls", partial(envoy, name="envoy-tls", tls=True), ("envoy",), "tls"),
)
