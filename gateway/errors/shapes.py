"""JSON documents: which of the known shapes an upstream's error has, and what it says.

A shape is named by the reason for which the body is rewritten; None means that it conforms and stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.errors.body import clean
from gateway.errors.codes import SUB_DOMAIN_NOT_FOUND, is_code

DEEPEST = 32
"""Containers inside each other that a body may have and still pass as it is."""
_LEVELS = 12
"""Nested `details` and `innererror` kept in a rewritten body; each takes two containers at most."""
_SUB_DOMAIN = "sub-domain not found"
_SUB_DOMAIN_HINT = "The tenant of the token or the host in upstream.base_url may be wrong."

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Found:
    """What an error says; None where it does not say it."""

    reason: str | None
    code: str | None = None
    """Safe to send as a header."""
    message: str | None = None
    rest: Json = field(default_factory=dict)
    """`details`, `innererror` and `target`, recased and capped."""


def recognise(document: Json, *, problem: bool) -> Found:
    """Read an object; `problem` says that its media type is that of RFC 9457."""
    error = _get(document, "error")
    if isinstance(error, dict):
        return _wrapped(document, error)
    if isinstance(error, str):
        return _oauth(error, document)
    message = _text(document, "message")
    if message is not None and message.lower().startswith(_SUB_DOMAIN):
        return Found("sub-domain", SUB_DOMAIN_NOT_FOUND, f"{message} {_SUB_DOMAIN_HINT}")
    told = _text(document, "detail") or _text(document, "title")
    if problem or (told is not None and message is None):
        code = _code(document) or _code_of_type(_text(document, "type"))
        return Found("problem-json", code, told or message, _nested(document, _LEVELS))
    if message is not None or _code(document) is not None:
        return _said("top-level", document)
    return Found("shape")


def _wrapped(document: Json, error: Json) -> Found:
    """`{"error": {…}}`, exact or nearly."""
    if "error" in document and _conforms(error):
        return _said("too-deep" if _is_deep(document) else None, error)
    recased = "error" not in document or any(
        name not in error and _get(error, name) is not None for name in ("code", "message")
    )
    return _said("casing" if recased else "incomplete", error)


def _conforms(error: Json) -> bool:
    details, inner = error.get("details"), error.get("innererror")
    return (
        is_code(error.get("code"))
        and isinstance(error.get("message"), str)
        and (details is None or (isinstance(details, list) and all(isinstance(d, dict) for d in details)))
        and (inner is None or isinstance(inner, dict))
    )


def _oauth(error: str, document: Json) -> Found:
    """RFC 6749, section 5.2; a sentence in place of a code becomes the message."""
    described = _text(document, "error_description")
    if is_code(error):
        return Found("oauth", error, described)
    return Found("oauth", None, described or error)


def _said(reason: str | None, error: Json) -> Found:
    return Found(reason, _code(error), _text(error, "message"), _nested(error, _LEVELS))


def _nested(error: Json, levels: int) -> dict[str, object]:
    """`details`, `innererror` and `target`, down to `levels` below this one."""
    out: dict[str, object] = {}
    if (target := _text(error, "target")) is not None:
        out["target"] = clean(target)
    if levels == 0:
        return out
    details = _get(error, "details")
    if isinstance(details, list) and details:
        out["details"] = [_inner(detail, levels - 1) for detail in details if isinstance(detail, dict)]
    inner = _get(error, "innererror")
    if isinstance(inner, dict):
        out["innererror"] = _inner(inner, levels - 1)
    return out


def _inner(error: Json, levels: int) -> dict[str, object]:
    texts = {name: clean(text) for name in ("code", "message") if (text := _text(error, name)) is not None}
    return {**texts, **_nested(error, levels)}


def _code(error: Json) -> str | None:
    code = _text(error, "code")
    return code if is_code(code) else None


def _code_of_type(uri: str | None) -> str | None:
    """The last part of a problem type; `about:blank` and sections of an RFC name no code."""
    if uri is None or uri.startswith("about:"):
        return None
    last = uri.rstrip("/").replace("#", "/").replace(":", "/").rpartition("/")[2]
    return last if is_code(last) and not last.lower().startswith(("section-", "rfc")) else None


def _text(error: Json, name: str) -> str | None:
    value = _get(error, name)
    return value if isinstance(value, str) else None


def _get(error: Json, name: str) -> object:
    """A member by its name, else by its name in another casing, else None."""
    if name in error:
        return error[name]
    return next((value for key, value in error.items() if key.lower() == name), None)


def _is_deep(document: Json) -> bool:
    """Whether containers are nested deeper than clients should have to bear; goes level by level."""
    level: list[object] = [document]
    for _ in range(DEEPEST):
        level = [child for value in level for child in _children(value)]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [member for member in members if isinstance(member, dict | list)]
