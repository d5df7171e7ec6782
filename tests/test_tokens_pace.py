"""When to refresh, stop and try again; and what issuers say about time: properties of the pure functions."""

import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens import pace
from gateway.tokens.claims import asked_pause, bearer, json_object, jwt_expiry, seconds
from gateway.tokens.token import SourceError

LIVES = st.floats(min_value=1, max_value=1e9)
CHANCE = st.integers().map(random.Random)


@given(LIVES, st.none() | st.floats(), CHANCE)
def test_refresh_lies_within_the_life(life: float, refresh_in: float | None, chance: random.Random) -> None:
    """Whatever the issuer wishes, the refresh comes after half a second and before expiry, or never."""
    delay = pace.refresh_delay(life, refresh_in, chance)
    assert delay == math.inf or 0.5 <= delay < life


@given(st.integers(min_value=1, max_value=10**9), st.none() | st.floats(allow_nan=False), CHANCE)
def test_backoff_is_bounded(failures: int, wish: float | None, chance: random.Random) -> None:
    """A pause is at least 1 s, at most 30 s, or what the issuer asked for up to 300 s."""
    pause = pace.backoff(failures, wish, chance)
    assert 1 <= pause <= 300
    assert pause <= 30 or (wish is not None and wish >= pause)


@given(LIVES)
def test_leeway_leaves_most_of_the_life(life: float) -> None:
    """The leeway is 5 s for long lives and a twentieth of short ones."""
    assert 0 < pace.leeway(life) <= min(5, life / 20)


class End(random.Random):
    """Chance that always takes the upper end, or the lower one."""

    def __init__(self, upper: bool) -> None:
        super().__init__()
        self._upper = upper

    def uniform(self, a: float, b: float) -> float:
        return b if self._upper else a


LATEST, EARLIEST = End(upper=True), End(upper=False)


@pytest.mark.parametrize(("life", "leeway"), [(10.0, 0.5), (99.0, 4.95), (100.0, 5.0), (3_600.0, 5.0)])
def test_leeways(life: float, leeway: float) -> None:
    """A twentieth up to 100 s of life."""
    assert pace.leeway(life) == leeway


@pytest.mark.parametrize(
    ("life", "refresh_in", "latest"),
    [
        (3_600, None, 1_800),
        (3_600, 600, 600),
        (3_600, 0.6, 0.6),
        (3_600, 0, 1_800),
        (3_600, -1, 1_800),
        (3_600, 3_599, 3_599),
        (3_600, 3_600, 1_800),
        (3_600, 9_999, 1_800),
        (1, 0.2, 0.5),
        (math.inf, None, math.inf),
        (math.inf, 600, 600),
        (3_600, math.inf, math.inf),
    ],
)
def test_delays(life: float, refresh_in: float | None, latest: float) -> None:
    """The issuer's wish within the life, else half of it; at most a tenth earlier, at least half a second."""
    assert pace.refresh_delay(life, refresh_in, LATEST) == latest
    assert pace.refresh_delay(life, refresh_in, EARLIEST) == max(0.5, latest * 0.9)


@pytest.mark.parametrize(
    ("failures", "retry_after", "latest"),
    [
        (1, None, 2),
        (2, None, 4),
        (4, None, 16),
        (5, None, 30),
        (10**9, None, 30),
        (1, 1.5, 2),
        (1, 100.0, 100),
        (1, 9_999.0, 300),
    ],
)
def test_pauses(failures: int, retry_after: float | None, latest: float) -> None:
    """They double up to 30 s, from a second on; what the issuer asks for may be longer."""
    assert pace.backoff(failures, retry_after, LATEST) == latest
    assert pace.backoff(failures, None, EARLIEST) == 1


def test_lives() -> None:
    """An unknown life is 300 s, an endless one endless, an absurd one a year and a day."""
    assert [pace.life(value) for value in (None, math.inf, 1e300, 60.0)] == [300, math.inf, 366 * 86_400, 60]


@given(st.binary(max_size=300))
def test_any_bytes_are_an_object_or_none(text: bytes) -> None:
    """Bytes of any kind are read without an exception."""
    assert json_object(text) is None or text.strip().startswith(b"{")


@given(st.text(max_size=80) | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_any_text_has_an_expiry_or_none(text: str) -> None:
    """Text of any kind is searched for a JWT's exp without an exception."""
    assert jwt_expiry(text) is None


def test_every_character_of_a_token() -> None:
    """The visible ones of ASCII, and none beside them."""
    for code in range(0x100):
        if 0x21 <= code <= 0x7E:
            assert bearer(f"a{chr(code)}b") == f"a{chr(code)}b"
        else:
            with pytest.raises(SourceError):
                bearer(f"a{chr(code)}b")


@given(st.text(max_size=40) | st.text("!~az09.", max_size=9) | st.just("token\n"))
def test_bearer_is_safe_in_a_header(text: str) -> None:
    """What is accepted as a token is visible ASCII and nothing else."""
    if re.fullmatch("[!-~]+", text):
        assert bearer(text) == text
    else:
        with pytest.raises(SourceError):
            bearer(text)


@given(st.text(max_size=40) | st.integers() | st.floats() | st.none() | st.booleans())
def test_seconds_are_finite_or_none(value: object) -> None:
    """Nothing makes an infinite or undefined number of seconds."""
    number = seconds(value)
    assert number is None or math.isfinite(number)


@given(st.sampled_from(["Retry-After", "retry-after-ms", "x-other"]), st.text(max_size=40))
def test_a_pause_is_bounded_or_none(name: str, value: str) -> None:
    """A header of any kind is a pause of up to 300 s, or none."""
    pause = asked_pause({name: value}, 0.0)
    assert pause is None or 0 <= pause <= 300


def test_a_pause_as_a_date() -> None:
    """A date is a pause from now, whatever the spelling of the header's name."""
    assert asked_pause({"Retry-After": "Thu, 01 Jan 1970 00:01:00 GMT"}, 20.0) == 40
