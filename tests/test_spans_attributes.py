"""Attributes are fit for export whatever was sent, and show no value of a query but the API version."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.spans.attributes import TEXT_LENGTH, Origin, client_start, redacted, server_start
from tests.support.tracing import an_attempt, an_exchange


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (b"", b""),
        (b"api-version=2023-10-31", b"api-version=2023-10-31"),
        (b"sv=1&sig=abc%3D&api-version=1", b"sv=REDACTED&sig=REDACTED&api-version=1"),
        (b"a=b=c", b"a=REDACTED"),
        (b"a=", b"a=REDACTED"),
        (b"token", b"REDACTED"),
        (b"a=1&&b=2", b"a=REDACTED&&b=REDACTED"),
        (b"API-VERSION=1", b"API-VERSION=REDACTED"),
        (b"api-version=1;sig=abc", b"api-version=REDACTED"),
        (b"api-version", b"REDACTED"),
    ],
)
def test_only_the_api_version_keeps_its_value(query: bytes, shown: bytes) -> None:
    """Every other value, and a word without a name, is replaced."""
    assert redacted(query) == shown


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://x.example", Origin("https://x.example", "x.example", 443)),
        ("http://127.0.0.1:8090", Origin("http://127.0.0.1:8090", "127.0.0.1", 8090)),
        ("http://localhost", Origin("http://localhost", "localhost", 80)),
        ("https://[::1]:8443", Origin("https://[::1]:8443", "::1", 8443)),
        ("https://user:secret@x.example/path?sig=1", Origin("https://x.example", "x.example", 443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: Origin) -> None:
    """The port is always known, and user information is left out."""
    assert Origin.of(url) == origin


@given(st.binary(), st.binary(), st.binary(), st.text(), st.binary())
def test_any_bytes_make_attributes_that_can_be_exported(
    path: bytes, query: bytes, host: bytes, method: str, agent: bytes
) -> None:
    """Nothing raises, every text is valid UTF-8 and bounded: one bad value would lose its whole batch."""
    exchange = replace(
        an_exchange(), raw_path=path, query=query, host=host, method=method, headers=[(b"user-agent", agent)]
    )
    origin = Origin.of("https://x.example")
    made = server_start(exchange) | client_start(exchange, an_attempt(exchange), origin)
    for value in made.values():
        if isinstance(value, str):
            assert len(value) <= TEXT_LENGTH
            value.encode("utf-8")
