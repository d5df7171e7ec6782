"""A client of pyreqwest that adds nothing, follows nothing, decodes nothing and keeps no cookies."""

from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.proxy import ProxyBuilder

from gateway.config import Upstream as UpstreamSettings
from gateway.scheduling import unhurried


def build_client(settings: UpstreamSettings, *, user_agent: str) -> Client:
    """Build it, with a pool of its own; takes some 10 ms, and reads `upstream.ca_file`.

    What is abandoned before its head may run on for longer than every deadline of whoever waits for it.
    """
    times = settings.timeout
    abandon_after = max(times.head_total, times.read_idle) + 1
    builder = (
        ClientBuilder()
        .http1_only()
        .http1_lower_case_headers()
        .follow_redirects(False)
        .referer(False)
        .default_cookie_store(False)
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .user_agent(user_agent)
        .connect_timeout(timedelta(seconds=times.connect))
        .read_timeout(timedelta(seconds=abandon_after))
        .pool_idle_timeout(timedelta(seconds=settings.pool_idle))
        .pool_max_idle_per_host(settings.max_connections)
    )
    builder = builder.proxy(ProxyBuilder.all(settings.proxy)) if settings.proxy else builder.no_proxy()
    if settings.ca_file is not None:
        builder = builder.add_root_certificate_pem(settings.ca_file.read_bytes())
    # The first client starts the thread that sends and receives for all of them.
    with unhurried():
        return builder.build()
