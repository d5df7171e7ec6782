"""`POST /query`: pages by a token in the body, and says what it cost."""

import base64
import binascii
from typing import Any, Final

import msgspec

from gateway.emulator.exchange import Answer, Call, ServiceError, json_answer, page_position
from gateway.emulator.query import run
from gateway.emulator.routing import Route


class Continuation(msgspec.Struct, array_like=True):
    """Where a query goes on; the token carries the query, since a client sends only the token again."""

    query: str
    offset: int
    size: int


def query_twins(call: Call) -> Answer:
    """Query_QueryTwins: 200 with `query-charge`; 400 SqlQueryError, BadRequest for a bad token."""
    body = call.json_object("BadRequest")
    at = start(call, body)
    results = run(at.query, call.state.graph)
    page: dict[str, Any] = {"value": results[at.offset : at.offset + at.size], "continuationToken": None}
    if at.offset + at.size < len(results):
        following = Continuation(at.query, at.offset + at.size, at.size)
        page["continuationToken"] = base64.urlsafe_b64encode(msgspec.json.encode(following)).decode()
    return json_answer(200, page, [("query-charge", f"{1 + len(page['value']) / 100:.2f}")])


def start(call: Call, body: dict[str, Any]) -> Continuation:
    """Where the page asked for begins. Raises ServiceError 400."""
    token = body.get("continuationToken")
    if token is not None:
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(str(token)), type=Continuation)
        except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
            raise ServiceError(400, "BadRequest", "The continuation token is invalid.") from error
    query = body.get("query")
    if not isinstance(query, str):
        raise ServiceError(400, "SqlQueryError", "The query is missing.")
    return Continuation(query, *page_position(call, None))


ROUTES: Final = (Route("POST", "/query", query_twins),)
