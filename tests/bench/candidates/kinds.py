"""All kinds, in the order in which a round goes through them; the reach is about the first two."""

from functools import partial

from tests.bench.candidates.caddy import caddy
from tests.bench.candidates.envoy import envoy
from tests.bench.candidates.gateway import gateway
from tests.bench.candidates.kind import Kind, Part
from tests.bench.candidates.limits import direct, proxy
from tests.bench.candidates.plain import plain
from tests.bench.candidates.traefik import traefik


def _gateway(
    name: str, part: Part = "job", *, engine: str = "pyreqwest", sampled: float = 1.0, tls: bool = False
) -> Kind:
    start = partial(gateway, name=name, engine=engine, sampled=sampled, tls=tls)
    return Kind(name, start, part=part)


KINDS = (
    _gateway("gateway-asyncio", "all", engine="asyncio"),
    _gateway("gateway", "all"),
    _gateway("gateway-asyncio-unsampled", engine="asyncio", sampled=0.0),
    _gateway("gateway-1-percent", sampled=0.01),
    _gateway("gateway-unsampled", sampled=0.0),
    _gateway("gateway-httpx", "all", engine="httpx"),
    Kind("plain", plain, ("uvicorn",)),
    Kind("envoy", envoy, ("envoy",)),
    Kind("envoy-two-spans", partial(envoy, name="envoy-two-spans", client_span=True), ("envoy",), "job"),
    Kind("traefik", traefik, ("traefik",)),
    Kind("caddy", caddy, ("caddy",)),
    Kind("nginx", proxy, ("nginx",)),
    Kind("direct", direct),
    _gateway("gateway-asyncio-tls", "tls", engine="asyncio", tls=True),
    _gateway("gateway-tls", "tls", tls=True),
    Kind("envoy-tls", partial(envoy, name="envoy-tls", tls=True), ("envoy",), "tls"),
)
