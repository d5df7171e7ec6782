"""`adt-gateway certs`: the clients that it names trust a gateway as they are told to, and not without."""

import asyncio
import json
import shlex
import sys
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core.aio import DigitalTwinsClient as AioClient

from gateway.certificates import BUNDLE, ways
from tests.support.local_ca import TARGET, make, program, serving
from tests.support.programs import require_program
from tests.support.sdk import sdk_options


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that were made once."""
    made = tmp_path_factory.mktemp("certs") / "tls"
    make(made)
    return made


async def test_the_azure_sdk(folder: Path) -> None:
    """The SDK for Python, sync and aio, with `connection_verify`; without it the gateway is refused."""
    ca = str(folder / "ca.pem")
    async with serving(make(folder)) as url:

        def listed(**more: object) -> list[object]:
            client = DigitalTwinsClient(url, **sdk_options(**more))
            with client._client:
                return list(client.list_event_routes())

        assert await asyncio.to_thread(listed, connection_verify=ca) == []
        with pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"):
            await asyncio.to_thread(listed, retry_total=0)
        async with AioClient(url, **sdk_options(connection_verify=ca)) as client:
            assert [route async for route in client.list_event_routes()] == []
        async with AioClient(url, **sdk_options(retry_total=0)) as client:
            with pytest.raises(ServiceRequestError):
                [route async for route in client.list_event_routes()]


SYNC_SDK = """
import sys
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core import DigitalTwinsClient
policy = SansIOHTTPPolicy()
client = DigitalTwinsClient(
    sys.argv[1], credential=object(), authentication_policy=policy, retry_total=0
)
print(list(client.list_event_routes()))
"""

AIO_SDK = """
import asyncio, sys
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core.aio import DigitalTwinsClient
async def main():
    policy = SansIOHTTPPolicy()
    async with DigitalTwinsClient(
        sys.argv[1], credential=object(), authentication_policy=policy, retry_total=0
    ) as client:
        print([route async for route in client.list_event_routes()])
asyncio.run(main())
"""

REQUESTS = f"import requests, sys; print(requests.get(sys.argv[1] + '{TARGET}').json()['value'])"

HTTPX = f"import httpx, sys; print(httpx.get(sys.argv[1] + '{TARGET}').json()['value'])"

AIOHTTP = f"""
import aiohttp, asyncio, sys
async def main():
    async with aiohttp.request("GET", sys.argv[1] + "{TARGET}") as answer:
        print((await answer.json())["value"])
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("variable", "script"),
    [
        ("REQUESTS_CA_BUNDLE", SYNC_SDK),
        ("REQUESTS_CA_BUNDLE", REQUESTS),
        ("SSL_CERT_FILE", AIO_SDK),
        ("SSL_CERT_FILE", HTTPX),
        ("SSL_CERT_FILE", AIOHTTP),
    ],
    ids=["sync SDK", "requests", "aio SDK", "httpx", "aiohttp"],
)
async def test_python_by_its_environment(folder: Path, variable: str, script: str) -> None:
    """The variable that is told makes each library trust the gateway; without it the gateway is refused."""
    async with serving(make(folder)) as url:
        assert (await program(sys.executable, "-c", script, url))[0] != 0
        trusting = {variable: str(folder / "ca.pem")}
        assert await program(sys.executable, "-c", script, url, **trusting) == (0, "[]\n")


async def test_a_bundle(folder: Path, tmp_path: Path) -> None:
    """The command that is told makes a bundle with the public CAs and this one."""
    command = BUNDLE.format(ca=folder / "ca.pem").replace("python", shlex.quote(sys.executable))
    code, said = await program("sh", "-c", f"cd {shlex.quote(str(tmp_path))} && {command}")
    assert (code, said) == (0, "")
    bundle = tmp_path / "bundle.pem"
    assert bundle.read_text().count("BEGIN CERTIFICATE") > 100
    async with serving(make(folder)) as url:
        trusting = {"REQUESTS_CA_BUNDLE": str(bundle)}
        assert await program(sys.executable, "-c", REQUESTS, url, **trusting) == (0, "[]\n")


async def test_curl(folder: Path) -> None:
    """With --cacert curl gets through; without it the gateway is refused (60)."""
    curl = require_program("curl", "apt-get install curl")
    async with serving(make(folder)) as url:
        code, said = await program(curl, "-sS", "--cacert", str(folder / "ca.pem"), url + TARGET)
        assert (code, json.loads(said)) == (0, {"value": []})
        assert (await program(curl, "-sS", url + TARGET))[0] == 60
        by_address = url.replace("localhost", "127.0.0.1") + TARGET
        assert (await program(curl, "-sS", by_address, CURL_CA_BUNDLE=str(folder / "ca.pem")))[0] == 0


async def test_node(folder: Path) -> None:
    """Node.js with NODE_EXTRA_CA_CERTS, by name and by address; without it the gateway is refused."""
    node = require_program("node", "apt-get install nodejs")
    script = "fetch(process.argv[1]).then(r => r.json()).then(b => console.log(JSON.stringify(b.value)))"
    async with serving(make(folder)) as url:
        trusting = {"NODE_EXTRA_CA_CERTS": str(folder / "ca.pem")}
        for base in (url, url.replace("localhost", "127.0.0.1")):
            assert await program(node, "-e", script, base + TARGET, **trusting) == (0, "[]\n")
        assert (await program(node, "-e", script, url + TARGET))[0] != 0


JAVA = """
import java.net.URI;
import java.net.http.*;
class Get {
    public static void main(String[] args) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(args[0])).build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.body());
    }
}
"""


@pytest.mark.slow
async def test_java(folder: Path, tmp_path: Path) -> None:
    """Java with the CA imported into a trust store by keytool; without it the gateway is refused."""
    java = require_program("java", "apt-get install default-jre-headless")
    keytool = require_program("keytool", "apt-get install default-jre-headless")
    [way] = [way for way in ways() if way.client == "Java"]
    store = tmp_path / "store"
    # The machine's own store is left alone.
    ours = f"-keystore {shlex.quote(str(store))}"
    arguments = shlex.split(way.at(folder / "ca.pem").replace("-cacerts", ours))
    assert (await program(keytool, *arguments[1:]))[0] == 0
    (tmp_path / "Get.java").write_text(JAVA)
    source = str(tmp_path / "Get.java")
    async with serving(make(folder)) as url:
        trust = (f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit")
        assert await program(java, *trust, source, url + TARGET) == (0, '{"value": []}\n')
        assert (await program(java, source, url + TARGET))[0] != 0
