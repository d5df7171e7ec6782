"""What issuers say, read without an exception and without ever letting a secret out."""

import base64
import json
import math
import random
import ssl
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.tokens import pace, unreachable
from gateway.tokens.challenge import claims_asked_for
from gateway.tokens.claims import asked_pause, bearer, json_object, jwt_expiry, seconds
from gateway.tokens.clock import Time
from gateway.tokens.token import FetchedToken, SourceError, Token

ANY_TEXT = st.text(st.characters())
"""Lone surrogates too: that is how aiohttp gives bytes of a header that are not UTF-8."""
CANARY = "kanarienvogel7f3a9"


@given(
    st.sampled_from(["Retry-After", "retry-after", "RETRY-AFTER-MS", "x-ms-retry-after-ms", "x"]), ANY_TEXT
)
@example("Retry-After", "\udcff")
@example("Retry-After", "30")
def test_any_header_is_a_pause_or_none(name: str, value: str) -> None:
    """Whatever an issuer's header holds, bytes that are no text included, it is up to 300 s or nothing."""
    pause = asked_pause({name: value, "\udcff": ""}, 1e9)
    assert pause is None or 0 <= pause <= 300
    if value == "30":
        assert pause == 30


@given(st.floats(-1e12, 1e12) | st.integers(-(10**400), 10**400))
def test_the_exp_of_a_token_is_read_back(expiry: float) -> None:
    """A JWT's exp as a number, with or without padding; one that no float holds is none."""
    payload = base64.urlsafe_b64encode(json.dumps({"exp": expiry}).encode()).decode()
    for written in (payload, payload.rstrip("=")):
        found = jwt_expiry(f"h.{written}.s")
        if abs(expiry) < 1e300:
            assert found == float(expiry)
        else:
            assert found is None
    assert jwt_expiry(f"h.{payload}") is None
    assert jwt_expiry(f"h.{payload}.s.x") is None


@given(ANY_TEXT | st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.lists(st.text()))
def test_numbers_and_tokens_of_any_type(value: object) -> None:
    """Seconds are finite numbers; a token is visible ASCII and nothing else."""
    number = seconds(value)
    assert number is None or (math.isfinite(number) and not isinstance(value, bool))
    try:
        assert bearer(value) == value
    except SourceError:
        assert not isinstance(value, str) or not value or set(value) - set(map(chr, range(33, 127)))
    else:
        assert isinstance(value, str)
        assert value
        assert set(value) <= set(map(chr, range(33, 127)))


@given(
    st.binary(max_size=40) | st.dictionaries(st.text(), st.integers()).map(lambda d: json.dumps(d).encode())
)
def test_objects_and_nothing_else(text: bytes) -> None:
    """JSON objects come back as they are; anything else is none."""
    found = json_object(text)
    if found is not None:
        assert json.loads(text) == found


HEADER_VALUES = st.binary(max_size=60) | st.builds(
    b'Bearer error="insufficient_claims", claims="%b"'.__mod__, st.binary(max_size=30)
)


@given(st.lists(st.tuples(st.sampled_from([b"www-authenticate", b"x"]), HEADER_VALUES), max_size=4))
@example([(b"www-authenticate", b'error="insufficient_claims", claims="="')])
def test_any_challenge_is_claims_or_none(headers: list[tuple[bytes, bytes]]) -> None:
    """No header makes the reading raise."""
    found = claims_asked_for(headers)
    assert found is None or found.encode()


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=9), min_size=1), st.booleans(), st.booleans())
def test_claims_are_read_back(claims: dict[str, str], urlsafe: bool, padded: bool) -> None:
    """Either alphabet of base64, with or without padding."""
    text = json.dumps(claims)
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    value = encode(text.encode())
    written = value if padded else value.rstrip(b"=")
    header = b'Bearer realm="", error="insufficient_claims", claims="%b"' % written
    assert claims_asked_for([(b"x", b"y"), (b"www-authenticate", header)]) == text
    assert claims_asked_for([(b"www-authenticate", header.replace(b"insufficient", b"other"))]) is None
    assert claims_asked_for([(b"authenticate", header)]) is None


def test_padding_and_alphabet_of_claims() -> None:
    """Padding may be wrong, an X at the end is no padding, and the first challenge that has claims counts."""
    for written, text in (
        (b"e30====", "{}"),
        (b"e30=", "{}"),
        (b"e30", "{}"),
        (b"YWJX", "abW"),
        (b"Pz8_", "???"),
    ):
        header = b'Bearer error="insufficient_claims", claims="%b"' % written
        assert claims_asked_for([(b"www-authenticate", b"Basic"), (b"www-authenticate", header)]) == text
    assert claims_asked_for([(b"www-authenticate", b'error="insufficient_claims", claims="e!0="')]) is None
    assert claims_asked_for([(b"www-authenticate", b'error="insufficient_claims", claims=""')]) is None
    longest = base64.b64encode(b"x" * 6_144)
    for claims, said in ((longest, "x" * 6_144), (longest + b"eA==", None)):
        value = b'error="insufficient_claims", claims="%b"' % claims
        assert claims_asked_for([(b"www-authenticate", value)]) == said


LIVES = st.none() | st.just(math.inf) | st.floats(allow_nan=False, min_value=-1e6)


@given(
    LIVES, st.none() | st.floats(allow_nan=False), st.floats(0, 1e6), st.floats(0, 1e3), st.integers(0, 99)
)
@example(life=None, refresh_in=math.inf, started=0.0, took=0.0, seed=0)
def test_a_token_is_used_within_its_life(
    life: float | None, refresh_in: float | None, started: float, took: float, seed: int
) -> None:
    """It is let go before it expires, and its successor is asked for before; or it has expired already.

    Where a source says "never" it is not asked again before it has something new to say.
    """
    now = started + took
    time = Time(now=lambda: now, wall=lambda: 1e9 + now, chance=random.Random(seed))  # noqa: S311 - jitter
    fetched = FetchedToken(CANARY, life, refresh_in)
    try:
        token = pace.token_of(fetched, "s", started, time)
    except SourceError:
        assert (pace.ASSUMED_LIFE if life is None else life) <= max(0.0, took * 20 / 19 + pace.LONGEST_LEEWAY)
        return
    assert now < token.usable_until <= token.expires_at
    assert token.refresh_at >= started + pace.SHORTEST_WAIT
    latest = math.inf if refresh_in == math.inf else max(token.expires_at, started + pace.SHORTEST_WAIT)
    assert token.refresh_at <= latest
    assert (token.expires_on is None) == (token.expires_at == math.inf)
    if token.expires_on is not None:
        assert abs(token.expires_on - token.expires_at - 1e9) < 1


@given(
    st.builds(Token, st.just(CANARY), *[st.text()] * 1, *[st.floats()] * 3, st.none())
    | st.builds(FetchedToken, st.just(CANARY), st.none())
)
def test_a_token_never_shows_its_value(token: Token | FetchedToken) -> None:
    """Not in repr, not in str, not in a format."""
    assert CANARY not in f"{token} {token!r}"


ERRORS = st.sampled_from(
    [
        lambda: ConnectionRefusedError(111, CANARY),
        lambda: OSError(CANARY),
        lambda: ssl.SSLError(1, CANARY),
        lambda: ValueError(f"https://{CANARY}"),
        TimeoutError,
    ]
)


@given(st.lists(ERRORS, min_size=1, max_size=4), st.booleans())
def test_reasons_are_the_systems_words(makers: list[type[BaseException]], grouped: bool) -> None:
    """Any chain of exceptions is read to its end, and no text of a library's is repeated."""
    chain = [make() for make in makers]
    for outer, inner in pairwise(chain):
        outer.__cause__ = inner
    error: BaseException = BaseExceptionGroup("g", chain) if grouped else chain[0]
    told = unreachable.reason(error)
    assert told is None or CANARY not in told
