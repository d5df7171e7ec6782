"""Caddy: tracing, metrics, the token as a header put on upstream; one processor."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import processes
from tests.bench.candidates.kind import Candidate, Duties, total
from tests.bench.programs import path_of
from tests.bench.site import TOKEN, Site

# It keeps 32 idle upstream connections by default, so that 512 callers would mean new ones all the time.
_CONFIGURATION = """
{{
  admin 127.0.0.1:{admin}
  persist_config off
  auto_https off
  metrics
  log {{
    level ERROR
  }}
}}
http://127.0.0.1:{port} {{
  tracing {{
    span caddy
  }}
  reverse_proxy 127.0.0.1:{upstream} {{
    header_up Authorization "Bearer {token}"
    transport http {{
      keepalive_idle_conns_per_host 1024
    }}
  }}
}}
"""


@contextmanager
def caddy(site: Site) -> Iterator[Candidate]:
    """It in front of everything."""
    port, admin = processes.free_port(), processes.free_port()
    folder = site.own_folder("caddy")
    (folder / "Caddyfile").write_text(
        _CONFIGURATION.format(admin=admin, port=port, upstream=site.guarded, token=TOKEN)
    )
    homes = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = (path_of("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile")
    with processes.program(
        *command,
        cores=site.rig.gateway_cores,
        environ={**site.environ("caddy"), **homes},
        stderr=subprocess.DEVNULL,
    ) as process:
        site.wait_for(f"http://127.0.0.1:{port}/jobs/imports/bench")
        duties = Duties(
            spans=("server",),
            # Only the first handler that a request meets counts it.
            counted=lambda: total(site.samples(admin), "caddy_http_requests_total", 'handler="subroute"'),
        )
        yield Candidate("caddy", port, process.pid, duties)
