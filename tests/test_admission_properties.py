"""Targets, hosts and methods for any bytes at all: one reading, or none."""

import string
from urllib.parse import unquote_to_bytes

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import failures
from gateway.admission import LOOPBACK_NAMES, Admission, check_target, host_name
from gateway.exchange import Exchange

# RFC 3986, section 3.3.
PCHAR = set((string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@").encode())


def passes(path: bytes, query: bytes = b"") -> bool:
    try:
        check_target(path, query)
    except failures.RequestInvalid:
        return False
    return True


def test_every_byte_of_a_path() -> None:
    """What RFC 3986 allows in a segment passes anywhere in it, but for a dot alone."""
    for code in range(256):
        byte = bytes([code])
        assert passes(b"/a" + byte + b"b") == (code in PCHAR | {ord("/")}), byte
        assert passes(b"/" + byte) == (code in PCHAR - {ord(".")}), byte
        assert passes(byte) == (byte == b"/"), byte
        assert passes(b"/a/" + byte + b"/b") == (code in PCHAR - {ord(".")}), byte


def test_every_byte_of_a_query() -> None:
    """The same and `/` and `?`; nothing that could end the line or begin a fragment."""
    for code in range(256):
        assert passes(b"/", bytes([code])) == (code in PCHAR | set(b"/?")), code
        assert passes(b"/", b"a" + bytes([code]) + b"b") == (code in PCHAR | set(b"/?")), code


def test_every_encoded_byte() -> None:
    """Encoded control characters, backslashes and lone dots are refused in a path, in either case of hex."""
    for code in range(256):
        for form in (b"%%%02x" % code, b"%%%02X" % code):
            hidden = code < 32 or code in {0x5C, 0x7F}
            assert passes(b"/a" + form + b"b") == (not hidden), form
            assert passes(b"/" + form) == (not hidden and code != ord(".")), form
            assert passes(b"/a" + form + b".") == (not hidden and code != ord("/")), form
            assert passes(b"/", form), form


def test_escapes_have_two_hex_digits() -> None:
    """A percent sign is followed by two hexadecimal digits, or the target is refused."""
    digits = set(string.hexdigits.encode())
    for code in range(256):
        high, low = b"%" + bytes([code]) + b"1", b"%4" + bytes([code])
        assert passes(b"/a" + low + b"b") == passes(b"/", low + b"b") == (code in digits), low
        assert passes(b"/", b"a" + high) == (code in digits), high
        assert passes(b"/a" + high) == (code in digits - set(b"01")), high
    for cut in (b"%", b"%4", b"%%41", b"%4%41"):
        assert not passes(b"/a" + cut)
        assert not passes(b"/", cut)


DOTS = st.lists(
    st.sampled_from([b"/", b".", b"..", b"%2e", b"%2E", b"%2f", b"%2F", b"\\", b"%5c", b"a", b"%61", b"%25"]),
    max_size=8,
).map(lambda parts: b"/" + b"".join(parts))


@given(DOTS)
@example(b"/a/%2e./b")
def test_no_client_resolves_what_passed(path: bytes) -> None:
    """What passes has no dot segment or empty one in any reading; an HTTP client sends it as it is."""
    if not passes(path):
        return
    for reading in (path, unquote_to_bytes(path), unquote_to_bytes(path).replace(b"\\", b"/")):
        assert not {b".", b".."} & set(reading.split(b"/"))
    assert b"//" not in path
    assert httpx.URL("https://adt.example").copy_with(raw_path=path).raw_path == path


HOSTS = st.binary(max_size=12) | st.lists(
    st.sampled_from(
        [
            b"localhost",
            b"127.0.0.1",
            b"[::1]",
            b"[",
            b"]",
            b":",
            b"80",
            b"65536",
            b"@",
            b",",
            b" ",
            b".",
            b"A",
        ]
    ),
    max_size=5,
).map(b"".join)


@given(HOSTS)
@example(b"localhost:65535")
@example(b"localhost:65536")
@example(b"localhost:")
@example(b"[.]")
def test_a_host_is_one_name(host: bytes) -> None:
    """A name or a bracketed address, and a port of 16 bits at most; anything else is none."""
    name = host_name(host)
    if name is None:
        return
    rest = host.lower().removeprefix(name.encode())
    assert host.lower().startswith(name.encode())
    assert rest == b"" or (rest[:1] == b":" and int(rest[1:] or b"0") <= 65_535 and len(rest) <= 6)
    assert name == name.lower()
    assert name.isascii()
    assert not set(name) & set("@/,\\ \t?#")
    assert (":" in name) == name.startswith("[")
    assert host_name(name.encode()) == name


def admitted(
    *lines: tuple[bytes, bytes], method: str = "GET", path: bytes = b"/models", query: bytes = b""
) -> str:
    """The code of the refusal, or nothing."""
    host = next((value for name, value in lines if name == b"host"), b"localhost:8080")
    headers = [*lines] if (b"host", host) in lines else [(b"host", host), *lines]
    admission = Admission(
        allowed_hosts=LOOPBACK_NAMES,
        public_base_url=None,
        key_header="x-key",
        denied=lambda _method, _path: None,
    )
    try:
        admission.admit(Exchange(method, path, query, headers, host=host))
    except failures.GatewayError as refusal:
        return refusal.code
    return ""


@given(DOTS, st.binary(max_size=6))
@example(b"/a/..", b"")
@example(b"/models", b"a b")
def test_nothing_is_admitted_that_has_two_readings(path: bytes, query: bytes) -> None:
    """The whole of admission refuses what the check of the target refuses."""
    assert (admitted(path=path, query=query) == "") == passes(path, query)


@pytest.mark.parametrize(
    "path", [b"/a/..;x/b", b"/a/..;/b", b"/.;", b"/a/%2e%2e;x", b"/a/..%3bx/b", b"/.;..;/"]
)
def test_parameters_do_not_hide_a_dot_segment(path: bytes) -> None:
    """Servers that cut parameters off would resolve the rest."""
    assert not passes(path)
    assert passes(b"/a;x/..b;y/c..;z")


# https://www.iana.org/assignments/http-methods, without PRI, which is no method of a request.
REGISTERED = (
    "ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE "
    "MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PROPFIND "
    "PROPPATCH PUT QUERY REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE "
    "UPDATEREDIRECTREF VERSION-CONTROL"
)


@pytest.mark.parametrize("method", [*REGISTERED.split(), "PURGE"])
def test_registered_methods(method: str) -> None:
    """What IANA lists passes, but for the two that are never forwarded; in upper case only."""
    refused = {"TRACE": "GatewayMethodNotAllowed", "CONNECT": "GatewayMethodNotAllowed"}
    assert admitted(method=method) == refused.get(method, "")
    assert admitted(method=method.lower()) == admitted(method=f"{method}X") == "GatewayRequestInvalid"


def test_an_origin_in_another_case_is_the_same() -> None:
    """Scheme and host are compared without case, on both sides."""
    for host, origin in (
        (b"LOCALHOST:8080", b"http://localhost:8080"),
        (b"localhost:8080", b"HTTP://LocalHost:8080"),
    ):
        assert admitted((b"host", host), (b"origin", origin)) == ""
    assert admitted((b"host", b"localhost"), (b"origin", b"http://localhost:1")) == "GatewayForbidden"


def test_every_byte_of_a_host() -> None:
    """Names are letters, digits and `._~-`, in either case; brackets hold hex, dots and a colon at least."""
    for code in range(256):
        byte = bytes([code])
        letters = code in set((string.ascii_letters + string.digits + "._~-").encode())
        assert (host_name(b"a" + byte + b"b") is not None) == letters, byte
        assert (host_name(byte) is not None) == letters, byte
        in_brackets = code in set(b"0123456789abcdefABCDEF:.")
        assert (host_name(b"[:" + byte + b"]") is not None) == in_brackets, byte
        assert (host_name(b"a:1" + byte) is not None) == (code in set(b"0123456789")), byte
    assert host_name(b"") is None
    assert host_name(b"[]") is None
    assert host_name(b"[a]") is None
    assert host_name(b"a:00080") == "a"
    assert host_name(b"a:000080") is None
