"""Links that lead back to the gateway, and everything that has to stay as it is."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.links import _MAX_FOUND, NextLinks, absolute, rewrite_headers
from tests.support.next_links import rewrite_next_link


@dataclass(frozen=True)
class Origin:
    """The upstream's origin."""

    scheme: str
    host: str
    port: int


UPSTREAM = Origin("https", "twin.api.weu.digitaltwins.azure.net", 443)
HOST = b"https://twin.api.weu.digitaltwins.azure.net"
LOCAL = Origin("http", "127.0.0.1", 8090)
BASE = b"http://127.0.0.1:8080"
TAIL = b"/jobs/deletions/j%201%2F%C3%A9?api-version=2023-10-31&x=%7e"


@pytest.mark.parametrize(
    "start",
    [
        HOST,
        HOST + b":443",
        HOST + b":",
        HOST + b":0443",
        HOST.upper(),
        b"HTTPS" + HOST[5:],
    ],
)
@pytest.mark.parametrize("tail", [TAIL, b"", b"/", b"?a=b", b"#f", b"/a//b/../c?u=https://x@y"])
def test_upstream_links_lead_back(start: bytes, tail: bytes) -> None:
    """A link to the upstream's origin, however spelled, gets the base and keeps path and query."""
    assert absolute(start + tail, UPSTREAM, BASE) == BASE + tail


@pytest.mark.parametrize(
    ("link", "origin"),
    [
        (b"http://127.0.0.1:8090/a", LOCAL),
        (b"http://[::1]:8090/a", Origin("http", "::1", 8090)),
        (b"http://[::1]:8090/a", Origin("http", "[::1]", 8090)),
        (b"http://emulator/a", Origin("HTTP", "Emulator", 80)),
    ],
)
def test_other_origins_of_the_upstream(link: bytes, origin: Origin) -> None:
    """Addresses, brackets, ports and plain http are compared as an origin."""
    assert absolute(link, origin, BASE) == BASE + b"/a"


def test_base_with_a_slash() -> None:
    """A base that ends in a slash makes no double slash."""
    base = b"https://gw.example/"
    assert absolute(HOST + b"/a", UPSTREAM, base) == b"https://gw.example/a"
    assert absolute(b"/a", UPSTREAM, base) == b"https://gw.example/a"
    page = b'{"nextLink":"%b/a"}'
    assert rewrite_next_link(page % HOST, UPSTREAM, base) == page % b"https://gw.example"


@pytest.mark.parametrize("value", [TAIL, b"/", b"/a"])
def test_relative_header_link_becomes_absolute(value: bytes) -> None:
    """A relative Operation-Location becomes absolute, because a poller cannot follow it otherwise."""
    assert absolute(value, UPSTREAM, BASE) == BASE + value


FOREIGN = [
    b"https://evil.example" + TAIL,
    b"http://twin.api.weu.digitaltwins.azure.net/a",
    HOST + b":8443/a",
    HOST + b":99999999999999/a",
    HOST + b".evil.example/a",
    HOST + b"@evil.example/a",
    HOST + b":443@evil.example/a",
    b"https://user@twin.api.weu.digitaltwins.azure.net/a",
    HOST + b"\\@evil.example/a",
    HOST + b"\\a",
    HOST + b"\n/a",
    HOST + b"\n",
    HOST + b":44x/a",
    HOST + b"%2eevil/a",
    HOST[:8] + b"/" + HOST[8:],
    b" " + HOST + b"/a",
    b"x" + HOST + b"/a",
    b"ftp" + HOST[5:],
    b"https:/" + HOST[8:],
    b"https:" + HOST[8:],
    b"//evil.example/a",
    b"//twin.api.weu.digitaltwins.azure.net/a",
    b"/\\evil.example/a",
    b"@evil.example",
    b"?a=b",
    b"a/b",
    b"",
    b"https://",
    b"\xff\xfe",
]


@pytest.mark.parametrize("value", FOREIGN)
def test_all_other_header_links_stay(value: bytes) -> None:
    """Foreign origins, userinfo, network paths and whatever is no link are left alone."""
    assert absolute(value, UPSTREAM, BASE) is None


def test_headers() -> None:
    """Only Operation-Location and Location change; order, duplicates and other headers stay."""
    headers = [
        (b"x-a", HOST + b"/a"),
        (b"operation-location", HOST + TAIL),
        (b"location", b"https://evil.example/a"),
        (b"location", HOST + b"/b"),
        (b"content-location", HOST + b"/c"),
        (b"operation-location", b""),
    ]
    assert rewrite_headers(headers, UPSTREAM, BASE) == [
        (b"x-a", HOST + b"/a"),
        (b"operation-location", BASE + TAIL),
        (b"location", b"https://evil.example/a"),
        (b"location", BASE + b"/b"),
        (b"content-location", HOST + b"/c"),
        (b"operation-location", b""),
    ]


@pytest.mark.parametrize("before", [b"", b" ", b"\xef\xbb\xbf", b"\r\n\t"])
@pytest.mark.parametrize("colon", [b":", b" : ", b":\n"])
@pytest.mark.parametrize("value", [b"[]", b'[{"id":"a","nextLink":"%b/x"}]' % HOST, b'["{[\\"\\\\"]'])
@pytest.mark.parametrize("first", [True, False])
def test_next_link(before: bytes, colon: bytes, value: bytes, first: bool) -> None:
    """The page's own nextLink changes, wherever it stands; every other byte stays, spaces too."""
    link = b'"nextLink"' + colon + b'"%b"'
    items = b'"value": ' + value
    page = before + b"{" + (link + b", " + items if first else items + b" ,\n" + link) + b"} \n"
    assert rewrite_next_link(page % (HOST + TAIL), UPSTREAM, BASE) == page % (BASE + TAIL)


@pytest.mark.parametrize(
    ("escaped", "rewritten"),
    [
        (rb"https:\/\/twin.api.weu.digitaltwins.azure.net\/a\/b?c=1\u0026d=\"", rb"\/a\/b?c=1\u0026d=\""),
        (rb"\u0068ttps:\u002F\u002ftwin.api.weu.digitaltwins.azure.net\u003a443\u002Fa", rb"\u002Fa"),
        (HOST + rb"/\ud83d\ude00\n\\", rb"/\ud83d\ude00\n\\"),
        (HOST + "/é".encode(), "/é".encode()),
        (HOST + b"/" + b"x" * 5000, b"/" + b"x" * 5000),
    ],
)
def test_escapes_of_next_link_stay(escaped: bytes, rewritten: bytes) -> None:
    """JSON escapes are read to find the origin, and kept in all that follows it."""
    page = b'{"nextLink":"%b"}'
    assert rewrite_next_link(page % escaped, UPSTREAM, BASE) == page % (BASE + rewritten)


def test_base_is_escaped() -> None:
    """A base can never end the string it is put into."""
    page = b'{"nextLink":"%b/a"}' % HOST
    assert json.loads(rewrite_next_link(page, UPSTREAM, b'http://x","y":"')) == {
        "nextLink": 'http://x","y":"/a'
    }


def test_repeated_next_link() -> None:
    """Each nextLink of the page's own leads back, since parsers differ in which they take."""
    page = b'{"nextLink":"%b/a","value":[],"nextLink":"%b/b"}'
    assert rewrite_next_link(page % (HOST, HOST), UPSTREAM, BASE) == page % (BASE, BASE)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"null",
        b'{"value":[]}',
        b'{"nextLink":null}',
        b'{"nextLink":["%b/a"]}' % HOST,
        b'{"nextLink":"/jobs/imports?continuationToken=x"}',
        b'{"nextLink":""}',
        b'{"nextlink":"%b/a"}' % HOST,
        b'{"nextLink":"%b/a"' % HOST,
        b'{"nextLink":"%b/a"}x' % HOST,
        b'[{"nextLink":"%b/a"}]' % HOST,
        b'{"value":{"nextLink":"%b/a"}}' % HOST,
        b'{"value":[[{"nextLink":"%b/a"}]],"nextLink":null}' % HOST,
        b'{"x":"\\"nextLink\\":\\"%b/a\\""}' % HOST,
        b'{"x\\"nextLink":"%b/a"}' % HOST,
        b'{"x\\\\\\"nextLink":"%b/a"}' % HOST,
        b'{"x":"nextLink","y":"%b/a"}' % HOST,
        b'{"nextLink":"https://\\t%b/a"}' % HOST[9:],
        b'{"nextLink":"%b\\u0140evil.example/a"}' % HOST,
        b'{"a":' * 3000 + b'{"nextLink":"%b/a"}' % HOST + b"}" * 3000,
        *(b'{"nextLink":%b}' % json.dumps(link.decode("latin-1")).encode() for link in FOREIGN),
    ],
)
def test_pages_that_stay(page: bytes) -> None:
    """No other link, no link in an item, and no body that is not JSON is touched."""
    assert rewrite_next_link(page, UPSTREAM, BASE) == page


def test_few_pages_are_remembered() -> None:
    """Neither many pages nor many links in one fill the memory; of a page only where its link is stays."""
    links = NextLinks(UPSTREAM)
    for number in range(_MAX_FOUND + 2):
        page = b'{"nextLink":"%b/%d?token=canary"}' % (HOST, number)
        assert links.rewrite(page, BASE, b"%d" % number) == page.replace(HOST, BASE)
        assert 0 < len(links._found) <= _MAX_FOUND
    before = dict(links._found)
    many = b"{%b}" % b",".join([b'"nextLink":"%b/a"' % HOST] * 100)
    assert links.rewrite(many, BASE, b"many") == many.replace(HOST, BASE)
    assert links._found == before
    assert "canary" not in repr(before)


LINKS = st.sampled_from([HOST.decode() + "/a?b=c", "https://evil.example/a", "/a", ""]) | st.text(max_size=9)
PAGES = st.recursive(
    st.none() | st.integers() | LINKS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["nextLink", "value", '"nextLink', "{", "]"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(PAGES, st.booleans(), st.sampled_from([None, 1]))
def test_only_the_link_changes(page: object, ascii_only: bool, indent: int | None) -> None:
    """The parsed page differs in its own nextLink and nowhere else."""
    body = json.dumps(page, ensure_ascii=ascii_only, indent=indent).encode(errors="replace")
    before, after = json.loads(body), json.loads(rewrite_next_link(body, UPSTREAM, BASE))
    link = before.get("nextLink") if isinstance(before, dict) else None
    if isinstance(link, str) and link.startswith(HOST.decode() + "/"):
        assert after.pop("nextLink") == link.replace(HOST.decode(), BASE.decode())
        before.pop("nextLink")
    assert before == after


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes(start: bytes, end: bytes) -> None:
    """Nothing an upstream can send makes the functions raise."""
    for value in (start, HOST + start, b"https://" + start):
        absolute(value, UPSTREAM, BASE)
    page = start + b'"nextLink":"%b/a"' % HOST + end
    assert len(rewrite_next_link(page, UPSTREAM, BASE)) <= len(page)
    assert rewrite_next_link(b'{"nextLink":"' + end + b'"}', UPSTREAM, BASE)
