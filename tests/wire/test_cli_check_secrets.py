"""`adt-gateway check --online` where the other side says again what it was sent."""

import base64
import json
import socket
from collections.abc import Callable
from urllib.parse import quote

import pytest

from gateway.cli.checkup.mask import Mask, header_secrets, proxy_secrets
from tests.support import faults
from tests.support.checking import check, check_text, entra_jwt, static
from tests.support.issuer import Issuer
from tests.support.upstream import Behaviour, fault_upstream

JSON = [(b"Content-Type", b"application/json")]
ADT_TOKEN = entra_jwt()
LONG = "opaque-" + "x9Z_" * 300
SIGNS = "k+/~" * 20 + "-Zq7" * 10 + "=="


async def written(behaviour: Behaviour, token: str) -> str:
    """All that is written about this upstream, for people and for programs."""
    async with fault_upstream(behaviour) as upstream:
        seen = await check_text(upstream.origin, auth=static(token))
        told = await check(upstream.origin, auth=static(token))
    assert told.failed == ["request"]
    return seen.out + seen.err + told.text


@pytest.mark.parametrize("token", [ADT_TOKEN, "an-opaque-token-of-some-issuer"], ids=["jwt", "opaque"])
async def test_an_answer_that_says_the_token_again(token: str) -> None:
    """Neither it nor another's token appears, in message or challenge; control characters are escaped."""
    another = entra_jwt(oid="another")
    body = json.dumps({"error": {"code": "X", "message": f"\x1b]0;owned\x07 {token} {another}"}}).encode()
    challenge = f'Bearer error="invalid_token", error_description="no {token}"'.encode()
    shown = await written(faults.reply(401, body, [*JSON, (b"WWW-Authenticate", challenge)]), token)
    for secret in (token[:40], another[-60:]):
        assert secret not in shown
    assert not set("\x1b\x07") & set(shown)
    assert "\\x1b]0;owned\\x07" in shown


@pytest.mark.parametrize(
    "piece", [slice(None), slice(0, 40), slice(200, 240)], ids=["whole", "head", "middle"]
)
async def test_a_long_token_is_not_cut_into_the_open(piece: slice) -> None:
    """Of a token that is cut here or was by the upstream no part appears, however short."""
    echoed = LONG[piece]
    body = json.dumps({"error": {"code": "X", "message": f"{'m' * 585} {echoed} is bad"}}).encode()
    challenge = f'Bearer error="invalid_token", error_description="{"d" * 288} {echoed}"'.encode()
    shown = await written(faults.reply(401, body, [*JSON, (b"WWW-Authenticate", challenge)]), LONG)
    assert "x9Z_" not in shown
    assert shown.count("[redacted]") >= 2


@pytest.mark.parametrize("token", [LONG, SIGNS], ids=["long", "signs"])
@pytest.mark.parametrize(
    "spell",
    [
        lambda text: quote(text, safe=""),
        lambda text: "".join(f"%{ord(c):02x}" for c in text),
        lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
        lambda text: text.replace("/", "\\/"),
        lambda text: json.dumps(json.dumps(text.replace("/", "\\/"))),
        lambda text: "".join(f"&#{ord(c)};" for c in text),
    ],
    ids=["url", "percent", "unicode", "slash", "nested", "html"],
)
async def test_other_spellings(spell: Callable[[str], str], token: str) -> None:
    """A token that is said again URL-encoded, escaped as in JSON or HTML, is known again."""
    spelled = spell(token)
    body = json.dumps({"error": {"code": "X", "message": f"in front {spelled} behind"}}).encode()
    shown = await written(faults.reply(403, body, JSON), token)
    assert "in front" in shown
    for secret in (spelled[60:90], token[60:80], json.dumps(spelled)[100:130]):
        assert secret not in shown


def test_what_is_masked() -> None:
    """A piece of twelve characters is, and what it hangs together with; fewer, and plain words, are not."""
    mask = Mask(["abcdefghijklmnopqrstuvwxyz", "sesame", "tiny"])
    assert mask.hide("x=abcdefghijkl, opensesame and tiny") == "[redacted], [redacted] and tiny"
    assert mask.hide("abcdefghijk") == "abcdefghijk"
    assert mask.hide("%61bcdefghijkl%6D&amp;") == "[redacted]&amp;"
    assert mask.hide("") == ""
    assert Mask([]).hide("100% \\ &#x110000; &#0;") == "100% \\ &#x110000; &#0;"
    assert "sesame" not in repr(mask)


def test_secrets_of_a_proxy_and_a_collector() -> None:
    """A proxy's password, also as HTTP Basic has it, and the values of headers, decoded."""
    basic = base64.b64encode(b"me:p@ss-word").decode()
    assert list(proxy_secrets("http://me:p%40ss-word@proxy:3128")) == ["p@ss-word", basic]
    assert list(proxy_secrets("http://proxy:3128")) == list(proxy_secrets(None)) == []
    assert list(header_secrets("x-key=one%20two, other=three")) == ["one two", "three"]


async def test_a_proxy_that_says_its_password_again() -> None:
    """The reason phrase of a refusal is shown, without user and password."""
    basic = base64.b64encode(b"me:canary-password").decode()
    refusal = f"HTTP/1.1 407 No {basic} canary-password!\r\nContent-Length: 0\r\n\r\n".encode()
    async with fault_upstream(faults.raw(refusal)) as proxy:
        through = {
            "base_url": "https://instance.invalid",
            "proxy": proxy.origin.replace("://", "://me:canary-password@"),
        }
        checked = await check("https://instance.invalid", auth=static(ADT_TOKEN), upstream=through)
    assert checked.failed == ["tls"]
    assert "407 No [redacted]" in checked.steps["tls"].message
    assert "canary" not in checked.text
    assert basic not in checked.text


async def test_a_collector_that_says_its_key_again() -> None:
    """Neither a header of OTEL_EXPORTER_OTLP_HEADERS nor what looks like a token appears."""
    refusal = b"HTTP/1.1 400 key collector-canary-key Bearer another-canary\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with fault_upstream(faults.raw(refusal)) as collector:
        environ = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=collector-canary-key"}
        tracing = {"endpoint": f"{collector.origin}/v1/traces"}
        checked = await check(f"http://127.0.0.1:{port}", environ, auth=static(ADT_TOKEN), tracing=tracing)
    assert "does not take spans" in checked.steps["traces"].message
    assert "[redacted]" in checked.steps["traces"].message
    assert "canary" not in checked.text


@pytest.mark.parametrize("error", ["invalid_scope", "canary-client-secret"])
async def test_an_issuer_that_says_the_secret_again(error: str) -> None:
    """Of an issuer's words only the codes of OAuth 2.0 are shown, never a description, page or header."""
    said = json.dumps({"error": error, "error_description": "canary-client-secret is wrong"}).encode()
    head = b"HTTP/1.1 400 canary-client-secret\r\nWWW-Authenticate: Basic canary-client-secret\r\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Issuer(raw=head + b"Content-Length: %d\r\n\r\n%b" % (len(said), said)) as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "me", "client_secret": "canary-client-secret"}
        checked = await check(f"http://127.0.0.1:{port}", auth={"mode": "oauth2", "oauth2": oauth2})
    assert "token" in checked.failed
    assert "canary" not in checked.text
