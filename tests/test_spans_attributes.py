"""Attributes are fit for export whatever was sent, and show no value of a query but the API version."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.spans.attributes import TEXT_LENGTH, Attributes, Origin, client, redacted, server
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


@given(st.binary(), st.binary(), st.binary(), st.text(), st.binary(), st.sampled_from([1, 400, 9_000]))
def test_any_bytes_make_attributes_that_can_be_exported(
    path: bytes, query: bytes, host: bytes, method: str, agent: bytes, times: int
) -> None:
    """Nothing raises, every text is valid UTF-8 and bounded: one bad value would lose its whole batch."""
    exchange = replace(
        an_exchange(),
        raw_path=path * times,
        query=query * times,
        host=host,
        method=method,
        headers=[(b"user-agent", agent * times)],
    )
    origin = Origin.of("https://x.example")
    made: Attributes = {}
    for told, usual in (server(exchange), client(exchange, an_attempt(exchange), origin)):
        for tell, said in told:
            made |= tell(*said)
            assert max(len(value) for value in said if isinstance(value, bytes)) <= (512 if usual else 8_192)
    for value in made.values():
        if isinstance(value, str):
            assert len(value) <= TEXT_LENGTH
            value.encode("utf-8")


@pytest.mark.parametrize("path", [b"/x", b"/\xff", "/\u20ac".encode(), b"/\xf0\x9f"])
def test_a_long_value_is_cut_as_if_it_were_whole(path: bytes) -> None:
    """What waits for its export is cut before it is text, and the text is the same."""
    exchange = replace(an_exchange(), raw_path=path * 10_000)
    made: Attributes = {}
    for tell, said in server(exchange)[0]:
        made |= tell(*said)
    assert made["url.path"] == exchange.raw_path.decode("utf-8", "backslashreplace")[:TEXT_LENGTH]


def test_a_secret_of_the_query_does_not_wait_for_the_export() -> None:
    """Neither the queue nor what the encoder keeps ever holds it."""
    exchange = an_exchange()
    assert b"secret" in exchange.query
    assert "secret" not in repr(client(exchange, an_attempt(exchange), Origin.of("https://x.example")))
