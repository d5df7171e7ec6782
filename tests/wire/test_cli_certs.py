"""`adt-gateway certs`: the files it makes, with a real gateway and the clients that it tells about."""

import asyncio
import json
import os
import shlex
import ssl
import stat
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import httpx
import pytest
from azure.core.exceptions import ServiceRequestError
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core.aio import DigitalTwinsClient as AioClient

from gateway.certificates import BUNDLE, ways
from tests.support import faults
from tests.support.checking import invoke
from tests.support.gateway import running_gateway
from tests.support.process import GUARD, environment, run
from tests.support.programs import require_program
from tests.support.sdk import sdk_options
from tests.support.upstream import fault_upstream

EVENT_ROUTES = faults.reply(200, b'{"value": []}', [(b"Content-Type", b"application/json")])
TARGET = "/eventroutes?api-version=2023-10-31"


def make(folder: Path, *arguments: str) -> str:
    """Run the command in this directory; what it said."""
    ended = invoke("certs", "--dir", str(folder), *arguments)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def configuration(said: str) -> dict[str, object]:
    """The lines for the gateway's configuration, read as the TOML that they are."""
    block = said.partition("configuration:\n")[2].partition("How clients are told")[0]
    listen: dict[str, object] = tomllib.loads(block)["listen"]
    return listen


@asynccontextmanager
async def serving(said: str) -> AsyncIterator[str]:
    """A gateway that is configured as the command says; its port is free, so its URL is told."""
    async with (
        fault_upstream(EVENT_ROUTES) as upstream,
        running_gateway(upstream.origin, listen=configuration(said)) as gateway,
    ):
        assert gateway.data.startswith("https://127.0.0.1:")
        yield f"https://localhost:{gateway.address[1]}"


async def program(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run a program; its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=environment(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(GUARD):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that were made once."""
    made = tmp_path_factory.mktemp("certs") / "tls"
    make(made)
    return made


async def test_what_it_makes(tmp_path: Path) -> None:
    """As a process: four files, keys and directory for their owner only, and the lines
    of the configuration.
    """
    folder = tmp_path / "a" / "tls"
    before = os.umask(0)
    try:
        ended = await run("certs", "--dir", str(folder))
    finally:
        os.umask(before)
    assert (ended.code, ended.err) == (0, "")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "tls.crt": 0o644, "tls.key": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert configuration(ended.out) == {
        "tls": {"certificate_file": str(folder / "tls.crt"), "key_file": str(folder / "tls.key")}
    }
    assert "for localhost, 127.0.0.1, ::1: made, until " in ended.out


def test_the_default_directory(tmp_path: Path) -> None:
    """Without --dir the files go to the user's data directory, outside of any checkout."""
    for environ, where in (
        ({"XDG_DATA_HOME": str(tmp_path / "x")}, "x/adt-gateway/tls"),
        ({"XDG_DATA_HOME": "relative", "HOME": str(tmp_path)}, ".local/share/adt-gateway/tls"),
    ):
        assert invoke("certs", **environ).code == 0
        assert (tmp_path / where / "tls.crt").is_file()


def test_check_takes_them(folder: Path) -> None:
    """`check` finds nothing wrong with the lines that are printed."""
    written = folder.parent / "gateway.toml"
    block = make(folder).partition("configuration:\n")[2].partition("How clients are told")[0]
    written.write_text(f'upstream.base_url = "http://127.0.0.1:1"\nauth.mode = "none"\n{block}')
    assert invoke("check", "--config", str(written)).code == 0


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
    java = require_program("java", "apt-get install openjdk-17-jdk-headless")
    keytool = require_program("keytool", "apt-get install openjdk-17-jdk-headless")
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


async def test_renewal_keeps_the_trust(tmp_path: Path) -> None:
    """With --renew the certificate is another, the CA the same: a client that trusts it needs nothing new."""
    folder = tmp_path / "tls"
    make(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    trusting = ssl.create_default_context(cafile=folder / "ca.pem")
    said = make(folder, "--renew")
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"tls.crt", "tls.key"}
    assert "Clients that trust ca.pem need nothing new." in said
    assert "at its start: restart it." in said
    async with serving(said) as url, httpx.AsyncClient(verify=trusting, trust_env=False) as client:
        assert (await client.get(url + TARGET)).status_code == 200


async def test_mtls(tmp_path: Path) -> None:
    """With --client the gateway wants certificates of this CA; its own does not pass for one."""
    folder = tmp_path / "tls"
    said = make(folder, "--client", "my-app")
    assert stat.S_IMODE((folder / "client-my-app.key").stat().st_mode) == 0o600
    async with serving(said) as url:
        for name, admitted in (("client-my-app", True), ("tls", False), (None, False)):
            context = ssl.create_default_context(cafile=folder / "ca.pem")
            if name is not None:
                context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
            assert await _admitted(url, context) == admitted


async def _admitted(url: str, context: ssl.SSLContext) -> bool:
    connector = aiohttp.TCPConnector(ssl=context)
    try:
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url + TARGET) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def test_hosts_beyond_loopback(tmp_path: Path) -> None:
    """Other hosts are put on the allow-list too, without which the gateway would refuse them."""
    said = make(tmp_path / "tls", "--host", "Gateway.internal", "--host", "10.1.2.3", "--host", "localhost")
    assert configuration(said)["allowed_hosts"] == [
        "localhost",
        "127.0.0.1",
        "::1",
        "gateway.internal",
        "10.1.2.3",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "https://x"), "--host: must be an IP address"),
        (("--host", "*.example"), "--host: must be an IP address"),
        (("--client", "../x"), "--client: must be at most 64 letters"),
        (("--client", "a.b"), "--client: must be at most 64 letters"),
    ],
    ids=["url", "wildcard", "path", "dotted"],
)
def test_bad_usage(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """What cannot be done: exit 2, one line, nothing written."""
    ended = invoke("certs", "--dir", str(tmp_path / "tls"), *arguments)
    assert (ended.code, ended.out, len(ended.lines)) == (2, "", 1)
    assert ended.lines[0].startswith(f"error: {said}")
    assert not (tmp_path / "tls").exists()


def test_days_have_bounds(tmp_path: Path) -> None:
    """A server's certificate of more than 397 days is refused by some clients, so none is made."""
    assert invoke("certs", "--dir", str(tmp_path), "--days", "398").code == 2
    assert invoke("certs", "--dir", str(tmp_path), "--days", "0").code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    """A key whose mode was opened is warned of."""
    make(tmp_path / "tls")
    key = tmp_path / "tls" / "ca.key"
    key.chmod(0o644)
    ended = invoke("certs", "--dir", str(tmp_path / "tls"))
    assert (ended.code, ended.err) == (0, f"warning: {key} can be read by others: chmod 600\n")


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """A file that is there and not of this CA: exit 2 with its name, and not a byte of it changes."""
    foreign = tmp_path / "tls.key"
    foreign.write_text("somebody's")
    for arguments in ((), ("--renew",)):
        ended = invoke("certs", "--dir", str(tmp_path), *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert str(foreign) in ended.err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["somebody's"]
