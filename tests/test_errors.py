"""Failures of the gateway: the table, the tree, and the responses made from them."""

import json
import math

import pytest

from gateway import failures
from gateway.errors import Rendered, classify, render
from gateway.errors.body import MESSAGE_LIMIT, clean
from gateway.failures import REGISTRY, GatewayError

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def tree(root: type[GatewayError] = GatewayError) -> set[type[GatewayError]]:
    found = set(root.__subclasses__())
    return found.union(*(tree(child) for child in found)) if found else found


def rendered(failure: GatewayError, method: str = "GET", *, sent: bool = False) -> Rendered:
    return render(failure, method=method, sent=sent, trace_id=TRACE_ID)


def header(response: Rendered, name: bytes) -> bytes | None:
    values = [value for key, value in response.headers if key == name]
    assert len(values) <= 1
    return values[0] if values else None


def test_tree_and_registry_agree() -> None:
    """Every failure class has a row of the table, and every row has a class."""
    assert {failure.code for failure in tree()} == set(REGISTRY)


def test_registry_keys_are_names() -> None:
    """A row is found under the name it carries."""
    assert all(name == row.name for name, row in REGISTRY.items())


# The contract's table: class, GET before and after sending, POST before and after sending, Retry-After.
TABLE = [
    (failures.UpstreamUnreachable, 503, 503, 503, 503, True),
    (failures.UpstreamTimeout, 504, 504, 504, 502, False),
    (failures.UpstreamConnectionLost, 502, 502, 502, 502, False),
    (failures.KeptConnectionLost, 502, 502, 502, 502, False),
    (failures.BadUpstreamResponse, 502, 502, 502, 502, False),
    (failures.TokenUnavailable, 503, 503, 503, 503, True),
    (failures.CircuitOpen, 503, 503, 503, 503, True),
    (failures.Overloaded, 503, 503, 503, 503, True),
    (failures.Draining, 503, 503, 503, 503, True),
    (failures.RateLimited, 429, 429, 429, 429, True),
    (failures.RequestInvalid, 400, 400, 400, 400, False),
    (failures.RequestTooLarge, 413, 413, 413, 413, False),
    (failures.HeadersTooLarge, 431, 431, 431, 431, False),
    (failures.RequestTimeout, 408, 408, 408, 408, False),
    (failures.Unauthorized, 401, 401, 401, 401, False),
    (failures.Misdirected, 421, 421, 421, 421, False),
    (failures.Forbidden, 403, 403, 403, 403, False),
    (failures.MethodNotAllowed, 405, 405, 405, 405, False),
    (failures.Internal, 500, 500, 500, 502, False),
]


def test_table_names_every_failure() -> None:
    """The table of this test leaves no failure out."""
    assert {row[0] for row in TABLE} == tree()


@pytest.mark.parametrize(("failure", "get", "get_sent", "post", "post_sent", "retry_after"), TABLE)
def test_rows(
    failure: type[GatewayError], get: int, get_sent: int, post: int, post_sent: int, retry_after: bool
) -> None:
    """Each failure has the status, code, origin and Retry-After of the contract's table."""
    for method, sent, status in (
        ("GET", False, get),
        ("DELETE", True, get_sent),
        ("PUT", True, get_sent),
        ("POST", False, post),
        ("POST", True, post_sent),
        ("PATCH", True, post_sent),
    ):
        response = rendered(failure("Why it failed."), method, sent=sent)
        assert response.status == status
        assert header(response, b"x-ms-error-code") == failure.code.encode()
        assert header(response, b"x-gateway-error-origin") == b"gateway"
        assert header(response, b"content-type") == b"application/json; charset=utf-8"
        assert header(response, b"content-length") == b"%d" % len(response.body)
        assert (header(response, b"retry-after") is not None) == (retry_after and not sent)
        assert json.loads(response.body)["error"]["code"] == failure.code


@pytest.mark.parametrize("failure", [row[0] for row in TABLE])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_write_that_may_have_arrived_gets_no_retry_after(failure: type[GatewayError], method: str) -> None:
    """Nothing asks an SDK to send a write again once bytes of it may have arrived."""
    response = rendered(failure("Why it failed.", retry_after=5), method, sent=True)
    assert header(response, b"retry-after") is None


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        (None, b"1"),
        (0.0, b"1"),
        (-3.0, b"1"),
        (0.2, b"1"),
        (1.0, b"1"),
        (1.1, b"2"),
        (29.5, b"30"),
        (math.inf, b"3600"),
    ],
)
def test_retry_after_is_whole_seconds(wait: float | None, seconds: bytes) -> None:
    """Retry-After is a whole number of seconds, rounded up, at least one."""
    assert header(rendered(failures.Overloaded("Full.", retry_after=wait)), b"retry-after") == seconds


def test_inner_code() -> None:
    """The finer cause stands in innererror.code, and only where there is one."""
    with_inner = json.loads(rendered(failures.UpstreamUnreachable("No address.", inner="DnsFailed")).body)
    assert with_inner == {
        "error": {
            "code": "GatewayUpstreamUnreachable",
            "message": "No address.",
            "innererror": {"code": "DnsFailed"},
        }
    }
    assert "innererror" not in json.loads(rendered(failures.UpstreamUnreachable("No address.")).body)["error"]


def test_head_has_headers_only() -> None:
    """A HEAD gets the headers of the GET and no body."""
    get, head = rendered(failures.Overloaded("Full.")), rendered(failures.Overloaded("Full."), "HEAD")
    assert head.headers == get.headers
    assert head.body == b""


def test_unauthorized_challenges() -> None:
    """A 401 names a scheme the app can use."""
    response = rendered(failures.Unauthorized("A key is required."))
    assert header(response, b"www-authenticate") == b'Bearer realm="adt-gateway"'


def test_method_not_allowed_names_the_allowed() -> None:
    """A 405 lists methods that are forwarded, and not those that are not."""
    allowed = header(rendered(failures.MethodNotAllowed("TRACE is not forwarded."), "TRACE"), b"allow")
    assert allowed is not None
    assert set(allowed.split(b", ")) == {b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"}


def test_internal_says_the_trace_id_only() -> None:
    """A bug's text never reaches the app; the trace id does."""
    response = rendered(classify(ValueError("/home/app/secret.py: token-abc")))
    assert json.loads(response.body)["error"] == {
        "code": "GatewayInternal",
        "message": f"Internal error, trace id {TRACE_ID}.",
    }


def test_classify_keeps_our_own() -> None:
    """A failure that a room named stays what it is."""
    failure = failures.TokenUnavailable("No token.")
    assert classify(failure) is failure


@pytest.mark.parametrize(
    "exc", [TimeoutError(), ConnectionRefusedError(), ConnectionResetError(), ValueError("x"), MemoryError()]
)
def test_classify_believes_no_class_name(exc: BaseException) -> None:
    """An exception no room has judged is a bug, so a write it broke is never declared unsent."""
    failure = classify(exc)
    assert type(failure) is failures.Internal
    assert failure.__cause__ is exc
    assert failure.status("POST", sent=True) == 502


def test_message_is_one_safe_line() -> None:
    """Control characters, line separators and text direction marks never get into a message."""
    failure = failures.RequestInvalid("\ra\r\nb\x00c\x1b[31md\u2028e\u202ef\n")
    assert json.loads(rendered(failure).body)["error"]["message"] == "a b c [31md e f"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://s/b?se=1&sig=abc%2Bdef%3D&sv=2", "https://s/b?se=1&sig=***&sv=2"),
        ("SIG=AbCdEf", "SIG=***"),
        ("url=https%3A%2F%2Fs%3Fsig%3Dabcdef", "url=https%3A%2F%2Fs%3Fsig%3Dabcdef"),
        ("a sig%3Dabcdef b", "a sig%3D*** b"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("bearer token-123", "bearer ***"),
        ("as bearer token.", "as bearer token."),
        ("Bearer tokens, Bearer authentication required", "Bearer tokens, Bearer authentication required"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln here", "got *** here"),
        ("client_secret=hunter2&scope=x", "client_secret=***&scope=x"),
        ("design=blue", "design=blue"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    """SAS signatures, bearer tokens and client secrets are masked in text the gateway writes."""
    assert clean(text) == shown


def test_message_is_bounded_in_bytes() -> None:
    """A message never takes more than its limit, and never ends inside a character."""
    short = clean("é" * MESSAGE_LIMIT)
    assert len(short.encode()) <= MESSAGE_LIMIT
    assert set(short) == {"é"}
