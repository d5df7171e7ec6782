"""The limits: nginx as a proxy that only puts the token on, and no proxy at all."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import processes
from tests.bench.candidates.kind import Candidate
from tests.bench.nginx import nginx, proxy_config
from tests.bench.site import TOKEN, Site


@contextmanager
def proxy(site: Site) -> Iterator[Candidate]:
    """nginx: no spans, no metrics."""
    port = processes.free_port()
    folder = site.own_folder("nginx")
    config = proxy_config(folder, port, site.guarded, TOKEN)
    with nginx(config, folder, site.rig.gateway_cores) as process:
        site.wait_for(f"http://127.0.0.1:{port}/jobs/imports/bench")
        yield Candidate("nginx", port, process.pid)


@contextmanager
def direct(site: Site) -> Iterator[Candidate]:
    """The upstream where it wants no token: what load and upstream take by themselves."""
    yield Candidate("direct", site.direct, None)
