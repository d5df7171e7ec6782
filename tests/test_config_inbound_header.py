"""The shared key's header: none that the gateway reads, logs or sends itself may be given for it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway
from tests.support.configuration import problems

ELSEWHERE = {"certificates", "cli", "console", "demo", "emulator", "online", "tokens"}
"""Rooms that the requests of apps do not come to."""
NO_FIELDS = {
    "api-version", "chunked", "close", "deflate", "digest", "gateway", "gzip", "h2c", "identity",
    "j", "job", "jobs", "list", "none", "null", "p", "same-origin", "true", "upstream", "x-gzip", "z",
}  # fmt: skip
"""Words in the source that are no names of fields."""
OF_ANSWERS = {
    "api-supported-versions", "server", "strict-transport-security", "vary", "x-content-type-options",
}  # fmt: skip
"""Fields that only answers have."""


def words() -> Iterator[str]:
    """All words in bytes, as names of fields are written, of the source that apps' requests come to."""
    house = Path(gateway.__file__).parent
    for path in sorted(house.rglob("*.py")):
        if path.relative_to(house).parts[0].removesuffix(".py") in ELSEWHERE:
            continue
        constants = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
        values = (node.value for node in constants if isinstance(node.value, bytes))
        yield from (
            value.decode() for value in values if re.fullmatch(rb"[a-z][a-z0-9]*(-[a-z0-9]+)*", value)
        )


FIELDS = sorted(set(words()) - NO_FIELDS - OF_ANSWERS)
FAMILIES = [
    "accept-x", "access-control-x", "content-x", "if-x", "proxy-x", "sec-x", "x-b3-x", "x-datadog-x",
    "x-forwarded-x", "x-ms-x",
]  # fmt: skip


def test_the_source_names_fields() -> None:
    """What is looked for is found, and every word that is left out is still there."""
    assert {"host", "origin", "user-agent", "tracestate", "x-ms-client-request-id"} <= set(FIELDS)
    assert set(words()) >= NO_FIELDS | OF_ANSWERS


@pytest.mark.parametrize("header", [*FIELDS, *FAMILIES, "Cookie", "USER-AGENT", "forwarded", "referer"])
def test_a_field_with_a_meaning(header: str, tmp_path: Path) -> None:
    """A field that the gateway knows, its relatives, and what browsers fill in, carry no key."""
    (line,) = problems(tmp_path, f"auth.inbound.header = '{header}'")
    assert line.startswith(f"auth.inbound.header: must have no other meaning, which {header.lower()} has")
