"""The corpus's format: what a person writes is what is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.corpus import Entry, load, plain, read, readable
from tests.support.request_outcomes import outcomes

SHOWN = r"""
# A comment.
[one]
rule: RFC 9112, section 3
forwarded: GET /a
with: x-a: 1\x20
body: \{ab*2}
| GET /a HTTP/1.1\n\
|  folded\x20
|
| \{x*3}\\
| end\
[two]
refused: 400 GatewayRequestInvalid
"""


def test_an_entry_is_its_name_its_fields_and_its_bytes() -> None:
    """Lines end in CR LF unless a backslash says otherwise; escapes stand for bytes."""
    one, two = read("theme.txt", SHOWN)
    assert (one.id, one.place) == ("theme: one", "theme.txt:3")
    assert one.data == b"GET /a HTTP/1.1\n folded \r\n\r\nxxx\\\r\nend"
    assert one.value("rule") == "RFC 9112, section 3"
    assert (two.data, two.value("rule")) == (b"", None)
    [outcome] = outcomes(one)
    assert (outcome.kind, outcome.what, outcome.body) == ("forwarded", "GET /a", b"abab")
    assert outcome.values == {b"x-a": [b"1 "]}


@given(st.binary(max_size=60) | st.text(r"\{}*x09| " + "\r\n", max_size=30).map(str.encode))
def test_any_bytes_can_be_written_and_read_back(data: bytes) -> None:
    """What a failing test prints can be pasted into a file, and stands for the same bytes."""
    [entry] = read("theme.txt", f"[pasted]\n{readable(data)}")
    assert entry.data == data


@pytest.mark.parametrize("line", ["|x", "| x ", "words", "| \\q", "| \\x1"])
def test_a_line_that_means_nothing_is_refused(line: str) -> None:
    """A typing error is an error, and not other bytes."""
    with pytest.raises(ValueError, match=r"theme.txt:2|not an escape"):
        list(read("theme.txt", f"[a]\n{line}"))


@pytest.mark.parametrize("fields", [[("rule", "x")], [("with", "x-a: 1")], [("refuse", "400")]])
def test_outcomes_are_known_ones(fields: list[tuple[str, str]]) -> None:
    """An entry without an outcome, or with one that no test checks, is an error."""
    with pytest.raises(ValueError, match="outcome"):
        outcomes(Entry("a", "theme.txt:1", b"", fields))


def test_escapes_stand_for_one_byte_each() -> None:
    """As in most languages; nothing else is an escape."""
    assert plain(r"\r\n\t\0\\\x7f\{\x00*2}") == b"\r\n\t\0\\\x7f\0\0"


@pytest.mark.parametrize(("kind", "least"), [("requests", 700), ("responses", 100)])
def test_the_corpus_is_large_and_says_why(kind: str, least: int) -> None:
    """Hundreds of entries, each with a name of its own and the rule it stands for."""
    entries = load(kind)
    assert len(entries) >= least
    assert len({entry.id for entry in entries}) == len(entries)
    assert all(entry.value("rule") for entry in entries)
