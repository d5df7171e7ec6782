"""What may pass: refused methods, denied routes, and the order of the checks."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.admission import LOOPBACK_NAMES, Admission
from gateway.exchange import Exchange
from gateway.routes import DenyList

HEADER = b"x-gateway-key"


def _admission(*, deny: tuple[str, ...] = ()) -> Admission:
    return Admission(
        allowed_hosts=LOOPBACK_NAMES,
        public_base_url=None,
        key_header="X-Gateway-Key",
        denied=DenyList(deny).refuses,
    )


def _exchange(*lines: tuple[bytes, bytes], method: str = "GET", path: bytes = b"/models") -> Exchange:
    return Exchange(method, path, b"", [(b"host", b"localhost"), *lines], host=b"localhost")


def test_underscore_twin_of_the_key_header_is_refused() -> None:
    """A header that some servers read as the key header does not go through."""
    with pytest.raises(failures.RequestInvalid):
        _admission().admit(_exchange((b"x_gateway_key", b"key-one")))


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
        _admission().admit(_exchange(method=method))


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PATCH", "PURGE", "QUERY", "VERSION-CONTROL"])
def test_registered_methods_pass(method: str) -> None:
    """Methods that have one meaning everywhere are the upstream's to judge."""
    _admission().admit(_exchange(method=method))


@pytest.mark.parametrize("method", ["M-SEARCH", "VERSION_CONTROL", "GETS", "PRI", "X"])
def test_methods_nobody_registered_are_invalid(method: str) -> None:
    """Peers may take a word that is no method for the end of another message: it is not forwarded."""
    with pytest.raises(failures.RequestInvalid, match="not one that is known"):
        _admission().admit(_exchange(method=method))


def test_denied_route_is_forbidden_and_named() -> None:
    """A route of `routes.deny` gets 403 with the pair that refused it; its neighbours pass."""
    admission = _admission(deny=("POST /jobs/deletions",))
    with pytest.raises(failures.Forbidden, match="POST /jobs/deletions"):
        admission.admit(_exchange(method="POST", path=b"/Jobs%2Fdeletions"))
    admission.admit(_exchange(method="GET", path=b"/jobs/deletions"))


def test_unknown_caller_does_not_learn_what_is_denied() -> None:
    """Why a caller is refused is told before the deny list answers."""
    with pytest.raises(failures.Unauthorized):
        _admission(deny=("GET /models",)).admit(_exchange(), failures.Unauthorized("No key."))


def test_unknown_caller_of_another_gateway_is_misdirected() -> None:
    """A request that is not for this gateway does not learn how callers are told apart."""
    exchange = Exchange("GET", b"/models", b"", [(b"host", b"evil.example")], host=b"evil.example")
    with pytest.raises(failures.Misdirected):
        _admission().admit(exchange, failures.Unauthorized("No key."))


def _outcome(admission: Admission, exchange: Exchange) -> str:
    try:
        admission.admit(exchange)
    except failures.GatewayError as refusal:
        return str(refusal)
    return ""


@given(
    st.lists(
        st.builds(
            Exchange,
            st.sampled_from(["GET", "HEAD", "POST", "TRACE", "get"]),
            st.sampled_from([b"/models", b"/Models/", b"/query", b"/a//b", b"/" + b"a" * 300]),
            st.sampled_from([b"", b"a=b", b"a b", b"a=" + b"b" * 300]),
            st.just([(b"x-a", b"1")]),
            host=st.sampled_from([b"localhost", b"LOCALHOST:80", b"evil.example", b""]),
        ),
        max_size=12,
    )
)
def test_what_came_before_changes_nothing(exchanges: list[Exchange]) -> None:
    """Each request gets the answer that it would get as the first one of a new gateway."""
    admission = _admission(deny=("GET /models",))
    answers = [_outcome(admission, exchange) for exchange in exchanges]
    assert answers == [_outcome(_admission(deny=("GET /models",)), exchange) for exchange in exchanges]


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
