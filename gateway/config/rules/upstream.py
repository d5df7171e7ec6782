"""Rules of `upstream` and `routes`: where requests go, and which do not."""

import difflib
from collections.abc import Iterator

from gateway.config.files import authorities_fault
from gateway.config.origin import parse_origin
from gateway.config.problem import Problem
from gateway.config.rules.given import Given, url_fault

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that `routes.deny` can name; the gateway answers TRACE and CONNECT itself."""


def base_url(given: Given) -> Iterator[Problem]:
    """The upstream is an origin to which a token may be sent."""
    upstream = given.settings.upstream
    try:
        origin = parse_origin(upstream.base_url)
    except ValueError as error:
        yield given.problem("upstream.base_url", str(error))
        return
    if not (origin.is_private or upstream.allow_plain_http):
        yield given.problem(
            "upstream.base_url", "must be https, or http to loopback or with upstream.allow_plain_http"
        )


def proxy(given: Given) -> Iterator[Problem]:
    """The outbound proxy is a URL; user name and password may be in it."""
    url = given.settings.upstream.proxy
    if url is not None:
        yield from given.fault("upstream.proxy", url_fault(url, userinfo=True))


def ca_file(given: Given) -> Iterator[Problem]:
    """The upstream's CA can be loaded."""
    path = given.settings.upstream.ca_file
    if path is not None:
        yield from given.fault("upstream.ca_file", authorities_fault(path))


def deny(given: Given) -> Iterator[Problem]:
    """Each entry is a method and a template that exists: a mistyped one would deny nothing."""
    for number, entry in enumerate(given.settings.routes.deny, 1):
        if fault := _entry_fault(entry, given.known_templates):
            yield given.problem("routes.deny", f"item {number} {fault}")


def _entry_fault(entry: str, known_templates: frozenset[str]) -> str | None:
    method, _, template = entry.partition(" ")
    if method not in METHODS or not template.startswith("/"):
        return f'must be "METHOD /template" with one of {", ".join(METHODS)}'
    if not known_templates or template in known_templates:
        return None
    close = difflib.get_close_matches(template, sorted(known_templates), n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"must have a template of the route table{hint}"
