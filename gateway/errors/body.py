"""How an ErrorResponse is written: safe text, bounded, no secret.

The shape is that of the Azure REST API guidelines and of the data plane's reference:
`{"error": {"code", "message", "details": [...], "innererror": {...}}}`.
"""

import re
from collections.abc import Mapping

import msgspec

CONTENT_TYPE = b"application/json; charset=utf-8"
MESSAGE_LIMIT = 2048
"""Longest message in bytes of UTF-8."""

# Control characters (C0, C1), line separators and marks that reorder text on a terminal.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]+")
# SAS signatures and credentials in a form or query, bearer tokens, and anything that looks like a JWT.
_SECRET = re.compile(
    r"(?P<kept>\b(?:sig|access_token|refresh_token|client_secret|client_assertion)(?:=|%3d)"
    r"|\bbearer\s++(?!(?:tokens?|authentication|authorization)(?:[\s.,;:]|$)))"
    r"""[^\s&"'<>,;]{4,}"""
    r"|\beyJ[\w-]{8,}(?:\.[\w-]*)*",
    re.IGNORECASE,
)


def error_body(code: str, message: str, rest: Mapping[str, object]) -> bytes:
    """The bytes of an ErrorResponse; `rest` are further members of `error`."""
    return msgspec.json.encode({"error": {"code": code, "message": clean(message), **rest}})


def clean(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Text that may be shown and logged: one line, no secrets, at most `limit` bytes of UTF-8."""
    text = _UNSAFE.sub(" ", text).strip()
    text = _SECRET.sub(lambda match: f"{match['kept'] or ''}***", text)
    return text.encode(errors="replace")[:limit].decode(errors="ignore")
