"""`serve` over TLS while its certificate is renewed, as a real process."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.support.certificates import CertificateFiles, write_certificates
from tests.support.process import serving
from tests.support.raw import raw_client
from tests.support.upstream import fault_upstream
from tests.support.wire import request

GUARD = 30.0
"""Seconds in which a change must have been taken up, which takes two looks, five seconds apart."""


@pytest.mark.slow
async def test_a_renewed_certificate_fails_no_request(tmp_path: Path) -> None:
    """A volume that changes as Kubernetes' secrets do is taken up while requests come; none fails."""
    volume = Volume(tmp_path)
    before, after = volume.version("first"), volume.version("second")
    volume.show("first")
    async with fault_upstream() as upstream, serving(volume.environment(upstream.origin)) as running:
        async with raw_client(*running.address, tls=trusting(before), server_name="localhost") as standing:
            await standing.send(request())
            assert (await standing.response()).status == 200
            volume.show("second")
            async with asyncio.timeout(GUARD):
                while not await answered(running.address, trusting(after)):
                    assert await answered(running.address, trusting(before, after))
            await standing.send(request())
            assert (await standing.response()).status == 200
        assert await answered(running.address, trusting(after))
        assert not await answered(running.address, trusting(before))


class Volume:
    """Versions of the listener's files, one of which a link shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown = folder / "data"

    def version(self, name: str) -> CertificateFiles:
        (self.folder / name).mkdir()
        return write_certificates(self.folder / name)

    def show(self, name: str) -> None:
        """Put the link in place in one step."""
        link = self.folder / "link"
        link.symlink_to(name)
        link.replace(self.shown)

    def environment(self, upstream: str) -> dict[str, str]:
        return {
            "ADT_GATEWAY_UPSTREAM__BASE_URL": upstream,
            "ADT_GATEWAY_AUTH__MODE": "none",
            "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0",
            "ADT_GATEWAY_LISTEN__TLS__CERTIFICATE_FILE": str(self.shown / "tls.crt"),
            "ADT_GATEWAY_LISTEN__TLS__KEY_FILE": str(self.shown / "tls.key"),
        }


def trusting(*files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files[0].ca)
    for more in files[1:]:
        context.load_verify_locations(more.ca)
    return context


async def answered(address: tuple[str, int], context: ssl.SSLContext) -> bool:
    """Whether a request over a new connection gets 200; False where the certificate is not trusted."""
    try:
        async with raw_client(*address, tls=context, server_name="localhost") as client:
            await client.send(request())
            return (await client.response()).status == 200
    except ssl.SSLCertVerificationError:
        return False
