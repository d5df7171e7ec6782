"""The last line of defence of the log: what looks like a secret is masked, what does not print is escaped.

Rooms must not log secrets in the first place; this catches what a library writes. Pure functions.
"""

import re

MASK = "[redacted]"

_STEMS = ("auth", "bearer", "basic", "eyj", "secret", "token", "assertion", "key", "password", "sig")
"""One of these is in everything that the patterns find; looking for them is far cheaper."""
_NAMES = (
    r"client_secret|client_assertion|access_token|refresh_token|id_token|subscription-key|api[-_]key"
    r"|x-gateway-key|password|assertion|sig"
)
_PATTERNS = (
    # The header by its name, whatever the scheme, to the end of the value; also in the repr of a pair.
    (
        re.compile(r"""(?i)(authorization(?:['"]\s*,|['"]?\s*[:=])\s*(?:b(?=['"]))?['"]?)[^'"\r\n]+"""),
        rf"\1{MASK}",
    ),
    # name=value in a query or a form, "name": "value" in JSON, name: value in a header; `=` may be encoded.
    # Before the schemes: one of them may stand before a name, which would be taken for the credential.
    (
        re.compile(
            rf"""(?i)(?<![a-z])({_NAMES})(['"]?\s*(?:[:=,]|%3d)\s*(?:b(?=['"]))?['"]?)"""
            r"""(?:(?:bearer|basic)\s+)*[^\s'"&,;})\]]+"""
        ),
        rf"\1\2{MASK}",
    ),
    # A credential behind its scheme alone.
    (re.compile(r"(?i)\b((?:(?:bearer|basic)\s+)+)[\w.~+/=-]{6,}"), rf"\1{MASK}"),
    # A JWT's header always begins with {" in base64url.
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}"), MASK),
)


def suspicious(text: str) -> bool:
    """Whether `redact` might find something; false for nearly every line."""
    lower = text.lower()
    for stem in _STEMS:  # noqa: SIM110 - `any` with its generator takes one and a half times as long
        if stem in lower:
            return True
    return False


def redact(text: str) -> str:
    """The text with everything that looks like a token, a key, a signature or a password masked."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def printable(text: str, limit: int) -> str:
    r"""At most `limit` characters, and those that do not print as `\x1b` and the like.

    A line break or a terminal's escape sequence written by a caller would otherwise forge what people read.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
