"""What a span says about an exchange, in the names of the stable HTTP semantic conventions.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/. Every value may have been written by an
attacker: text is bounded in length, and made valid UTF-8 because one bad value would lose its whole batch.

`server`, `client` and `work` only say which function tells what of which values, once the exchange is over.
Most of those come again and again, so that the encoder has the bytes of what they make.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gateway.exchange import Attempt, Exchange

Attributes = dict[str, str | int | float | bool]

Told = tuple[Callable[..., Attributes], tuple[Any, ...]]
"""A function that tells attributes, and what it tells them of; the same values make the same attributes."""

TEXT_LENGTH = 2_048
"""Longest attribute value, in characters; more is cut."""
JOB_ID_LENGTH = 256
"""Longest job id, in characters."""
REQUEST_ID = "azure.service.request.id"
ERROR = "error.type"
"""Told of every span that has failed, and of no other."""
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
PORTS = {"http": 80, "https": 443}

_SHORT = 512
"""Bytes of path, host, user agent or query together up to which a span is a usual one."""
_LONGEST = 4 * TEXT_LENGTH
"""Bytes that the longest text can be made of."""
_SHOWN = b"api-version"
_VERSION = re.compile(rb"[0-9A-Za-z.-]{1,32}")
_NOTHING_TO_HIDE = re.compile(rb"(?:api-version=[0-9A-Za-z.-]{1,32})?")
_UNMATCHED = "unmatched"
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500


class Origin(NamedTuple):
    """The upstream as client spans name it."""

    url: str
    address: str
    port: int

    @classmethod
    def of(cls, base_url: str) -> "Origin":
        """Scheme, host and port of a URL; user information, path and query are left out."""
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        bracketed = f"[{host}]" if ":" in host else host
        netloc = bracketed if parts.port is None else f"{bracketed}:{parts.port}"
        return cls(f"{parts.scheme}://{netloc}", host, parts.port or PORTS.get(parts.scheme, 0))


def text(value: str) -> str:
    """A value that can be exported: bounded, without lone surrogates."""
    value = value[:TEXT_LENGTH]
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def job_id(value: str) -> str:
    """A job's id, the same on every span that names it; what does not print is replaced."""
    value = value[:JOB_ID_LENGTH]
    return value if value.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in value)


def raw(value: bytes) -> str:
    """Raw bytes of a header or a path as text; what is not UTF-8 is escaped, not guessed."""
    return text(value.decode("utf-8", "backslashreplace"))


def redacted(query: bytes) -> bytes:
    """A query in which only the value of `api-version` can be read."""
    return b"&".join(_redacted_pair(pair) for pair in query.split(b"&"))


def _redacted_pair(pair: bytes) -> bytes:
    name, equals, value = pair.partition(b"=")
    if not pair or (name == _SHOWN and _VERSION.fullmatch(value)):
        return pair
    # A bare word is as likely to be a secret as a value is.
    return name + b"=REDACTED" if equals else b"REDACTED"


@lru_cache(256)
def span_name(method: str, template: str) -> str:
    """`{method} {route}`; `HTTP` for an unknown method, no route where none matched."""
    known = method if method in KNOWN_METHODS else "HTTP"
    return known if template == _UNMATCHED else f"{known} {template}"


def server(exchange: Exchange) -> tuple[tuple[Told, ...], bool]:
    """What a server span tells, and whether it is a usual one."""
    route = exchange.route
    known_id = exchange.job_id or route.job_id
    path, host, agent = exchange.raw_path, exchange.host, exchange.fields.get(b"user-agent", b"")
    usual = len(path) + len(host) + len(agent) <= _SHORT
    if not usual:
        path, host, agent = path[:_LONGEST], host[:_LONGEST], agent[:_LONGEST]
        known_id = known_id and known_id[:JOB_ID_LENGTH]
    caller = exchange.scheme, exchange.http_version, exchange.client, agent, host
    asked = (
        exchange.method,
        route.template,
        path,
        known_id,
        exchange.status,
        exchange.error_type,
        exchange.read_result,
    )
    return ((_caller, caller), (_asked, asked)), usual


def client(exchange: Exchange, attempt: Attempt, origin: Origin) -> tuple[tuple[Told, ...], bool]:
    """What a client span tells, and whether it is a usual one."""
    known_id = exchange.job_id or exchange.route.job_id
    # Redacted before it waits for anything, so that neither queue nor cache ever holds a secret.
    path, query = exchange.raw_path, exchange.query
    if not _NOTHING_TO_HIDE.fullmatch(query):
        query = redacted(query)
    usual = len(path) + len(query) <= _SHORT
    if not usual:
        path, query = path[:_LONGEST], query[:_LONGEST]
        known_id = known_id and known_id[:JOB_ID_LENGTH]
    # A call that was given up because the client left is no error of the upstream's.
    error = None if attempt.cancelled else attempt.error_type
    sent = exchange.method, origin, path, query, attempt.number, known_id, attempt.status, error
    return ((_sent, sent),), usual


def work(exchange: Exchange) -> tuple[tuple[Told, ...], bool]:
    """What a span of own work tells: the job or the kind that it reads, and any error at all."""
    route = exchange.route
    return ((_worked, (route.job_kind, route.job_id, exchange.error_type or exchange.error_code)),), False


def _asked(
    method: str,
    template: str,
    path: bytes,
    known_id: str | None,
    status: int | None,
    error: str | None,
    read_result: str | None,
) -> Attributes:
    """An exchange has failed with 5xx, or when it broke."""
    attributes = _method(method)
    attributes["url.path"] = raw(path)
    if template != _UNMATCHED:
        attributes["http.route"] = template
    attributes |= _answered(known_id, status, error, _FIRST_SERVER_ERROR)
    if read_result is not None:
        attributes["adt_gateway.read"] = read_result
    return attributes


def _sent(
    method: str,
    origin: Origin,
    path: bytes,
    query: bytes,
    number: int,
    known_id: str | None,
    status: int | None,
    error: str | None,
) -> Attributes:
    """An attempt has failed with 4xx or 5xx, or when no whole answer came."""
    attributes = _method(method)
    attributes["server.address"] = origin.address
    attributes["server.port"] = origin.port
    shown = "?" + raw(query) if query else ""
    attributes["url.full"] = text(origin.url + raw(path) + shown)
    if number:
        attributes["http.request.resend_count"] = number
    return attributes | _answered(known_id, status, error, _FIRST_ERROR)


def _method(method: str) -> Attributes:
    if method in KNOWN_METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": text(method)}


def _caller(scheme: str, http_version: str, client: str | None, agent: bytes, host: bytes) -> Attributes:
    attributes: Attributes = {"url.scheme": scheme, "network.protocol.version": http_version}
    if client is not None:
        attributes["client.address"] = client
    if agent:
        attributes["user_agent.original"] = raw(agent)
    return attributes | _server(host, scheme)


def _server(host: bytes, scheme: str) -> Attributes:
    """What the Host header says of the server."""
    name, bracket, rest = host.partition(b"]")
    if bracket:
        name, port = name.removeprefix(b"["), rest.removeprefix(b":")
    else:
        name, _, port = name.partition(b":")
    if not name:
        return {}
    told: Attributes = {"server.address": raw(name)}
    if not port:
        told["server.port"] = PORTS.get(scheme, 0)
    elif port.isdigit() and len(port) <= len("65535"):
        told["server.port"] = int(port)
    return told


def _worked(kind: str | None, known_id: str | None, error: str | None) -> Attributes:
    attributes: Attributes = {} if kind is None else {"az.digitaltwins.job.kind": kind}
    return attributes | _answered(known_id, None, error, _FIRST_ERROR)


def _answered(known_id: str | None, status: int | None, error: str | None, first_error: int) -> Attributes:
    attributes: Attributes = {}
    if known_id is not None:
        attributes["az.digitaltwins.job.id"] = job_id(known_id)
    if status is not None:
        attributes["http.response.status_code"] = status
        if error is None and status >= first_error:
            error = str(status)
    if error is not None:
        attributes[ERROR] = text(error)
    return attributes
