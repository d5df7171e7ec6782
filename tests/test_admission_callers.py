"""Who may use the gateway: inbound keys, refused methods, denied routes, and the order of the checks."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.admission import LOOPBACK_NAMES, Admission
from gateway.exchange import Exchange
from gateway.routes import DenyList

KEYS = {"orders": "key-one", "orders-next": "key-two"}
HEADER = b"x-gateway-key"


def _admission(
    *, bearer: bool = True, deny: tuple[str, ...] = (), keys: dict[str, str] | None = None
) -> Admission:
    return Admission(
        allowed_hosts=LOOPBACK_NAMES,
        public_base_url=None,
        keys=KEYS if keys is None else keys,
        key_header="X-Gateway-Key",
        bearer_keys=bearer,
        denied=DenyList(deny).refuses,
    )


def _exchange(*lines: tuple[bytes, bytes], method: str = "GET", path: bytes = b"/models") -> Exchange:
    return Exchange(method, path, b"", [(b"host", b"localhost"), *lines], host=b"localhost")


@pytest.mark.parametrize(
    ("line", "caller"),
    [
        ((HEADER, b"key-one"), "orders"),
        ((HEADER, b"key-two"), "orders-next"),
        ((b"authorization", b"Bearer key-one"), "orders"),
        ((b"authorization", b"bearer  key-two "), "orders-next"),
    ],
)
def test_each_key_names_its_caller(line: tuple[bytes, bytes], caller: str) -> None:
    """Both keys of a rotation are accepted, in their own header or as bearer token, and name the caller."""
    exchange = _exchange(line)
    _admission().admit(exchange)
    assert exchange.caller == caller


def test_key_beside_another_token_is_found() -> None:
    """A key in its own header is enough, whatever Authorization holds."""
    exchange = _exchange((b"authorization", b"Bearer other"), (HEADER, b"key-two"))
    _admission().admit(exchange)
    assert exchange.caller == "orders-next"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(HEADER, b"")],
        [(HEADER, b"key-on")],
        [(HEADER, b"key-onee")],
        [(HEADER, b"KEY-ONE")],
        [(HEADER, b"key-one, key-two")],
        [(HEADER, "k\u00e9y".encode())],
        [(b"authorization", b"key-one")],
        [(b"authorization", b"Basic key-one")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer ")],
        [(b"x-other-key", b"key-one")],
    ],
)
def test_wrong_or_missing_key_is_unauthorized(lines: list[tuple[bytes, bytes]]) -> None:
    """Without one of the keys the caller gets 401, and no name; the message shows no key."""
    exchange = _exchange(*lines)
    with pytest.raises(failures.Unauthorized) as caught:
        _admission().admit(exchange)
    assert exchange.caller is None
    assert "key-one" not in str(caught.value)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_no_other_bytes_open_the_gateway(key: bytes, token: bytes) -> None:
    """Any bytes but a key are refused by a GatewayError."""
    exchange = _exchange((HEADER, key), (b"authorization", b"Bearer " + token))
    accepted = {value.encode() for value in KEYS.values()}
    try:
        _admission().admit(exchange)
    except failures.GatewayError:
        assert exchange.caller is None
    else:
        assert {key, token.strip()} & accepted


def test_bearer_is_the_upstreams_in_passthrough() -> None:
    """Where the app's own token goes upstream, a key is taken from its own header only."""
    with pytest.raises(failures.Unauthorized):
        _admission(bearer=False).admit(_exchange((b"authorization", b"Bearer key-one")))
    exchange = _exchange((HEADER, b"key-one"), (b"authorization", b"Bearer upstream"))
    _admission(bearer=False).admit(exchange)
    assert exchange.caller == "orders"


def test_without_keys_everybody_may_pass() -> None:
    """With no inbound key configured nobody is asked, and nobody is named."""
    exchange = _exchange()
    _admission(keys={}).admit(exchange)
    assert exchange.caller is None


def test_underscore_twin_of_the_key_header_is_refused() -> None:
    """A header that some servers read as the key header does not go through."""
    with pytest.raises(failures.RequestInvalid):
        _admission(keys={}).admit(_exchange((b"x_gateway_key", b"key-one")))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_trace_and_connect_are_not_allowed(method: str) -> None:
    """TRACE and CONNECT get 405 before anything else is looked at."""
    with pytest.raises(failures.MethodNotAllowed):
        _admission().admit(_exchange((b"bad name", b"x"), method=method, path=b"*"))


@pytest.mark.parametrize(
    "method", ["", "get", "Trace", "GET ", "G\u00c9T", "GET\r\n", "1", "-X", "X" * 33, "_OTHER"]
)
def test_malformed_methods_are_invalid(method: str) -> None:
    """A method is a word of capitals; nothing else is forwarded."""
    with pytest.raises(failures.RequestInvalid):
        _admission(keys={}).admit(_exchange(method=method))


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PATCH", "M-SEARCH", "VERSION_CONTROL"])
def test_other_methods_pass(method: str) -> None:
    """Methods the gateway does not know are the upstream's to judge."""
    _admission(keys={}).admit(_exchange(method=method))


def test_denied_route_is_forbidden_and_named() -> None:
    """A route of `routes.deny` gets 403 with the pair that refused it; its neighbours pass."""
    admission = _admission(keys={}, deny=("POST /jobs/deletions",))
    with pytest.raises(failures.Forbidden, match="POST /jobs/deletions"):
        admission.admit(_exchange(method="POST", path=b"/Jobs%2Fdeletions"))
    admission.admit(_exchange(method="GET", path=b"/jobs/deletions"))


def test_unknown_caller_does_not_learn_what_is_denied() -> None:
    """The key is asked for before the deny list answers."""
    with pytest.raises(failures.Unauthorized):
        _admission(deny=("GET /models",)).admit(_exchange())


@given(
    st.text(max_size=8),
    st.binary(max_size=30),
    st.binary(max_size=30),
    st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=5),
    st.binary(max_size=20),
)
def test_any_request_is_admitted_or_answered(
    method: str, path: bytes, query: bytes, lines: list[tuple[bytes, bytes]], host: bytes
) -> None:
    """Whatever arrives, nothing but a GatewayError comes of it."""
    exchange = Exchange(method, path, query, [(b"host", host), *lines], host=host)
    with suppress(failures.GatewayError):
        _admission(deny=("POST /jobs/deletions",)).admit(exchange)
