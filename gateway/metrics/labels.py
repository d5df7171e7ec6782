"""Closed label sets: whatever a peer sends, the number of series stays bounded."""

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from gateway import failures

OTHER_HTTP = "_OTHER"
"""The HTTP semantic conventions' name for a method, status or error type outside the known ones."""
OTHER = "other"
"""The same for error codes, reasons and sources."""
ERROR_CLASSES: Mapping[str, str] = MappingProxyType({"4": "4xx", "5": "5xx"})
"""Error types of statuses that are not told one by one, by the first digit; a 4xx is no failure of ADT's."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT")
"""Case-sensitive (RFC 9110, section 9.1)."""
TOKEN_SOURCES = ("entra", "oauth2", "file", "static")
SUCCESS = "success"
TOKEN_RESULTS = (SUCCESS, "failure")
RETRY_REASONS = ("token", "unreachable", "stale_connection", "throttled")
CIRCUIT_STATES = ("closed", "open", "half_open")
READ_RESULTS = ("hit", "collapsed", "batched", "miss", "bypass")
PRIORITIES = ("write", "read", "watch")
REPLAY_RESULTS = ("recorded", "read", "unknown")
FLEET_OPERATIONS = (
    "begin",
    "claim",
    "drop",
    "forget",
    "get",
    "hold",
    "load",
    "look",
    "pause",
    "publish",
    "put",
    "release",
    "remove",
    "reserve",
    "tell",
)
FLEET_RESULTS = ("ok", "timeout", "error", "away")
LINK_UNREAD_REASONS = ("too_large", "encoding")
JOB_UNREAD_REASONS = ("too_large", "not_json", "not_a_job")

MAX_FOUND = 512
"""Keys of each `Found`."""

UNKNOWN_STATUS = "unknown"
JOB_STATUSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "import": ("notstarted", "running", "failed", "succeeded", "cancelling", "cancelled", UNKNOWN_STATUS),
        "deletion": ("notstarted", "running", "failed", "succeeded", UNKNOWN_STATUS),
    }
)
"""By kind, as in the REST reference; a deletion cannot be cancelled."""
ACTIVE_JOBS = (*JOB_STATUSES, "unknown")
"""The job in the way of another, by its kind."""

_STATUSES = {int(status): str(int(status)) for status in HTTPStatus}
_STATUS_TEXTS = frozenset(_STATUSES.values())
_ERROR_STATUS = re.compile(r"([45])[0-9]{2}")


def status(code: int | None) -> str:
    """A registered status, `_OTHER`, or empty where there was no response."""
    return "" if code is None else _STATUSES.get(code, OTHER_HTTP)


def job_status(kind: str, text: str) -> str:
    """A status of this kind of job, or `unknown`: the service's enums are extensible."""
    return text if text in JOB_STATUSES[kind] else UNKNOWN_STATUS


def coarse_error_type(value: str) -> str:
    """One of few values for each of the closed set; failures of ADT's stay apart from what is none."""
    if not value or value in failures.OF_THE_APP:
        return value
    return ERROR_CLASSES.get(value[0], OTHER_HTTP)


def one_of(known: Iterable[str], value: str) -> str:
    """The value if it is known, else `other`."""
    return value if value in known else OTHER


class ErrorCodes:
    """The error codes that may be label values; all others are `other`."""

    def __init__(self, *, known: frozenset[str], gateway: frozenset[str]) -> None:
        self.known = known | gateway
        self.gateway = gateway
        self._error_types = gateway | _STATUS_TEXTS | {""}

    def fold(self, code: str) -> str:
        """A known code, or `other`."""
        return code if code in self.known else OTHER

    def error_type(self, value: str | None) -> str:
        """`error.type`: a code of the gateway's, a registered status or its class, `_OTHER`, or empty."""
        text = value or ""
        if text in self._error_types:
            return text
        status = _ERROR_STATUS.fullmatch(text)
        return OTHER_HTTP if status is None else ERROR_CLASSES[status[1]]


Child = TypeVar("Child")
Key = TypeVar("Key")
Child_co = TypeVar("Child_co", covariant=True)
LabelValues = tuple[str, ...]


class Labelled(Protocol[Child_co]):
    """A metric with labels."""

    def labels(self, *values: str) -> Child_co:
        """The child with these label values."""


class Kept(Generic[Child]):
    """The children of one metric, kept by their label values: `labels()` costs several times as much.

    The product of closed sets can still be large (method x route x status), so `limit` bounds the children;
    over it, new combinations count under the coarser labels that `overflow` returns.
    """

    def __init__(
        self,
        parent: Labelled[Child],
        *,
        limit: int | None = None,
        overflow: Callable[[LabelValues], LabelValues] | None = None,
    ) -> None:
        self._parent = parent
        self._limit = limit
        self._overflow = overflow
        self._children: dict[LabelValues, Child] = {}

    def __call__(self, *values: str) -> Child:
        """The child with these label values, in the order of the metric's label names."""
        child = self._children.get(values)
        return self._new(values) if child is None else child

    def _new(self, values: LabelValues) -> Child:
        if self._overflow is not None and self._limit is not None and len(self._children) >= self._limit:
            values = self._overflow(values)
        child = self._parent.labels(*values)
        self._children[values] = child
        return child


class Found(dict[Key, Child]):
    """What `find` found for keys as they come, bounded: one look in place of folding each label anew.

    `find` must always find the same for a key. Keys are what peers may choose: once there are too many all
    are forgotten, and those in use are soon back.
    """

    def __init__(self, find: Callable[[Key], Child]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: Key) -> Child:
        if len(self) >= MAX_FOUND:
            self.clear()
        found = self[key] = self._find(key)
        return found
