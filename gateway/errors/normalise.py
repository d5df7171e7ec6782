"""Errors of the upstream: whatever came to one ErrorResponse, with `x-ms-error-code` equal to `error.code`.

The status is never touched, and neither is any header but those that describe the body, name the code, or
are the gateway's own. A body that conforms keeps its bytes. Normalising twice changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from gateway.errors.body import CONTENT_TYPE, error_body
from gateway.errors.codes import is_code, status_name
from gateway.errors.reading import is_json, media_type, plain, understand
from gateway.errors.shapes import Found
from gateway.exchange import RawHeaders

ERROR_BODY_CAP = 65_536
"""Bytes of an error body that are read; a larger one passes unread."""

REASONS = frozenset(
    {
        # The body keeps its bytes.
        "header-missing",
        "mismatch",
        "content-type",
        "too-large",
        # The body is rewritten.
        "header-only",
        "empty",
        "html",
        "text",
        "unreadable",
        "invalid-json",
        "encoding",
        "sub-domain",
        "oauth",
        "problem-json",
        "top-level",
        "casing",
        "incomplete",
        "too-deep",
        "shape",
    }
)
"""The closed set of `Normalised.reason`: a metric label and the value of `x-gateway-error-normalised`."""

_CODE = b"x-ms-error-code"
_ORIGIN = b"x-gateway-error-origin"
_NORMALISED = b"x-gateway-error-normalised"
_OURS = b"x-gateway-"
# What describes the old bytes, and would be wrong about the new ones.
_OF_THE_OLD_BODY = (
    b"content-encoding",
    b"transfer-encoding",
    b"content-md5",
    b"content-digest",
    b"repr-digest",
    b"digest",
)


@dataclass(frozen=True, slots=True)
class Normalised:
    """An upstream error as the app gets it."""

    headers: RawHeaders
    body: bytes | None
    """None where the body was not read and passes as it comes."""
    code: str
    """`error.code`; any token of the upstream's, so not a label by itself."""
    reason: str | None
    """One of REASONS, or None where nothing was amiss."""
    rewritten: bool
    """Whether the body's bytes are new; only then the app is told the reason."""


def reads_error(*, method: str, status: int, headers: RawHeaders) -> bool:
    """Whether the body of this response is worth reading: an error that does not declare itself too large."""
    if status < HTTPStatus.BAD_REQUEST or method == "HEAD":
        return False
    # Digits beyond the cap's own are not converted: int() is quadratic.
    return all(
        len(length) <= len(str(ERROR_BODY_CAP)) and length.isdigit() and int(length) <= ERROR_BODY_CAP
        for length in _values(headers, b"content-length")
    )


def normalise(
    *, method: str, status: int, headers: RawHeaders, body: bytes | None, owns_token: bool
) -> Normalised:
    """What the app gets for a response of 400 or more; `body` None means that it was too large to read.

    `owns_token` says that the app holds no credential, so that a challenge is no business of its own.
    """
    kept = [
        pair
        for pair in headers
        if not pair[0].startswith(_OURS) and not (owns_token and pair[0] == b"www-authenticate")
    ]
    told = [value.decode("latin-1") for value in _values(kept, _CODE)]
    fallback = next((code for code in told if is_code(code)), status_name(status))
    if method == "HEAD":
        kept = _edited(kept, {_CODE: fallback.encode()})
        return Normalised([*kept, (_ORIGIN, b"upstream")], b"", fallback, None, rewritten=False)
    if body is None:
        # A code made from the status might contradict the body, so a missing header stays missing.
        return Normalised([*kept, (_ORIGIN, b"upstream")], None, fallback, "too-large", rewritten=False)
    decoded = plain(body, _values(kept, b"content-encoding"))
    found = _found(decoded, kept, told)
    if found.reason is None and found.code is not None and decoded == body:
        return _passed(headers, kept, body, found.code, told)
    return _rewritten(kept, status, found, decoded, found.code or fallback)


def _found(decoded: bytes | None, headers: RawHeaders, told: list[str]) -> Found:
    if decoded is None:
        return Found("encoding")
    media = media_type(next(iter(_values(headers, b"content-type")), b""))
    found = understand(decoded, media)
    return Found("header-only") if found.reason == "empty" and any(map(is_code, told)) else found


def _passed(before: RawHeaders, kept: RawHeaders, body: bytes, code: str, told: list[str]) -> Normalised:
    """A body that conforms: its bytes stay, the headers are brought into step with it."""
    changes: dict[bytes, bytes | None] = {_CODE: code.encode()}
    types = _values(kept, b"content-type")
    readable = len(types) == 1 and is_json(media_type(types[0]))
    if not readable:
        changes[b"content-type"] = CONTENT_TYPE
    if _values(kept, b"content-length"):
        changes[b"content-length"] = b"%d" % len(body)
    out = [*_edited(kept, changes), (_ORIGIN, b"upstream")]
    # A gateway further up rewrote it already: what it said stays true.
    earlier = (value for value in _values(before, _NORMALISED) if value.decode("latin-1") in REASONS)
    out.extend((_NORMALISED, value) for value in list(earlier)[:1])
    reason = None if readable else "content-type"
    if not told:
        reason = "header-missing"
    elif any(value != code for value in told):
        reason = "mismatch"
    return Normalised(out, body, code, reason, rewritten=False)


def _rewritten(kept: RawHeaders, status: int, found: Found, decoded: bytes | None, code: str) -> Normalised:
    # An error that conforms once its coding or byte order mark is taken off keeps its own bytes.
    reason = found.reason or "encoding"
    if found.reason is None and decoded is not None:
        body = decoded
    else:
        body = error_body(code, found.message or _untold(status, reason), found.rest)
    changes: dict[bytes, bytes | None] = dict.fromkeys(_OF_THE_OLD_BODY)
    changes[b"content-type"] = CONTENT_TYPE
    changes[b"content-length"] = b"%d" % len(body)
    changes[_CODE] = code.encode()
    out = [*_edited(kept, changes), (_ORIGIN, b"upstream"), (_NORMALISED, reason.encode())]
    return Normalised(out, body, code, reason, rewritten=True)


def _untold(status: int, reason: str) -> str:
    """The message where the upstream gave none that can be shown."""
    told = "with no body" if reason in {"empty", "header-only"} else "with a body that cannot be shown"
    hint = " A missing role assignment looks like this." if status == HTTPStatus.FORBIDDEN else ""
    return f"The upstream answered {status} {told}.{hint}"


def _values(headers: RawHeaders, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _edited(headers: RawHeaders, changes: Mapping[bytes, bytes | None]) -> RawHeaders:
    """A copy in which each name stands once, at its first place or at the end; None removes it."""
    left = {name: value for name, value in changes.items() if value is not None}
    out: RawHeaders = []
    for name, value in headers:
        if name not in changes:
            out.append((name, value))
        elif name in left:
            out.append((name, left.pop(name)))
    out.extend(left.items())
    return out
