"""What a span says about an exchange, in the names of the stable HTTP semantic conventions.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/. Every value may have been written by an
attacker: text is bounded in length, and made valid UTF-8 because one bad value would lose its whole batch.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from gateway.exchange import Attempt, Exchange

Attributes = dict[str, str | int | float | bool]

TEXT_LENGTH = 2_048
"""Longest attribute value, in characters; more is cut."""
JOB_ID_LENGTH = 256
"""Longest job id, in characters."""
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
PORTS = {"http": 80, "https": 443}

_SHOWN = b"api-version"
_VERSION = re.compile(rb"[0-9A-Za-z.-]{1,32}")
_UNMATCHED = "unmatched"
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Origin:
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
    return _kept_raw(value) if len(value) <= _SHORT else _raw(value)


def _raw(value: bytes) -> str:
    return text(value.decode("utf-8", "backslashreplace"))


_SHORT = 256
"""Bytes up to which a text is kept: of user agents, hosts, and paths that are asked for again and again."""
_kept_raw = lru_cache(1_024)(_raw)


def redacted(query: bytes) -> bytes:
    """A query in which only the value of `api-version` can be read."""
    if not query:
        return query
    return b"&".join(_redacted_pair(pair) for pair in query.split(b"&"))


def _redacted_pair(pair: bytes) -> bytes:
    name, equals, value = pair.partition(b"=")
    if not pair or (name == _SHOWN and _VERSION.fullmatch(value)):
        return pair
    # A bare word is as likely to be a secret as a value is.
    return name + b"=REDACTED" if equals else b"REDACTED"


def span_name(exchange: Exchange) -> str:
    """`{method} {route}`; `HTTP` for an unknown method, no route where none matched."""
    method = exchange.method if exchange.method in KNOWN_METHODS else "HTTP"
    template = exchange.route.template
    return method if template == _UNMATCHED else f"{method} {template}"


def _method(method: str) -> Attributes:
    if method in KNOWN_METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": text(method)}


def server_start(exchange: Exchange) -> Attributes:
    """What a server span carries from its start, so that samplers see it."""
    attributes = _method(exchange.method)
    attributes["url.path"] = raw(exchange.raw_path)
    attributes["url.scheme"] = exchange.scheme
    attributes["network.protocol.version"] = exchange.http_version
    route = exchange.route
    if route.template != _UNMATCHED:
        attributes["http.route"] = route.template
    if route.job_id is not None:
        attributes["az.digitaltwins.job.id"] = job_id(route.job_id)
    if exchange.client is not None:
        attributes["client.address"] = exchange.client
    agent = exchange.header(b"user-agent")
    if agent is not None:
        attributes["user_agent.original"] = raw(agent)
    host = exchange.host
    attributes |= (_kept_server if len(host) <= _SHORT else _server)(host, exchange.scheme)
    return attributes


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


_kept_server = lru_cache(64)(_server)


def server_end(exchange: Exchange) -> tuple[Attributes, bool]:
    """What a server span learned, and whether it failed: 5xx or a broken exchange."""
    attributes: Attributes = {}
    status = exchange.status
    if status is not None:
        attributes["http.response.status_code"] = status
    error = exchange.error_type
    if error is None and status is not None and status >= _FIRST_SERVER_ERROR:
        error = str(status)
    if error is not None:
        attributes["error.type"] = text(error)
    if exchange.read_result is not None:
        attributes["adt_gateway.read"] = exchange.read_result
    _add_ids(attributes, exchange, exchange.request_id)
    return attributes, error is not None


def work_start(exchange: Exchange) -> Attributes:
    """What a span of the gateway's own work carries from its start: the job or the kind that it reads."""
    attributes: Attributes = {}
    if exchange.route.job_kind is not None:
        attributes["az.digitaltwins.job.kind"] = exchange.route.job_kind
    if exchange.route.job_id is not None:
        attributes["az.digitaltwins.job.id"] = job_id(exchange.route.job_id)
    return attributes


def work_end(exchange: Exchange) -> tuple[Attributes, bool]:
    """What own work learned, and whether it failed: any error at all."""
    error = exchange.error_type or exchange.error_code
    return ({}, False) if error is None else ({"error.type": text(error)}, True)


def client_start(exchange: Exchange, attempt: Attempt, origin: Origin) -> Attributes:
    """What a client span carries from its start."""
    attributes = _method(exchange.method)
    attributes["server.address"] = origin.address
    attributes["server.port"] = origin.port
    query = exchange.query
    shown = _kept_query(query) if len(query) <= _SHORT else _query(query)
    attributes["url.full"] = text(origin.url + raw(exchange.raw_path) + shown)
    if attempt.number:
        attributes["http.request.resend_count"] = attempt.number
    return attributes


def _query(query: bytes) -> str:
    return "?" + raw(redacted(query)) if query else ""


_kept_query = lru_cache(256)(_query)


def client_end(exchange: Exchange, attempt: Attempt) -> tuple[Attributes, bool]:
    """What a client span learned, and whether it failed: 4xx, 5xx, or no whole answer.

    A call that was given up because the client left is no error of the upstream's.
    """
    attributes: Attributes = {}
    status = attempt.status
    error = None if attempt.cancelled else attempt.error_type
    if status is not None:
        attributes["http.response.status_code"] = status
        if status >= _FIRST_ERROR:
            error = error or str(status)
    if error is not None:
        attributes["error.type"] = text(error)
    _add_ids(attributes, exchange, attempt.request_id)
    return attributes, error is not None


def _add_ids(attributes: Attributes, exchange: Exchange, request_id: str | None) -> None:
    if request_id is not None:
        attributes["azure.service.request.id"] = text(request_id)
    known_id = exchange.job_id or exchange.route.job_id
    if known_id is not None:
        attributes["az.digitaltwins.job.id"] = job_id(known_id)
