"""The fleet's store, as the gateway would find it."""

import random

from gateway import online
from gateway.config import Settings, parse_fleet_url, parse_origin
from gateway.job_requests.fleet import instance_of
from gateway.online import Finding


async def look_at_store(settings: Settings) -> Finding:
    """Whether it lets this gateway in; that it does not is no failure, since gateways go on without."""
    if settings.fleet.url is None:
        return online.skipped("there is no fleet: fleet.url is not set")
    # Redis's library takes a while to be imported, and few have a fleet.
    from gateway.fleet.trial import NotLetIn, try_store  # noqa: PLC0415

    url = parse_fleet_url(settings.fleet.url.get_secret_value())
    try:
        server = await try_store(
            settings.fleet,
            instance=instance_of(parse_origin(settings.upstream.base_url)),
            chance=random.Random(),  # noqa: S311 - which Sentinel is asked first
        )
    except NotLetIn as error:
        return online.warned(
            f"{url.shown} cannot be used: {error}",
            advice="The gateway serves without it, but keeps to its part of jobs.rate, by itself"
            f" (fleet.expected_size). Check fleet.url, its user and password, and {_about_tls(tls=url.tls)}.",
        )
    where = f"{url.shown} lets this gateway in"
    return online.ok(where) if url.mode == "single" else online.ok(where, f"the server is {server}")


def _about_tls(*, tls: bool) -> str:
    if tls:
        return "fleet.ca_file; a port without TLS wants redis:// in place of rediss://"
    return "whether that port wants TLS, which rediss:// asks for"
