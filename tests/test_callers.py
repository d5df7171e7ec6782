"""Who may use the gateway: keys, names in certificates, users of processes, and what each is called."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.callers import Callers
from gateway.config import Inbound
from gateway.exchange import Exchange, Peer

KEYS = {"orders": "key-one", "orders-next": "key-two"}
HEADER = b"x-gateway-key"
KEY = (HEADER, b"key-one")
NAMES = ("app.example", "spiffe://prod/orders", "robot@example.com", "2001:db8::1")


def _callers(*, bearer: bool = True, keys: Mapping[str, str] = KEYS, **more: Any) -> Callers:
    inbound = Inbound.model_validate({"keys": keys, "header": "X-Gateway-Key", **more})
    return Callers(inbound, bearer_keys=bearer)


def _exchange(*lines: tuple[bytes, bytes], peer: Peer | None = None) -> Exchange:
    return Exchange("GET", b"/models", b"", [(b"host", b"localhost"), *lines], peer=peer or Peer())


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
    assert _callers().identify(exchange) is None
    assert exchange.caller == caller


def test_key_beside_another_token_is_found() -> None:
    """A key in its own header is enough, whatever Authorization holds."""
    exchange = _exchange((b"authorization", b"Bearer other"), (HEADER, b"key-two"))
    assert _callers().identify(exchange) is None
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
        [(HEADER, b"wrong"), (b"authorization", b"Bearer key-one")],
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
    refusal = _callers().identify(exchange)
    assert isinstance(refusal, failures.Unauthorized)
    assert str(refusal) == "A key of this gateway is required, in x-gateway-key or as bearer token."
    assert exchange.caller is None


BYTES = st.binary(max_size=20) | st.sampled_from([key.encode() for key in KEYS.values()])


@given(BYTES, BYTES)
def test_no_other_bytes_open_the_gateway(key: bytes, token: bytes) -> None:
    """Any bytes but a key are refused."""
    exchange = _exchange((HEADER, key), (b"authorization", b"Bearer " + token))
    exchange_without = _exchange((b"authorization", b"Bearer " + token))
    accepted = {value.encode() for value in KEYS.values()} & {key}
    assert (_callers().identify(exchange_without) is None) == (
        token.strip().decode("latin-1") in KEYS.values()
    )
    assert (_callers().identify(exchange) is None) == bool(accepted)
    assert (exchange.caller is None) == (not accepted)


def test_a_request_has_one_guess() -> None:
    """A key's header that is repeated is refused, right keys in it or not, and names nobody."""
    for second in (b"wrong", b"key-one", b"key-two"):
        exchange = _exchange(KEY, (HEADER, second))
        refusal = _callers().identify(exchange)
        assert isinstance(refusal, failures.RequestInvalid)
        assert str(refusal) == "The request is not forwarded: more than one x-gateway-key header."
        assert exchange.caller is None


def test_bearer_is_the_upstreams_in_passthrough() -> None:
    """Where the app's own token goes upstream, a key is taken from its own header only."""
    callers = _callers(bearer=False)
    refusal = callers.identify(_exchange((b"authorization", b"Bearer key-one")))
    assert str(refusal) == "A key of this gateway is required, in x-gateway-key."
    exchange = _exchange(KEY, (b"authorization", b"Bearer upstream"))
    assert callers.identify(exchange) is None
    assert exchange.caller == "orders"


def test_without_rules_everybody_may_pass() -> None:
    """With nothing configured nobody is asked, and nobody on TCP without TLS has a name."""
    exchange = _exchange(KEY)
    assert _callers(keys={}).identify(exchange) is None
    assert exchange.caller is None


@pytest.mark.parametrize("uid", [0, 1000, 4_294_967_294])
def test_listed_user_may_pass(uid: int) -> None:
    """A process of a listed user gets in and is called by its user id; root is a user like others."""
    exchange = _exchange(peer=Peer(uid=uid))
    assert _callers(keys={}, peer_uids=[7, uid]).identify(exchange) is None
    assert exchange.caller == f"uid:{uid}"


@pytest.mark.parametrize("uid", [0, 1, 1001, 65534, None])
def test_other_user_is_forbidden_and_named(uid: int | None) -> None:
    """A process of any other user gets 403, root's too; the log still has its user id."""
    exchange = _exchange(peer=Peer(uid=uid))
    refusal = _callers(keys={}, peer_uids=[1000]).identify(exchange)
    assert isinstance(refusal, failures.Forbidden)
    assert "auth.inbound.peer_uids" in str(refusal)
    assert exchange.caller == (None if uid is None else f"uid:{uid}")


def test_user_is_named_without_a_list() -> None:
    """On a Unix socket that its permissions alone guard, the log has the user id."""
    exchange = _exchange(peer=Peer(uid=1000))
    assert _callers(keys={}).identify(exchange) is None
    assert exchange.caller == "uid:1000"


@pytest.mark.parametrize("name", NAMES)
def test_listed_certificate_may_pass_by_any_of_its_names(name: str) -> None:
    """One listed name is enough, wherever it stands, and it is the name in the log."""
    exchange = _exchange(peer=Peer(names=("other.example", name, "last.example")))
    assert _callers(keys={}, client_names=NAMES).identify(exchange) is None
    assert exchange.caller == name


def test_listed_names_are_compared_as_certificates_show_them() -> None:
    """Upper case in a listed DNS name or an address in full is no obstacle; a URI is compared exactly."""
    callers = _callers(keys={}, client_names=["APP.example", "2001:DB8:0:0:0:0:0:1", "Spiffe://Prod/A"])
    for name, admitted in (("app.example", True), ("2001:db8::1", True), ("spiffe://prod/a", False)):
        assert (callers.identify(_exchange(peer=Peer(names=(name,)))) is None) == admitted


@pytest.mark.parametrize("names", [(), ("other.example",), ("x.app.example", "app.example.evil")])
def test_other_certificate_is_forbidden_and_named(names: tuple[str, ...]) -> None:
    """A certificate without a listed name gets 403, though its CA is ours; the log has its first name."""
    exchange = _exchange(peer=Peer(names=names))
    refusal = _callers(keys={}, client_names=NAMES).identify(exchange)
    assert isinstance(refusal, failures.Forbidden)
    assert "auth.inbound.client_names" in str(refusal)
    assert exchange.caller == (names[0] if names else None)


@pytest.mark.parametrize(("key", "name", "uid"), list(product((True, False), repeat=3)))
def test_every_rule_has_to_hold(*, key: bool, name: bool, uid: bool) -> None:
    """Key, certificate and user are each asked for where set; two good ones do not excuse the third."""
    exchange = _exchange(
        *([KEY] if key else []),
        peer=Peer(uid=1000 if uid else 1001, names=("app.example",) if name else ("other.example",)),
    )
    refusal = _callers(client_names=NAMES, peer_uids=[1000]).identify(exchange)
    expected = failures.Forbidden if not (name and uid) else None if key else failures.Unauthorized
    assert refusal is None if expected is None else type(refusal) is expected
    assert exchange.caller == ", ".join(
        [
            *(["orders"] if key else []),
            "app.example" if name else "other.example",
            "uid:1000" if uid else "uid:1001",
        ]
    )


@pytest.mark.parametrize("name", ["*.example", "app example", ""])
def test_a_listed_name_that_can_never_be_shown(name: str) -> None:
    """A name that no certificate can show lets nobody in: the gateway does not start with it."""
    with pytest.raises(ValueError, match="can be no name in a certificate"):
        _callers(keys={}, client_names=["app.example", name])


def test_unusable_key_file_is_told_at_start(tmp_path: Path) -> None:
    """Without its key the gateway does not start."""
    (tmp_path / "empty").touch()
    for file, error in (("missing", FileNotFoundError), ("empty", ValueError)):
        with pytest.raises(error):
            _callers(keys={}, key_files={"orders": tmp_path / file})
