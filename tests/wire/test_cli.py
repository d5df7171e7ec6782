"""The commands as real processes: exit codes, one clear line for each mistake, nothing half started."""

import asyncio
import socket
import tomllib
from pathlib import Path

import pytest

from gateway._version import __version__
from tests.support.process import Ended, run

URL = "ADT_GATEWAY_UPSTREAM__BASE_URL"
GOOD = {URL: "http://127.0.0.1:1", "ADT_GATEWAY_AUTH__MODE": "none"}
FREE = {"ADT_GATEWAY_LISTEN__PORT": "0", "ADT_GATEWAY_ADMIN__PORT": "0"}
ADT = "https://example.api.weu.digitaltwins.azure.net"
SECRET = "hunter2-hunter2"


def refused(ended: Ended, *lines: str) -> None:
    """Exit code 2, these lines and nothing else, nothing on standard output."""
    assert (ended.code, ended.out) == (2, "")
    assert ended.lines == [f"error: {line}" for line in lines]


async def test_version() -> None:
    """`--version` says one line, everywhere, and exits 0."""
    commands = ((), ("serve",), ("check",), ("certs",), ("demo",), ("emulator",))
    for ended in await asyncio.gather(*(run(*command, "--version") for command in commands)):
        assert (ended.code, ended.out, ended.err) == (0, f"adt-gateway {__version__}\n", "")


async def test_help_names_every_command() -> None:
    """`--help` exits 0 and names the commands of the contract that there are."""
    ended = await run("--help")
    assert ended.code == 0
    for command in ("serve", "demo", "emulator", "check", "certs", "jobs"):
        assert command in ended.out


async def test_help_of_each_command() -> None:
    """Each command's help names all of its options."""
    options = {
        "check": ("--online", "--json", "--config", "--version"),
        "certs": ("--dir", "--host", "--days", "--renew", "--client", "--version"),
    }
    for command, names in options.items():
        ended = await run(command, "--help")
        assert ended.code == 0
        for name in names:
            assert name in ended.out


@pytest.mark.parametrize("module", ["typer", "cryptography"])
async def test_ctrl_c_while_it_starts(tmp_path: Path, module: str) -> None:
    """Ctrl-C while the program, or one command, still loads its libraries: 130, and no traceback."""
    code = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n"
    (tmp_path / f"{module}.py").write_text(code)
    ended = await run("certs", "--dir", str(tmp_path / "tls"), environ={"PYTHONPATH": str(tmp_path)})
    assert (ended.code, ended.out, ended.err) == (130, "", "")


async def test_bad_usage() -> None:
    """An unknown command or option, a stray argument, no command: exit 2 and the way to help."""
    wrong = (("frobnicate",), ("serve", "--frobnicate"), ("serve", "x"), ())
    for ended in await asyncio.gather(*(run(*arguments) for arguments in wrong)):
        assert ended.code == 2
        assert "Usage: " in ended.err + ended.out


@pytest.mark.parametrize("command", ["serve", "check"])
async def test_nothing_configured(command: str) -> None:
    """Without a file and without variables the one required key is named."""
    ended = await run(command)
    refused(ended, f"upstream.base_url: is required; set it in the file or as {URL}")


async def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Unknown key, wrong type, bad value, missing file, in file and environment: a line each, in one run."""
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[upstream]\nbase_url = "{ADT}"\nengin = "httpx"\nca_file = "{tmp_path}/none"\n'
        f'[listen]\nport = "many"\n[auth]\nmode = "file"\nfile.path = "{tmp_path}"\n'
    )
    environ = {"ADT_GATEWAY_LIMITS__HEAD_TIMEOUT": "-1", "ADT_GATEWAY_NOPE__X": "1"}
    ended = await run("serve", "--config", str(config), environ=environ)
    assert ended.code == 2
    assert all(line.startswith("error: ") for line in ended.lines)
    keys = sorted(line.removeprefix("error: ").partition(": ")[0] for line in ended.lines)
    assert keys == [
        "auth.file.path",
        "limits.head_timeout",
        "listen.port",
        "nope.x",
        "upstream.ca_file",
        "upstream.engin",
    ]
    assert any("did you mean" in line and "engine" in line for line in ended.lines)
    assert any(line.endswith("(ADT_GATEWAY_LIMITS__HEAD_TIMEOUT)") for line in ended.lines)
    assert "Traceback" not in ended.err


async def test_check_says_the_same_as_serve(tmp_path: Path) -> None:
    """`check` finds what `serve` would refuse."""
    config = tmp_path / "gateway.toml"
    config.write_text('[upstream]\nbase_url = "ftp://x"\n[log]\nlevel = 3\n')
    told = await asyncio.gather(*(run(command, "--config", str(config)) for command in ("serve", "check")))
    assert [ended.code for ended in told] == [2, 2]
    assert told[0].lines == told[1].lines
    assert len(told[0].lines) == 2


async def test_missing_and_broken_files(tmp_path: Path) -> None:
    """A configuration that is not there, is a folder, is not TOML: one line each with the file's name."""
    broken = tmp_path / "broken.toml"
    broken.write_text("[upstream\n")
    paths = (tmp_path / "none.toml", tmp_path, broken)
    told = await asyncio.gather(*(run("serve", "--config", str(path)) for path in paths))
    for path, ended in zip(paths, told, strict=True):
        assert (ended.code, len(ended.lines)) == (2, 1)
        assert ended.err.startswith(f"error: {path}: ")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"ADT_GATEWAY_AUTH__OAUTH2__CLIENT_SECRET_FILE": "/nowhere/secret"},
            (
                "auth.oauth2.client_secret_file: the file cannot be read: No such file or directory"
                " (ADT_GATEWAY_AUTH__OAUTH2__CLIENT_SECRET_FILE)"
            ),
        ),
        (
            {"ADT_GATEWAY_AUTH__OAUTH2__CLIENT_SECRET_FILE": "/"},
            (
                "auth.oauth2.client_secret_file: the path is not that of a regular file"
                " (ADT_GATEWAY_AUTH__OAUTH2__CLIENT_SECRET_FILE)"
            ),
        ),
        (
            {"ADT_GATEWAY_AUTH__OAUTH2__CLIENT_SECRET": ""},
            "auth.oauth2.client_secret: is required with auth.mode = oauth2; client_secret_file does as well",
        ),
    ],
)
async def test_missing_secret(environ: dict[str, str], line: str) -> None:
    """A secret that is not there, or not readable: one line with the key, before anything listens."""
    oauth2 = {
        URL: ADT,
        "ADT_GATEWAY_AUTH__MODE": "oauth2",
        "ADT_GATEWAY_AUTH__OAUTH2__TOKEN_URL": "https://issuer.example/token",
        "ADT_GATEWAY_AUTH__OAUTH2__CLIENT_ID": "app",
    }
    refused(await run("serve", environ={**oauth2, **environ}), line)


async def test_missing_inbound_key_file() -> None:
    """A key file that is not there ends the start as well."""
    ended = await run("serve", environ={**GOOD, "ADT_GATEWAY_AUTH__INBOUND__KEY_FILES__APP": "/nowhere/key"})
    refused(
        ended,
        "auth.inbound.key_files.app: the file cannot be read: No such file or directory"
        " (ADT_GATEWAY_AUTH__INBOUND__KEY_FILES__APP)",
    )


async def test_open_bind_needs_authentication() -> None:
    """An address that others can reach without a key or mTLS is refused."""
    ended = await run("serve", environ={**GOOD, **FREE, "ADT_GATEWAY_LISTEN__HOST": "0.0.0.0"})  # noqa: S104
    refused(
        ended,
        "listen.host: must be loopback unless auth.inbound.keys, auth.inbound.key_files or"
        " listen.tls.client_ca_file is set (ADT_GATEWAY_LISTEN__HOST)",
    )


@pytest.mark.parametrize("section", ["listen", "admin"])
async def test_busy_port(section: str) -> None:
    """A port in use: one line that says which and what to do, exit 2, and the other port was let go."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {**GOOD, **FREE, f"ADT_GATEWAY_{section.upper()}__PORT": str(port)}
        ended = await run("serve", environ=environ)
    refused(
        ended,
        f"{section}.port: cannot listen on 127.0.0.1:{port}: Address already in use; "
        f"set {section}.host or {section}.port, or stop what uses it",
    )


async def test_address_of_another_machine() -> None:
    """An address this machine does not have: one line, exit 2."""
    environ = {**GOOD, **FREE, "ADT_GATEWAY_ADMIN__HOST": "192.0.2.1"}
    ended = await run("serve", environ=environ)
    assert (ended.code, len(ended.lines)) == (2, 1)
    assert ended.lines[0].startswith("error: admin.port: cannot listen on 192.0.2.1:0: ")


async def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    """No message of a bad configuration holds a configured secret."""
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[upstream]\nbase_url = "{ADT}"\nproxy = "nonsense://u:{SECRET}@p"\n'
        f'[auth]\nmode = "oauth2"\noauth2.client_secret = "{SECRET}"\n'
        f'oauth2.client_secret_file = "{SECRET}"\n'
        f'inbound.keys.app = "{SECRET} with spaces"\nstatic.token = ["{SECRET}"]\n'
    )
    told = await asyncio.gather(*(run(command, "--config", str(config)) for command in ("serve", "check")))
    for ended in told:
        assert ended.code == 2
        assert SECRET not in ended.err + ended.out


async def test_check_accepts_what_is_right(tmp_path: Path) -> None:
    """A valid configuration: exit 0 and one line; secrets in clear are warned of on standard error."""
    config = tmp_path / "gateway.toml"
    config.write_text(f'upstream.base_url = "{ADT}"\nauth.mode = "static"\nauth.static.token = "{SECRET}"\n')
    ended = await run("check", "--config", str(config))
    assert (ended.code, ended.out) == (0, f"The configuration is valid: {ADT}, auth.mode static.\n")
    assert any(line.startswith("warning: auth.static.token: ") for line in ended.lines)
    assert SECRET not in ended.err


async def test_example_configuration_is_valid() -> None:
    """The example file is accepted by `check` as it is."""
    example = Path(__file__).parents[2] / "config.example.toml"
    tomllib.loads(example.read_text())
    ended = await run("check", "--config", str(example))
    assert (ended.code, ended.err) == (0, "")


async def test_kubernetes_service_variables_are_not_ours() -> None:
    """What Kubernetes injects for a Service of our name is no configuration."""
    injected = {"ADT_GATEWAY_PORT": "tcp://10.0.0.1:8080", "ADT_GATEWAY_SERVICE_HOST": "10.0.0.1"}
    assert (await run("check", environ={**GOOD, **injected})).code == 0


async def test_console_script_is_the_same_program() -> None:
    """`adt-gateway` and `python -m gateway` are one."""
    scripts = Path(__file__).parents[2] / "pyproject.toml"
    assert tomllib.loads(scripts.read_text())["project"]["scripts"] == {"adt-gateway": "gateway.cli:main"}
