"""A page's own link, led back in every way there is."""

from hashlib import sha256

from gateway.links import NextLinks, OriginLike


def rewrite_next_link(page: bytes, origin: OriginLike, base: bytes) -> bytes:
    """The page with its link leading to `base`, be it searched for or remembered."""
    links, digest = NextLinks(origin), sha256(page).digest()
    out = links.rewrite(page, base)
    for _ in range(2):
        links.rewrite(page, b"https://other.example", digest)
        assert links.rewrite(page, base, digest) == out
    return out
