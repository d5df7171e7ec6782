"""Request targets: what has one reading for every server passes as it is; everything else is refused."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import failures
from gateway.admission import check_target

CLEAN = (
    b"/",
    b"/models",
    b"/jobs/imports/j%201%2F%C3%A9",
    b"/jobs/imports/j%201%2f%c3%a9/cancel",
    b"/digitaltwins/a..b/components/...c",
    b"/digitaltwins/.a/relationships/b.",
    b"/a;b=1/c,d/!$&'()*+=:@~_-.x",
    b"/jobs/imports/%252e%252e",
    b"/jobs/imports/a%2F%2Fb",
    b"/models/",
)
UNCLEAN = (
    b"",
    b"*",
    b"models",
    b"http://evil/models",
    b"//evil/models",
    b"/a//b",
    b"/..",
    b"/.",
    b"/a/../b",
    b"/a/./b",
    b"/a/..",
    b"/a/%2e%2e/b",
    b"/a/%2E./b",
    b"/a/.%2e",
    b"/%2e",
    b"/a%2F..%2Fb",
    b"/a%2f%2e%2e%2fb",
    b"/a/..%5Cb",
    b"/a\\b",
    b"/a%5cb",
    b"/a%5C..",
    b"/a%00b",
    b"/a%0d%0aHost:b",
    b"/a%1fb",
    b"/a%7Fb",
    b"/a b",
    b"/a\tb",
    b"/a\x00b",
    b"/a\r\nb",
    b"/a#b",
    b"/a?b",
    b'/a"b',
    b"/a<b>",
    b"/a{b}",
    b"/a|b",
    b"/a^b",
    b"/a`b",
    b"/a[b]",
    b"/\xc3\xa9",
    b"/a%",
    b"/a%2",
    b"/a%zz",
    b"/a%u002e",
)


@pytest.mark.parametrize("path", CLEAN)
def test_clean_paths_pass(path: bytes) -> None:
    """What RFC 3986 allows and every server reads alike is let through."""
    check_target(path, b"api-version=2023-10-31&a=/?:@'%00")


@pytest.mark.parametrize("path", UNCLEAN)
def test_unclean_paths_are_refused(path: bytes) -> None:
    """Dot segments, empty segments, backslashes, control bytes, other forms: 400, encoded or not."""
    with pytest.raises(failures.RequestInvalid):
        check_target(path, b"")


@pytest.mark.parametrize(
    "query", [b"a b", b"a#b", b"a\x00", b"\xe9", b'"', b"<", b"a%", b"a%g0", b"a\\b", b"[a]", b"{a}"]
)
def test_unclean_queries_are_refused(query: bytes) -> None:
    """A query with bytes that an engine would rewrite does not go out."""
    with pytest.raises(failures.RequestInvalid):
        check_target(b"/query", query)


ANY_TARGET = st.one_of(
    st.binary(),
    st.lists(
        st.sampled_from(
            [
                b"/",
                b"//",
                b".",
                b"..",
                b"%2e",
                b"%2F",
                b"%5c",
                b"\\",
                b"%00",
                b"%25",
                b"a",
                b"?",
                b"#",
                b"@",
                b"%",
            ]
        ),
        max_size=10,
    ).map(lambda parts: b"/" + b"".join(parts)),
)


@given(ANY_TARGET, ANY_TARGET)
@example(b"/a%2F..%2F", b"")
def test_accepted_target_has_one_reading(path: bytes, query: bytes) -> None:
    """Any bytes are accepted or refused with 400; an accepted path has nothing to resolve, decoded or not."""
    try:
        check_target(path, query)
    except failures.RequestInvalid:
        return
    assert path.startswith(b"/")
    assert b"//" not in path
    assert (path + query).isascii()
    for reading in (path, unquote_to_bytes(path)):
        assert not {b".", b".."} & set(reading.split(b"/"))
        assert b"\\" not in reading
        assert not any(char < 32 or char == 127 for char in reading)
    assert not any(char in b' "#<>\\^`{|}[]' for char in path + query)
    assert b"?" not in path
