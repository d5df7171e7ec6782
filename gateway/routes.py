"""Method and raw path to a `Route`, whose template is a label from a closed set.

The table is that of the Azure Digital Twins data plane, api-version 2023-10-31. Segments stay percent-encoded
while they are matched: `%2F` inside an id is part of the id. What is not in the table is `unmatched`.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_to_bytes

from gateway.exchange import UNMATCHED, Route

UNMATCHED_JOBS = Route("unmatched", jobs_api=True)

_TABLE = (
    ("POST GET", "/models"),
    ("GET PATCH DELETE", "/models/{id}"),
    ("POST", "/query"),
    ("GET PUT PATCH DELETE", "/digitaltwins/{id}"),
    ("GET", "/digitaltwins/{id}/relationships"),
    ("GET", "/digitaltwins/{id}/incomingrelationships"),
    ("GET PUT PATCH DELETE", "/digitaltwins/{id}/relationships/{relationshipId}"),
    ("POST", "/digitaltwins/{id}/telemetry"),
    ("POST", "/digitaltwins/{id}/components/{componentPath}/telemetry"),
    ("GET PATCH", "/digitaltwins/{id}/components/{componentPath}"),
    ("GET", "/eventroutes"),
    ("GET PUT DELETE", "/eventroutes/{id}"),
    ("GET", "/jobs/imports"),
    ("GET PUT DELETE", "/jobs/imports/{id}"),
    ("POST", "/jobs/imports/{id}/cancel"),
    ("GET POST", "/jobs/deletions"),
    ("GET", "/jobs/deletions/{id}"),
)

_PAGED = frozenset(
    {
        "GET /models",
        "GET /digitaltwins/{id}/relationships",
        "GET /digitaltwins/{id}/incomingrelationships",
        "GET /eventroutes",
        "GET /jobs/imports",
        "GET /jobs/deletions",
    }
)

_JOBS = {
    "GET /jobs/imports": ("import", "list"),
    "GET /jobs/imports/{id}": ("import", "get"),
    "PUT /jobs/imports/{id}": ("import", "add"),
    "DELETE /jobs/imports/{id}": ("import", "delete"),
    "POST /jobs/imports/{id}/cancel": ("import", "cancel"),
    "GET /jobs/deletions": ("deletion", "list"),
    "POST /jobs/deletions": ("deletion", "add"),
    "GET /jobs/deletions/{id}": ("deletion", "get"),
}

_COLLECTIONS = {
    kind: key.partition(" ")[2] for key, (kind, operation) in _JOBS.items() if operation == "list"
}

TEMPLATES: frozenset[str] = frozenset(template for _, template in _TABLE)
LABELS: tuple[str, ...] = (*(template for _, template in _TABLE), UNMATCHED.template)

_END = re.compile(rb"[?#]")
_REMEMBERED = 1_024
"""Requests whose route is kept: a job is asked for again and again."""
_SHORT = 256
"""Bytes of the path of one that is kept."""
Segments = tuple[bytes | None, ...]
"""A template cut at its slashes; None stands for a parameter."""


def _segments(template: str) -> Segments:
    return tuple(None if part.startswith("{") else part.encode() for part in template.split("/")[1:])


def _route(method: str, template: str) -> Route:
    key = f"{method} {template}"
    kind, operation = _JOBS.get(key, (None, None))
    return Route(template, job_kind=kind, operation=operation, pages=key in _PAGED, jobs_api=kind is not None)


_BY_SHAPE: dict[tuple[bytes, int], list[tuple[Segments, dict[str, Route]]]] = {}
for _methods, _template in _TABLE:
    _parts = _segments(_template)
    _routes = {_method: _route(_method, _template) for _method in _methods.split()}
    if "GET" in _routes:
        _routes["HEAD"] = _route("GET", _template)
    _BY_SHAPE.setdefault((_parts[0] or b"", len(_parts)), []).append((_parts, _routes))


def match(method: str, raw_path: bytes) -> Route:
    """The route of a request; `raw_path` is the path as it stood in the request line, without the query."""
    return (_kept_match if len(raw_path) <= _SHORT else _match)(method, raw_path)


def _match(method: str, raw_path: bytes) -> Route:
    parts = raw_path.split(b"/")
    for segments, routes in _BY_SHAPE.get((parts[1], len(parts) - 1) if len(parts) > 1 else (b"", 0), ()):
        if not _fits(segments, parts):
            continue
        route = routes.get(method)
        if route is None:
            break
        if route.job_kind is not None and len(segments) > 2:  # noqa: PLR2004 - /jobs/<kind>/<id>
            job_id = unquote(parts[3].decode("ascii", "replace"), errors="replace")
            return Route(route.template, route.job_kind, job_id, route.operation, jobs_api=True)
        return route
    return UNMATCHED_JOBS if _reads_as_jobs(raw_path) else UNMATCHED


_kept_match = lru_cache(_REMEMBERED)(_match)


def job_path(kind: str, job_id: str | None = None) -> bytes:
    """The path of a job, or of all jobs of a kind, as the upstream has it."""
    template = _COLLECTIONS[kind]
    return (template if job_id is None else f"{template}/{quote(job_id, safe='')}").encode("ascii")


def _reads_as_jobs(raw_path: bytes) -> bool:
    """Whether a lenient upstream may take the path for one of the Jobs API."""
    for path in _decodings(raw_path):
        parts = map(_bare, path.lower().split(b"/"))
        if next(filter(None, parts), b"") == b"jobs":
            return True
    return False


def _fits(segments: Segments, parts: list[bytes]) -> bool:
    return all(
        part == segment if segment is not None else part
        for segment, part in zip(segments, parts[1:], strict=True)
    )


class DenyList:
    """`routes.deny`: method and template pairs that get 403.

    Matching is wider than for labels, since an upstream's may be too: case, percent-encoding (of slashes,
    and twice), empty segments, parameters (`;v=1`) and dots or spaces at a segment's end are ignored. HEAD is
    refused with GET.
    """

    def __init__(self, pairs: Iterable[str]) -> None:
        cut = [(pair, *pair.partition(" ")[::2]) for pair in pairs]
        self._pairs = tuple((pair, method, _segments(template)) for pair, method, template in cut)

    def refuses(self, method: str, raw_path: bytes) -> str | None:
        """The pair that refuses the request, or None."""
        if not self._pairs:
            return None
        meant = "GET" if method == "HEAD" else method
        readings = list(_readings(raw_path))
        for pair, denied, segments in self._pairs:
            if denied == meant and any(_fits_folded(segments, parts) for parts in readings):
                return pair
        return None


def _readings(raw_path: bytes) -> Iterator[list[bytes]]:
    """The segments as strict and as lenient servers may read them, in lower case, none empty."""
    apart = [unquote_to_bytes(part) for part in raw_path.split(b"/")]
    for parts in (apart, *(path.split(b"/") for path in _decodings(raw_path))):
        folded = [part.lower() for part in parts if part]
        yield folded
        yield [bare for part in folded if (bare := _bare(part))]


def _decodings(raw_path: bytes) -> Iterator[bytes]:
    """The path as servers read it that decode once, and twice, before they look for a query."""
    once = unquote_to_bytes(raw_path)
    yield _END.split(once, 1)[0]
    if b"%" in once:
        yield _END.split(unquote_to_bytes(once), 1)[0]


def _bare(part: bytes) -> bytes:
    """A segment without parameters (RFC 3986, section 3.3), and dots or spaces at its end."""
    return part.partition(b";")[0].rstrip(b". ")


def _fits_folded(segments: Segments, parts: list[bytes]) -> bool:
    return len(segments) == len(parts) and all(
        segment is None or segment == part for segment, part in zip(segments, parts, strict=True)
    )
