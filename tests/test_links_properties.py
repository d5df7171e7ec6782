"""Links lead back to the gateway where they led to the upstream, and nothing else is touched."""

import json
from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.origin import Origin
from gateway.links import LINK_HEADERS, absolute, rewrite_headers
from tests.support.next_links import rewrite_next_link

UPSTREAM = Origin("https", "adt.example", 443)
BASE = b"http://127.0.0.1:8080"
PIECES = st.sampled_from(
    [
        "http",
        "https",
        "HTTPS",
        "://",
        ":",
        "/",
        "//",
        "\\",
        "@",
        "?",
        "#",
        "adt.example",
        "ADT.Example",
        "evil.example",
        ".evil",
        "443",
        "080443",
        "80",
        "user",
        "[::1]",
        "a",
        "%2F",
    ]
)
LINKS = (
    st.binary(max_size=20)
    | st.lists(PIECES, max_size=8).map(lambda parts: "".join(parts).encode())
    | st.builds(
        b"https://adt.example%b%b".__mod__,
        st.tuples(st.sampled_from([b"", b":443", b":"]), st.binary(max_size=12)),
    )
)


@given(LINKS)
@example(b"https://adt.example@evil.example/")
@example(b"//evil.example/")
@example(b"/\\evil.example")
def test_only_links_to_the_upstream_change(link: bytes) -> None:
    """A rewritten link is the gateway's base and the rest; it was rooted, or the upstream's for anybody."""
    new = absolute(link, UPSTREAM, BASE)
    if new is None:
        return
    assert new.startswith(BASE)
    rest = new.removeprefix(BASE)
    assert link.endswith(rest)
    if link == rest:
        assert link.startswith(b"/")
        assert link[1:2] not in {b"/", b"\\"}
    else:
        before = urlsplit(link[: len(link) - len(rest)].decode())
        assert (before.scheme, before.hostname, before.port or 443) == ("https", "adt.example", 443)
        assert "@" not in before.netloc
        assert rest == b"" or rest[:1] in {b"/", b"?", b"#"}
    assert absolute(new, UPSTREAM, BASE) is None


@given(st.lists(st.tuples(st.sampled_from([*sorted(LINK_HEADERS), b"link", b"x-a"]), LINKS), max_size=6))
def test_headers_keep_their_places(lines: list[tuple[bytes, bytes]]) -> None:
    """As many lines with the same names in the same order; only links change; twice is once."""
    out = rewrite_headers(lines, UPSTREAM, BASE)
    assert [name for name, _ in out] == [name for name, _ in lines]
    for (name, old), (_, new) in zip(lines, out, strict=True):
        assert new == old or name in LINK_HEADERS
        assert new == (absolute(old, UPSTREAM, BASE) or old if name in LINK_HEADERS else old)
    assert rewrite_headers(out, UPSTREAM, BASE) == out


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.text(max_size=6) | LINKS.map(lambda link: link.decode("latin-1")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["nextLink", "value", '"nextLink":', "\\"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(DOCUMENTS)
def test_a_page_changes_in_its_own_link_only(document: object) -> None:
    """Whatever stands in a page, inside its strings too, it stays JSON, and only its own nextLink differs."""
    body = json.dumps(document).encode()
    new = rewrite_next_link(body, UPSTREAM, BASE)
    after = json.loads(new)
    if isinstance(document, dict) and isinstance(after, dict) and "nextLink" in document:
        old, now = document["nextLink"], after["nextLink"]
        if now != old:
            assert isinstance(old, str)
            assert now.startswith(BASE.decode())
            assert old.endswith(now.removeprefix(BASE.decode()))
        after = {**after, "nextLink": old}
    assert after == document
    assert rewrite_next_link(new, UPSTREAM, BASE) == new


@given(st.binary(), st.sampled_from([b"", b'{"nextLink":"https://adt.example', b'"nextLink":"']))
def test_any_bytes_pass(body: bytes, start: bytes) -> None:
    """No body makes the rewriting raise, and one that has no such member is itself."""
    new = rewrite_next_link(start + body, UPSTREAM, BASE)
    assert new == start + body or b"nextLink" in start + body


@given(LINKS.map(lambda link: link.decode("latin-1")), st.sets(st.integers(0, 30)))
@example("https://adt.example", {18})
@example("https://adt.example/a?b", {19})
@example("https://adt.example.evil/", {19})
@example("https://adt.example/" + "a" * 300, {0, 300})
def test_escapes_change_nothing(link: str, places: set[int]) -> None:
    """A link leads to the same place however its characters are written: as they are, or escaped."""
    written = [rf"\u{ord(c):04x}" if at in places else json.dumps(c)[1:-1] for at, c in enumerate(link)]
    pages = [b'{"nextLink":"%b"}' % "".join(written).encode(), json.dumps({"nextLink": link}).encode()]
    escaped, plain = (json.loads(rewrite_next_link(page, UPSTREAM, BASE)) for page in pages)
    assert escaped == plain
