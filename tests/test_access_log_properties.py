"""What masks and escapes the log's lines, for any text at all."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.access_log.redaction import MASK, printable, redact, suspicious

CANARY = "kanarienvogel7f3a9"
SECRETS = st.text(string.ascii_letters + string.digits + "-_.~", min_size=8, max_size=30).map(
    lambda tail: CANARY + tail
)
AROUND = st.text(max_size=12)
PLACES = (
    "Authorization: {}",
    "authorization: Basic {}",
    "('authorization', 'Bearer {}')",
    "(b'authorization', b'{}')",
    '{{"Authorization": "Digest {}"}}',
    "Bearer {}",
    "bearer  {}",
    "https://x/y?sv=1&sig={}&se=2",
    "sig%3D{}",
    "grant_type=x&client_secret={}",
    '{{"access_token": "{}"}}',
    "{{'refresh_token': '{}'}}",
    "id_token: {}",
    "client_assertion={}",
    "subscription-key={}",
    "api-key: {}",
    "X-Gateway-Key: {}",
    "(b'x-gateway-key', b'{}')",
    "password={}",
    "eyJ{}.eyJz.c2ln",
)


@pytest.mark.parametrize("place", PLACES)
@given(SECRETS, AROUND, AROUND)
@example(CANARY + "00000000", "basic", "")
def test_no_secret_survives_in_its_place(place: str, secret: str, before: str, after: str) -> None:
    """Wherever credentials stand in what libraries write, whatever is around them, they are masked."""
    line = f"{before} {place.format(secret)} {after}"
    assert suspicious(line)
    assert CANARY not in redact(line)


@given(st.text() | st.text("aeiknorstuyhbJ=:_-. %&\"'{}()[]0123", max_size=60))
@example("Authorization")
@example("sig=")
@example("\u0130sig=1")
def test_what_is_changed_was_suspicious(text: str) -> None:
    """The cheap look never misses what the patterns would find, and a clean text stays as it is."""
    masked = redact(text)
    if masked == text:
        return
    assert suspicious(text)
    assert MASK in masked


@given(st.text(), st.integers(1, 40))
@example("\x1b[2J\u2028\u202e\r\n", 40)
@example("\ud800", 4)
def test_printed_text_is_one_bounded_line(text: str, limit: int) -> None:
    """What comes out prints, in one line, as long as allowed, escapes aside; a clean text is itself."""
    out = printable(text, limit)
    assert out.isprintable()
    out.encode()
    assert len(out) <= len(r"\U0010ffff") * limit
    if len(text) <= limit and text.isprintable():
        assert out == text
    if text.isprintable():
        assert len(out) <= limit
        assert printable(out, limit) == out
