"""`adt-gateway certs`: the files it makes and keeps, and what it refuses."""

import os
import ssl
import stat
from pathlib import Path

import aiohttp
import httpx
import pytest

from tests.support.checking import invoke
from tests.support.local_ca import TARGET, configuration, make, serving
from tests.support.process import run


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
    assert "A gateway that runs takes up the new certificate\nwithin seconds." in said
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
    """Other hosts come beside loopback, and are put on the allow-list too, without which the gateway would
    refuse them.
    """
    said = make(tmp_path / "tls", "--host", "Gateway.internal", "--host", "10.1.2.3", "--host", "localhost")
    assert configuration(said)["allowed_hosts"] == [
        "localhost",
        "127.0.0.1",
        "::1",
        "gateway.internal",
        "10.1.2.3",
    ]
    assert "for localhost, 127.0.0.1, ::1, gateway.internal, 10.1.2.3: made" in said


@pytest.mark.parametrize(
    "host",
    ["::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::FFFF:0A01:0203", "2001:DB8::1", "GATEWAY.internal"],
)
def test_the_same_hosts_again(tmp_path: Path, host: str) -> None:
    """However a host is spelled, the same command again keeps what is there, and --renew is not refused."""
    for more, what in (((), "made"), ((), "kept"), (("--renew",), "renewed")):
        said = make(tmp_path / "tls", "--host", host, *more)
        [line] = [line for line in said.splitlines() if line.startswith("  tls.crt  for ")]
        assert f": {what}, until " in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "fine", "--host", "https://x"), "--host: 'https://x' must be an IP address, without"),
        (("--host", "a\x1b[31m"), "--host: 'a\\x1b[31m' must be an IP address, without"),
        (("--host", "*.example"), "--host: '*.example' is a wildcard, which is not allowed; name each host"),
        (("--host", "::1%lo"), "--host: '::1%lo' must be an IP address, without"),
        (
            ("--host", "::0.0.0.0"),
            "--host: '::0.0.0.0' stands for every address; name those that clients use",
        ),
        (("--host", "0.0.0.0"), "--host: '0.0.0.0' stands for every address"),  # noqa: S104 - to be refused
        (("--dir", ""), "--dir: must not be empty"),
        (("--client", "../x"), "--client: must be at most 64 letters"),
        (("--client", "a.b"), "--client: must be at most 64 letters"),
    ],
    ids=["url", "control", "wildcard", "zone", "every IPv6", "every IPv4", "no dir", "path", "dotted"],
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


def test_a_directory_that_others_can_write_to(tmp_path: Path) -> None:
    """Where others could replace the CA that is warned of; the sticky bit, as /tmp has it, prevents that."""
    for mode, said in ((0o775, True), (0o757, True), (0o755, False), (0o1777, False)):
        tmp_path.chmod(mode)
        ended = invoke("certs", "--dir", str(tmp_path))
        warning = f"warning: others can write to {tmp_path}, and so put another CA or key there: chmod go-w\n"
        assert (ended.code, ended.err) == (0, warning if said else "")


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """A file that is there and not of this CA: exit 2 with its name, and not a byte of it changes."""
    foreign = tmp_path / "tls.key"
    foreign.write_text("somebody's")
    for arguments in ((), ("--renew",)):
        ended = invoke("certs", "--dir", str(tmp_path), *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert str(foreign) in ended.err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["somebody's"]
