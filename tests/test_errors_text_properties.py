"""What the gateway says itself: one bounded line, no secret, and a response that any client can read."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import classify, render
from gateway.errors.body import MESSAGE_LIMIT, clean, error_body
from gateway.errors.codes import is_code, status_name
from gateway.failures import REGISTRY, GatewayError, Internal, MethodNotAllowed, Unauthorized

CANARY = "kanarienvogel7f3a9"
PLACES = (
    "?sig={}",
    "&se=1&sig%3d{}&x",
    "Bearer {}",
    "bearer   {}",
    "access_token={}",
    "refresh_token={}",
    "client_secret%3D{}",
    "client_assertion={}",
    "eyJ{}.eyJz.sig",
)


def failures(base: type[GatewayError] = GatewayError) -> list[type[GatewayError]]:
    return [base, *(each for child in base.__subclasses__() for each in failures(child))]


TEXTS = (
    st.text()
    | st.text(st.characters(), max_size=20)
    | st.text("aB=& \n\x1b\u2028\u202e\ufeff%3d", max_size=40)
)
FAILURES = st.builds(
    lambda kind, message, inner, wait: kind(message, inner=inner, retry_after=wait),
    st.sampled_from(failures()),
    TEXTS,
    st.none() | TEXTS,
    st.none() | st.floats(allow_nan=False),
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"])


@given(TEXTS, st.integers(1, 60))
@example("é" * 40, 59)
@example("\ud800", 2)
def test_clean_text_is_one_bounded_line(text: str, limit: int) -> None:
    """No line break, control or bidirectional mark is left; the limit is in bytes of UTF-8; twice is once."""
    out = clean(text, limit)
    assert len(out.encode()) <= limit
    assert not set(out) & {
        *map(chr, range(32)),
        *map(chr, range(0x7F, 0xA0)),
        *"\u2028\u2029\u202e\u2066\ufeff",
    }
    assert clean(text) == clean(clean(text))
    assert len(clean(text * 200).encode()) <= MESSAGE_LIMIT


def test_every_character_that_is_replaced() -> None:
    """Controls, line separators, marks that turn text around, and the byte order mark; nothing else."""
    ranges = (range(0x20), range(0x7F, 0xA0), range(0x2028, 0x202F), range(0x2066, 0x206A), (0xFEFF,))
    unsafe = {code for codes in ranges for code in codes}
    for code in (*range(0x300), *range(0x2000, 0x2100), *range(0xFE00, 0xFF10)):
        char = chr(code)
        assert clean(f"a{char}{char}b") == ("a b" if code in unsafe else f"a{char}{char}b"), code


@given(st.sampled_from(PLACES), st.text("abcXYZ019-_", min_size=4, max_size=12), st.text(max_size=9))
def test_no_secret_is_repeated(place: str, tail: str, before: str) -> None:
    """Signatures, tokens and client secrets are masked wherever an upstream or a library quotes them."""
    assert CANARY not in clean(f"{before} {place.format(CANARY + tail)}, then")


@given(
    st.sampled_from(sorted(REGISTRY)), TEXTS, st.dictionaries(st.sampled_from(["target", "details"]), TEXTS)
)
def test_a_body_says_what_it_was_given(code: str, message: str, rest: dict[str, str]) -> None:
    """Code, cleaned message and further members, as JSON that reads back."""
    body = error_body(code, message, {key: clean(value) for key, value in rest.items()})
    error = json.loads(body)["error"]
    assert error == {
        "code": code,
        "message": clean(message),
        **{key: clean(value) for key, value in rest.items()},
    }


@given(FAILURES, METHODS, st.booleans())
def test_every_failure_is_a_response(failure: GatewayError, method: str, sent: bool) -> None:
    """An ErrorResponse with its code in the header, the right length, and a wait where the table has one."""
    response = render(failure, method=method, sent=sent, trace_id="ab" * 16)
    assert 400 <= response.status <= 599
    told = dict(response.headers)
    assert len(told) == len(response.headers)
    assert all(
        name.islower() and value.isascii() and value.decode().isprintable() for name, value in told.items()
    )
    assert told[b"x-ms-error-code"].decode() == failure.code
    assert told[b"x-gateway-error-origin"] == b"gateway"
    wait = told.get(b"retry-after")
    assert (wait is not None) == (REGISTRY[failure.code].retry_after and not sent)
    assert wait is None or 1 <= int(wait) <= 3600
    particular = [kind for kind in (Unauthorized, MethodNotAllowed) if isinstance(failure, kind)]
    assert (b"www-authenticate" in told) == (particular == [Unauthorized])
    assert (b"allow" in told) == (particular == [MethodNotAllowed])
    if method == "HEAD":
        assert response.body == b""
        return
    assert int(told[b"content-length"]) == len(response.body)
    error = json.loads(response.body)["error"]
    assert error["code"] == failure.code
    assert error["message"] == (
        f"Internal error, trace id {'ab' * 16}." if isinstance(failure, Internal) else clean(failure.message)
    )
    assert error.get("innererror") == ({"code": clean(failure.inner)} if failure.inner else None)


@given(st.builds(ValueError, TEXTS) | st.builds(OSError, st.integers(0, 200), TEXTS))
def test_a_bug_says_nothing_of_itself(error: Exception) -> None:
    """What no room named is Internal, and the app is told the trace id alone."""
    failure = classify(error)
    assert isinstance(failure, Internal)
    assert failure.__cause__ is error
    body = render(failure, method="GET", sent=True, trace_id="t").body
    assert json.loads(body)["error"]["message"] == "Internal error, trace id t."


@given(TEXTS | st.none() | st.integers() | st.lists(st.text()))
@example("a" * 128)
@example("a" * 129)
@example("-a")
@example("a\n")
def test_codes_are_safe_tokens(value: object) -> None:
    """A code can stand in a header and in a log line: short, ASCII, no separator, no blank."""
    if is_code(value):
        assert isinstance(value, str)
        assert 1 <= len(value) <= 128
        assert value.isascii()
        assert value[0].isalnum()
        assert not set(value) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@given(st.integers(400, 999))
def test_every_error_status_has_a_code(status: int) -> None:
    """Whatever number an upstream answers, there is a code for it, and the unregistered share two."""
    assert is_code(status_name(status))
    if status >= 600:
        assert status_name(status) == "ServerError"
