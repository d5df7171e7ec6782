"""The gateway with all its duties: token of an issuer, spans, metrics, and a log line for each exchange."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.bench.candidates.kind import Candidate, Duties, total
from tests.bench.rig import UNPACED
from tests.bench.site import EXPORT, Site

_COUNT = "http_server_request_duration_seconds_count"
_CONNECTIONS = "600"
"""Upstream connections at most: as the others, it must not make 512 callers wait for one."""


@contextmanager
def gateway(
    site: Site, name: str, *, engine: str = "pyreqwest", sampled: float = 1.0, tls: bool = False
) -> Iterator[Candidate]:
    """A gateway whose exchanges are each for itself: no pacing, no coalescing, no watching of jobs."""
    settings = {
        **UNPACED,
        "UPSTREAM__BASE_URL": f"http://127.0.0.1:{site.guarded}",
        "UPSTREAM__MAX_CONNECTIONS": _CONNECTIONS,
        "TRACING__SAMPLE_RATIO": str(sampled),
        **(_certificate(site) if tls else {}),
    }
    variables = {**EXPORT, "OTEL_SERVICE_NAME": name}
    with site.rig.gateway(engine, settings=settings, variables=variables) as started:
        duties = Duties(
            spans=("server", "client"),
            sampled=sampled,
            counted=lambda: total(site.samples(started.admin), _COUNT),
        )
        yield Candidate(name, started.data, started.pid, duties, tls=tls)


def _certificate(site: Site) -> Mapping[str, str]:
    return {
        "LISTEN__TLS__CERTIFICATE_FILE": str(site.folder / "certificate.pem"),
        "LISTEN__TLS__KEY_FILE": str(site.folder / "key.pem"),
    }
