"""The commands where no gateway is needed: usage, configuration, nobody at home."""

import re
import socket
from pathlib import Path

import pytest

from gateway._version import __version__
from tests.support.console import invoke


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "purge", "x"), ("show", "import"), ("list", "--status", "done"), ("list", "--kind", "x"),
        ("list", "--limit", "0"), ("list", "--limit", "1001"), ("watch", "--interval", "0"), ("cancel",), (),
    ],
)  # fmt: skip
def test_bad_usage(arguments: tuple[str, ...]) -> None:
    """What makes no sense is exit 2 and the way to help."""
    ended = invoke(*arguments)
    assert ended.code == 2
    assert "Usage: " in ended.err + ended.out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("watch", "import"), "Give KIND and ID of one job, or neither to watch all that are unfinished."),
        (("list", "--admin", "localhost:9464"), "--admin: must be an absolute http:// or https:// URL"),
        (("list", "--config", "/nowhere"), "/nowhere: cannot be read: No such file or directory"),
        (("show", "import", ""), "ID must not be empty, nor longer than a URL can be."),
        (("cancel", "import", "x"), "There is no terminal to ask at; --yes cancels without asking."),
        (("cancel", "x", "y"), "Give the ID of one import job; in quotes if it has spaces."),
        (("cancel", "import", "x", "y"), "Give the ID of one import job; in quotes if it has spaces."),
        (
            ("cancel", "deletion", "x"),
            "A deletion job cannot be cancelled: the service has no such operation.",
        ),
        (
            ("cancel", "x", "-y", "--key-file", "/nowhere"),
            "--key-file: the file cannot be read: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_tried(arguments: tuple[str, ...], line: str) -> None:
    """A mistake that the options alone do not show is one line and exit 2."""
    ended = invoke(*arguments)
    assert (ended.code, ended.out, ended.lines) == (2, "", [f"error: {line}"])


def test_a_bad_configuration() -> None:
    """Mistakes in what is read of the configuration are told as `check` tells them, others not at all."""
    ended = invoke("list", ADT_GATEWAY_ADMIN__PORT="x", ADT_GATEWAY_LISTEN__PORT="x")
    port = "admin.port: must be a whole number from 0 to 65535 (ADT_GATEWAY_ADMIN__PORT)"
    assert (ended.code, ended.lines) == (2, [f"error: {port}"])


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("show", "import", "x"), ("watch",), ("watch", "import", "x"), ("cancel", "x", "-y")],
)
def test_no_gateway(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """A gateway that is not running is one line with its address, exit 1."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "gateway.toml"
    config.write_text(f"admin.port = {port}\nlisten.port = {port}\n")
    ended = invoke(*arguments, "--config", str(config))
    assert (ended.code, ended.out) == (1, "")
    [line] = ended.lines
    assert re.match(rf"error: No gateway answers at http://127\.0\.0\.1:{port} \(.*\): is it running\?", line)


@pytest.mark.parametrize("command", ["list", "show", "watch", "cancel", None])
def test_version(command: str | None) -> None:
    """`--version` works everywhere."""
    ended = invoke(*([command] if command else []), "--version")
    assert (ended.code, ended.out, ended.err) == (0, f"adt-gateway {__version__}\n", "")
