"""A response's head as pyreqwest reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyreqwest.http import HeaderMap

from gateway.upstream.pyreqwest_response import announced, raw_headers

NAMES = st.sampled_from(["content-length", "date", "set-cookie", "x-ms-request-id"])
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=5)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_every_line_once_and_those_of_a_name_in_their_order(lines: list[tuple[str, str]]) -> None:
    """The lines are those of pyreqwest's own map, whether or not several have one name."""
    headers = HeaderMap(lines)
    expected = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert raw_headers(headers.dict_multi_value()) == expected
    assert len(expected) == len(lines)


@pytest.mark.parametrize(
    ("method", "status", "length", "expected"),
    [
        ("GET", 200, "12", 12),
        ("GET", 200, "0", 0),
        ("GET", 200, None, None),
        ("GET", 200, "+1", None),
        ("GET", 200, "", None),
        ("GET", 200, ["3", "3"], None),
        ("HEAD", 200, "12", 0),
        ("GET", 204, None, 0),
        ("GET", 304, "12", 0),
    ],
)
def test_the_length_that_is_certain_before_the_end(
    method: str, status: int, length: str | list[str] | None, expected: int | None
) -> None:
    """Only what no reader can read in another way; else the end itself is waited for."""
    assert announced(method, status, length) == expected
