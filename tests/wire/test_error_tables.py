"""Both error tables, row by row, over real sockets and on every engine.

First what the gateway makes of an upstream's error, then the failures of the gateway itself.
"""

import dataclasses
import gzip
import json
from typing import Any

import pytest

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.http1 import Pairs
from tests.support.raw import RawResponse
from tests.support.upstream import FaultUpstream
from tests.support.wire import ask, assert_traced, connected, error_of, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = (b"content-type", b"application/json")
CODE = b"x-ms-error-code"
NOT_FOUND: dict[str, Any] = {"code": "DigitalTwinNotFound", "message": "There is no such twin."}
CONFORMING = b'{"error": {"code": "DigitalTwinNotFound", "message": "There is no such twin."} }'
NESTED = (
    b'{"error":{"code":"DigitalTwinNotFound","message":"m","details":[{"code":"A","message":"b"}],'
    b'"innererror":{"code":"B","innererror":{"code":"C"}}}}'
)
PASSING: Pairs = [
    (b"retry-after", b"7"),
    (b"x-ms-request-id", b"r-1"),
    (b"etag", b'"1"'),
    (b"operation-location", b"https://elsewhere.example/jobs/1"),
]


async def _upstream_error(
    gateway: RunningGateway, upstream: FaultUpstream, status: int, body: bytes, *headers: tuple[bytes, bytes]
) -> RawResponse:
    """The app's answer to an error of the upstream that carries the headers every row must keep."""
    upstream.on("/digitaltwins/t1", faults.reply(status, body, [*PASSING, *headers]))
    response = await ask(gateway)
    assert response.status == status
    for name, value in PASSING:
        assert response.values(name) == [value]
    return response


def _normalised(response: RawResponse) -> str | None:
    value = response.value(b"x-gateway-error-normalised")
    return None if value is None else value.decode()


@pytest.mark.parametrize("body", [CONFORMING, NESTED])
async def test_conforming_error_keeps_its_bytes(
    gateway: RunningGateway, upstream: FaultUpstream, body: bytes
) -> None:
    """Row 1: a conforming body with an equal header passes byte for byte."""
    response = await _upstream_error(gateway, upstream, 404, body, JSON, (CODE, b"DigitalTwinNotFound"))
    assert response.body == body
    assert response.values(CODE) == [b"DigitalTwinNotFound"]
    assert response.values(b"content-type") == [JSON[1]]
    assert response.value(b"x-gateway-error-origin") == b"upstream"
    assert _normalised(response) is None
    assert_traced(response)


async def test_missing_header_is_added(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Row 2: a conforming body without the header keeps its bytes and gets the header."""
    response = await _upstream_error(gateway, upstream, 404, CONFORMING, JSON)
    assert response.body == CONFORMING
    assert response.values(CODE) == [b"DigitalTwinNotFound"]


async def test_contradicting_header_follows_the_body(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """Row 3: where header and body name different codes, the body wins and keeps its bytes."""
    response = await _upstream_error(gateway, upstream, 400, CONFORMING, JSON, (CODE, b"JobLimitReached"))
    assert response.body == CONFORMING
    assert response.values(CODE) == [b"DigitalTwinNotFound"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One error of the upstream that is rewritten, and what the app must read of it."""

    name: str
    status: int
    body: bytes
    headers: Pairs
    code: str
    message: str
    """Part of the message."""
    reason: str


SUB_DOMAIN = b'{"statusCode":404,"message":"Sub-domain not found."}'
HTML = b"<html><body><script>alert(1)</script><h1>502</h1></body></html>"
PROBLEM = (b"content-type", b"application/problem+json")
GZIP = (b"content-encoding", b"gzip")
REWRITTEN = (
    Row("header only", 403, b"", [(CODE, b"AuthorizationFailed")], "AuthorizationFailed", "", "header-only"),
    Row("empty 403", 403, b"", [], "Forbidden", "role assignment", "empty"),
    Row("empty 401", 401, b"", [], "Unauthorized", "401", "empty"),
    Row("empty 404", 404, b"", [JSON], "NotFound", "404", "empty"),
    Row("empty 429", 429, b"", [], "TooManyRequests", "429", "empty"),
    Row("empty 502", 502, b"", [], "BadGateway", "502", "empty"),
    Row("empty 503", 503, b"", [], "ServiceUnavailable", "503", "empty"),
    Row("empty 504", 504, b"", [], "GatewayTimeout", "504", "empty"),
    Row("empty 418", 418, b"", [], "ClientError", "418", "empty"),
    Row("html", 502, HTML, [(b"content-type", b"text/html")], "BadGateway", "502", "html"),
    Row("html as json", 502, HTML, [JSON], "BadGateway", "502", "invalid-json"),
    Row("text", 503, b"busy now", [(b"content-type", b"text/plain")], "ServiceUnavailable", "busy", "text"),
    Row("wrong tenant", 404, SUB_DOMAIN, [JSON], "SubDomainNotFound", "Sub-domain not found.", "sub-domain"),
    Row("its hint", 404, SUB_DOMAIN, [JSON], "SubDomainNotFound", "upstream.base_url", "sub-domain"),
    Row(
        "oauth", 401, b'{"error":"invalid_token","error_description":"It has expired."}',
        [JSON, (b"www-authenticate", b'Bearer error="invalid_token"')],
        "invalid_token", "It has expired.", "oauth",
    ),
    Row("top level", 400, b'{"code":"InvalidArgument","message":"Bad."}', [JSON],
        "InvalidArgument", "Bad.", "top-level"),
    Row("casing", 404, b'{"Error":{"Code":"DigitalTwinNotFound","Message":"None."}}', [JSON],
        "DigitalTwinNotFound", "None.", "casing"),
    Row("problem with code", 409, b'{"code":"Taken","detail":"Has it.","title":"T"}', [PROBLEM],
        "Taken", "Has it.", "problem-json"),
    Row("problem with type", 409, b'{"type":"https://e.example/Taken","title":"Has it."}', [PROBLEM],
        "Taken", "Has it.", "problem-json"),
    Row("bare problem", 409, b'{"type":"about:blank","title":"Has it."}', [PROBLEM],
        "Conflict", "Has it.", "problem-json"),
    Row("no json", 500, b"oops", [JSON], "InternalServerError", "500", "invalid-json"),
    Row("cut json", 500, CONFORMING[:-9], [JSON], "InternalServerError", "500", "invalid-json"),
    Row("gzip", 404, gzip.compress(CONFORMING), [JSON, GZIP],
        "DigitalTwinNotFound", "There is no such twin.", "encoding"),
    Row("broken gzip", 404, gzip.compress(CONFORMING)[:-9], [JSON, GZIP], "NotFound", "404", "encoding"),
    Row("brotli", 404, b"\x00\x01", [JSON, (b"content-encoding", b"br")], "NotFound", "404", "encoding"),
    Row("too deep", 400, b'{"error":{"code":"A","message":"b","innererror":' + b'{"innererror":' * 60 + b"{}"
        + b"}" * 60 + b"}}", [JSON], "A", "b", "too-deep"),
)  # fmt: skip


@pytest.mark.parametrize("row", REWRITTEN, ids=lambda row: row.name)
async def test_other_errors_become_error_responses(
    gateway: RunningGateway, upstream: FaultUpstream, row: Row
) -> None:
    """Rows 4 to 10: every other shape becomes an ErrorResponse that says what the upstream's said."""
    response = await _upstream_error(gateway, upstream, row.status, row.body, *row.headers)
    error = error_of(response, origin="upstream")
    assert error["code"] == row.code
    assert row.message in error["message"]
    assert _normalised(response) == row.reason
    assert response.value(b"content-encoding") is None
    assert response.value(b"www-authenticate") is None
    assert b"<" not in response.body


async def test_gzipped_conforming_error_keeps_its_content(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """A conforming body behind a content coding is taken out of it and else left as it is."""
    response = await _upstream_error(gateway, upstream, 404, gzip.compress(CONFORMING), JSON, GZIP)
    assert response.body == CONFORMING


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_head_error_has_headers_only(
    gateway: RunningGateway, upstream: FaultUpstream, status: int
) -> None:
    """Row 11: an error to HEAD keeps its status and length, gets its headers and no body."""
    upstream.on("/digitaltwins/t1", faults.reply(status, CONFORMING, [JSON]))
    async with connected(gateway) as client:
        await client.send(request(method="HEAD"))
        response = await client.response("HEAD")
        assert (response.status, response.value(b"content-length")) == (status, b"%d" % len(CONFORMING))
        assert response.value(b"x-gateway-error-origin") == b"upstream"
        await client.send(request(method="HEAD"))
        assert (await client.response("HEAD")).status == status


@pytest.mark.parametrize("status", [200, 201, 204, 302, 304])
async def test_answers_below_400_are_untouched(
    gateway: RunningGateway, upstream: FaultUpstream, status: int
) -> None:
    """Row 11: what is no error gets no error header, even where its body looks like one."""
    upstream.on("/digitaltwins/t1", faults.reply(status, CONFORMING, [JSON]))
    response = await ask(gateway)
    assert response.status == status
    assert response.body == (b"" if status in {204, 304} else CONFORMING)
    names = {name for name, _ in response.headers}
    assert not names & {CODE, b"x-gateway-error-origin", b"x-gateway-error-normalised"}


async def test_large_error_passes_unread(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """An error body over 64 KiB passes as it is, and says where it comes from."""
    page = b"<html>" + b"x" * 1_000_000
    response = await _upstream_error(gateway, upstream, 500, page, (b"content-type", b"text/html"))
    assert response.body == page
    assert response.value(b"x-gateway-error-origin") == b"upstream"


async def test_retry_after_is_never_invented(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """429 and 503 of the upstream without Retry-After get none."""
    for status in (429, 503):
        upstream.on("/digitaltwins/t1", faults.reply(status))
        assert (await ask(gateway)).value(b"retry-after") is None


async def test_failed_job_is_no_error(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A failed job is a 200 whose `error` member is the job's own: it passes byte for byte."""
    body = json.dumps({"id": "job-1", "status": "failed", "error": NOT_FOUND}).encode()
    upstream.on("/jobs/imports/job-1", faults.reply(200, body, [JSON]))
    response = await ask(gateway, "/jobs/imports/job-1?api-version=2023-10-31")
    assert (response.status, response.body, response.value(CODE)) == (200, body, None)


@pytest.mark.parametrize("status", [401, 403])
async def test_challenge_survives_where_the_app_holds_the_token(
    engine: str, upstream: FaultUpstream, status: int
) -> None:
    """In passthrough mode WWW-Authenticate reaches the app unchanged, and so did its token the upstream."""
    challenge = (
        b'Bearer authorization_uri="https://login.example/t", error="insufficient_claims", claims="e30="'
    )
    upstream.on("/digitaltwins/t1", faults.reply(status, b"", [(b"www-authenticate", challenge)]))
    async with running_gateway(
        upstream.origin, upstream={"engine": engine}, auth={"mode": "passthrough"}
    ) as gateway:
        response = await ask(gateway, headers=[(b"authorization", b"Bearer the-apps-own")])
    assert response.values(b"www-authenticate") == [challenge]
    assert upstream.last.values(b"authorization") == [b"Bearer the-apps-own"]
