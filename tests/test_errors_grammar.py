"""Every character of an error code and of what is masked as a secret; and every code of the reference."""

import gzip
import string

import pytest

from gateway.errors import REFERENCE_CODES, normalise
from gateway.errors.body import clean
from gateway.errors.codes import STATUS_NAMES, is_code
from gateway.errors.reading import DECODED_CAP, plain

FIRST = set(string.ascii_letters + string.digits)
STOPS = " &\"'<>,;"
# The data plane's REST reference, api-version 2023-10-31; RFC 6750, section 3.1; Entra's claims challenge.
REFERENCE = """
JobLimitReached ValidationFailed ImportJobNotFound DeleteJobNotFound DTDLParsingError
DTDLParserError InvalidArgument LimitExceeded MissingArgument ModelAlreadyExists ModelNotFound
ModelReferencesNotDecommissioned ModelReferencesNotDeleted ModelVersionNotSupported
QuotaReachedError SqlQueryError TimeoutError
ComponentNotFound DigitalTwinNotFound InvalidRelationship JsonPatchInvalid ModelDecommissioned
OperationNotAllowed RelationshipAlreadyExists RelationshipNotFound RelationshipsNotDeleted TargetTwinNotFound
TwinLimitReached
EventRouteEndpointInvalid EventRouteFilterInvalid EventRouteIdInvalid EventRouteNotFound
invalid_request invalid_token insufficient_scope insufficient_claims
ClientError ServerError SubDomainNotFound
"""


def test_every_character_of_a_code() -> None:
    """A letter or a digit first, then dots, underscores and dashes too; 128 characters in all."""
    for code in range(0x180):
        char = chr(code)
        assert is_code(char) == (char in FIRST), code
        assert is_code(f"a{char}") == is_code(f"a{char}b") == (char in FIRST | set("._-")), code
    assert [is_code("a" * length) for length in (0, 1, 128, 129)] == [False, True, True, False]


def test_codes_of_the_reference() -> None:
    """The closed set is the reference's codes, and those that are made of a status."""
    assert set(REFERENCE.split()) | set(STATUS_NAMES.values()) == REFERENCE_CODES


@pytest.mark.parametrize(
    "start", ["sig=", "SIG=", "access_token=", "client_secret%3D", "bearer ", "Bearer \u00a0 "]
)
def test_every_character_of_a_secret(start: str) -> None:
    """It ends at a blank, a quote, a bracket or a separator; four characters are a secret, three are not."""
    kept = clean(start + "abc").removesuffix("abc")
    assert clean(f"{start}abc") == f"{kept}abc"
    for code in range(0x21, 0x7F):
        char = chr(code)
        if char in STOPS:
            assert clean(f"{start}abcd{char}ef") == f"{kept}***{char}ef", char
            assert clean(f"{start}ab{char}cdef") == f"{kept}ab{char}cdef", char
        else:
            assert clean(f"{start}ab{char}c") == f"{kept}***", char
    assert clean(f"{start}abcd ef") == f"{kept}*** ef"


def test_names_of_secrets_are_whole_words() -> None:
    """A longer word that ends like one is not one, and a name needs its sign."""
    for text in (
        "design=abcd",
        "xsig=abcd",
        "sig abcd",
        "sigabcd",
        "forbearer abcd",
        "bearerabcd",
        "bearer abc",
    ):
        assert clean(text) == text


@pytest.mark.parametrize("word", ["token", "tokens", "authentication", "authorization", "Token"])
def test_sentences_about_bearer_tokens_stay(word: str) -> None:
    """What follows is a word of English where it ends there."""
    for end in ("", " is abcd", ".", ", then", "; then", ": then"):
        assert clean(f"a bearer {word}{end}") == f"a bearer {word}{end}"
    assert clean(f"a bearer {word}x1") == "a bearer ***"
    assert clean(f"a bearer {word}sss") == "a bearer ***"
    assert clean(f"a bearer {word[:-1]}0") == "a bearer ***"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("eyJabcdefgh", "***"),
        ("eyJabcdefg", "eyJabcdefg"),
        ("eyJabcd-efgh", "***"),
        ("eyJabcdefgh.", "***"),
        ("eyJabcdefgh.a-b.c_d", "***"),
        ("eyJabcdefgh..", "***"),
        ("x eyJabcdefgh.a.b y", "x *** y"),
        ("xeyJabcdefgh", "xeyJabcdefgh"),
        ("eyabcdefghijk", "eyabcdefghijk"),
        ("eyJabcdefgh/x", "***/x"),
        ("(eyJabcdefgh)", "(***)"),
    ],
)
def test_what_looks_like_a_jwt(text: str, shown: str) -> None:
    """A header of eight characters or more, and all parts behind it; within a word it is none."""
    assert clean(text) == shown


def reason(body: bytes, *headers: tuple[bytes, bytes]) -> str | None:
    return normalise(method="GET", status=400, headers=list(headers), body=body, owns_token=True).reason


def test_every_byte_that_begins_markup() -> None:
    """A letter, `!`, `/` or `?` behind an angle bracket is a tag, in any text; anything else is text."""
    markup = set((string.ascii_letters + "!/?").encode())
    for code in range(0x20, 0x7F):
        assert reason(b"a <" + bytes([code])) == ("html" if code in markup else "text"), code


@pytest.mark.parametrize("media", [b"text/html", b"application/xhtml+xml"])
def test_pages_are_never_shown(media: bytes) -> None:
    """What says that it is a page is one, whatever it holds."""
    assert reason(b"plain words", (b"content-type", media)) == "html"


def test_what_described_the_old_body_goes() -> None:
    """Digests and codings of a body that was written anew would be wrong."""
    names = [
        b"content-encoding",
        b"transfer-encoding",
        b"content-md5",
        b"content-digest",
        b"repr-digest",
        b"digest",
    ]
    lines = [(name, b"identity") for name in names]
    result = normalise(method="GET", status=400, headers=lines, body=b"", owns_token=True)
    assert result.rewritten
    assert not {name for name, _ in result.headers} & set(names)


def test_a_decoded_body_has_a_bound() -> None:
    """256 KiB after decoding; a byte more is not read at all."""
    assert DECODED_CAP == 262_144
    for size, fits in ((DECODED_CAP, True), (DECODED_CAP + 1, False)):
        assert (plain(gzip.compress(b"x" * size), [b"gzip"]) is not None) == fits
