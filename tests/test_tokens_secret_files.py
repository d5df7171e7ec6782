"""The file of a client's secret: what is read of it, and what is said where that cannot be."""

from pathlib import Path

import pytest

from gateway.tokens.secret import read_text


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (b"abc", ("abc", "")),
        (b"abcX\n", ("abcX", "")),
        (b"a b\r\n\r\n", ("a b", "")),
        (b" abc ", (" abc ", "")),
        ("\u00e9".encode(), ("\u00e9", "")),
        (b"x" * 65_536, ("x" * 65_536, "")),
        (b"x" * 65_537, ("", "is too large")),
        (b"", ("", "is empty")),
        (b"\n", ("", "is empty")),
        (b"\xff", ("", "is not text")),
    ],
    ids=[
        "plain",
        "line end",
        "line ends",
        "blanks",
        "UTF-8",
        "largest",
        "too large",
        "none",
        "empty",
        "bytes",
    ],
)
def test_what_is_read(content: bytes, read: tuple[str, str], tmp_path: Path) -> None:
    """Text up to 64 KiB without its line end, or what is wrong with it; never both."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert read_text(file) == read


def test_no_file(tmp_path: Path) -> None:
    """The system's words."""
    assert read_text(tmp_path / "none") == ("", "cannot be read (No such file or directory)")
