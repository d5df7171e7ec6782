"""The strict reader: the same reading however bytes arrive, and never one that RFC 9112 does not have."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.exchange import RawHeaders
from gateway.reader import RequestReader
from tests.support.corpus import Entry, load, readable
from tests.support.reference_reader import Ending, Request, read_all
from tests.support.request_mutations import VALID, Mutations
from tests.support.request_outcomes import outcomes

ENTRIES = load("requests")
START = b"PUT /t HTTP/1.1\r\n"


class Read:
    """What a reader told of some bytes."""

    def __init__(self, *pieces: bytes, head_bytes: int = 65_536, header_count: int = 100) -> None:
        self.requests: list[Request] = []
        self.failure: failures.GatewayError | None = None
        self.whole = 0
        """How many of the requests were complete."""
        self.expects: list[bool] = []
        self.reader = RequestReader(head_bytes=head_bytes, header_count=header_count)
        self._fields: RawHeaders = []
        try:
            for piece in pieces:
                at = 0
                while at < len(piece):
                    at = self.reader.feed(piece, self, at)
        except failures.GatewayError as failure:
            self.failure = failure

    def on_head(self, has_body: bool) -> None:
        """Keep it, and count it where that is all."""
        reader = self.reader
        line = reader.line
        self.requests.append(Request(line.method.encode(), line.target, list(reader.headers), b""))
        self.whole += not has_body
        self.expects.append(reader.expects_continue)

    def on_body(self, body: bytes) -> None:
        """Keep it."""
        last = self.requests[-1]
        self.requests[-1] = Request(last.method, last.target, last.fields, last.body + body)

    def on_end(self) -> None:
        """Count it."""
        self.whole += 1

    @property
    def told(self) -> object:
        """Everything, to be compared; a refusal in pieces may be for what comes first."""
        return self.requests, self.whole, type(self.failure), self.reader.surplus


def agrees(data: bytes, *, valid: bool = False) -> Read:
    """The reader's complete requests are those of the third opinion, in so far as it does not refuse them.

    Nor may it refuse what is `valid`.
    """
    read = Read(data)
    requests, ending = read_all(data)
    assert read.requests[: read.whole] == requests[: read.whole], readable(data)
    if read.failure is None:
        assert read.whole == len(requests), readable(data)
        assert ending is not Ending.BAD, readable(data)
    if valid:
        assert (read.failure, read.requests) == (None, requests), readable(data)
    return read


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_the_corpus_reads_alike_in_any_pieces(entry: Entry) -> None:
    """Whole, byte by byte and cut anywhere: the same requests and the same refusal."""
    promised = [outcome.kind for outcome in outcomes(entry)]
    valid = set(promised) <= {"forwarded", "closed"}
    read = agrees(entry.data, valid=valid)
    if valid:
        assert read.whole == promised.count("forwarded")
    if len(entry.data) > 1_000:
        return
    whole = Read(entry.data).told
    assert Read(*(entry.data[at : at + 1] for at in range(len(entry.data)))).told == whole
    for at in range(1, len(entry.data), 1 + len(entry.data) // 100):
        assert Read(entry.data[:at], entry.data[at:]).told == whole


@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_is_read_in_a_way_of_its_own(seed: int) -> None:
    """What the reader takes for a request is one, and no other, by a reading of the whole bytes."""
    many = 2_500
    found = [agrees(data) for data in islice(Mutations(seed), many)]
    # A reader that refuses everything would agree with anybody.
    assert sum(read.whole > 0 for read in found) > many / 4
    assert sum(read.failure is not None for read in found) > many / 4


@pytest.mark.parametrize("data", VALID)
def test_what_mutations_begin_with_is_read(data: bytes) -> None:
    """Every one of the valid requests, to its end."""
    assert agrees(data, valid=True).whole == len(read_all(data)[0])


@given(st.sampled_from(VALID), st.data())
def test_a_valid_row_reads_alike_in_any_pieces(row: bytes, draw: st.DataObject) -> None:
    """Requests in a row, cut at any places."""
    row *= 2
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(row)), max_size=6)))
    pieces = [row[one:other] for one, other in zip([0, *cuts], [*cuts, len(row)], strict=True)]
    assert Read(*pieces).told == Read(row).told


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but a refusal of the gateway's is ever raised."""
    agrees(data)
    agrees(START + data)
    agrees(START + b"Transfer-Encoding: chunked\r\n\r\n" + data)


def test_a_head_is_bounded_however_it_comes() -> None:
    """One byte over the limit is refused as one too many, whole or in pieces, unfinished or not."""
    line = b"X-A: " + b"a" * 1_000 + b"\r\n"
    for data in (START + line * 2 + b"\r\n", START + line * 2, START + b"a" * 2_000, b"a" * 2_000):
        for pieces in ((data,), (data[:700], data[700:])):
            failure = Read(*pieces, head_bytes=1_500).failure
            assert isinstance(failure, failures.HeadersTooLarge)
            assert "limits.head_bytes" in failure.message
    assert Read(START + line + b"\r\n", head_bytes=1_500).whole == 1


def test_each_head_of_a_connection_has_the_whole_limit() -> None:
    """What an earlier request took is not counted against a later one, nor are the chunks of its body."""
    head = START + b"X-A: " + b"a" * 1_000 + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = (b"1;" + b"b" * 500 + b"\r\nx\r\n") * 10 + b"0\r\n\r\n"
    for row in ([head + body] * 3, [(head + body)[at : at + 7] for at in range(0, len(head + body), 7)] * 3):
        read = Read(*row, head_bytes=1_500)
        assert (read.failure, read.whole) == (None, 3)


def test_an_open_head_is_told_from_none() -> None:
    """A deadline runs from its first byte to its blank line; an empty line before it is no head."""
    for piece, begun in (
        (b"", False),
        (b"\r\n", False),
        (b"G", True),
        (START, True),
        (START + b"\r\n", False),
        (START + b"Content-Length: 2\r\n\r\nx", False),
    ):
        assert Read(piece).reader.in_head is begun
    assert Read(START + b"\r\n", b"GET").reader.in_head


def test_what_comes_behind_the_last_request_is_known_of() -> None:
    """It is dropped, but whoever sends it must be able to read the answer before the connection breaks."""
    last = START + b"Connection: close\r\n\r\n"
    assert Read(last).told == (
        [Request(b"PUT", b"/t", [(b"connection", b"close")], b"")],
        1,
        type(None),
        False,
    )
    assert Read(last + b"x").reader.surplus
    assert Read(last, b"x").reader.surplus
    assert not Read(START + b"\r\n", last).reader.surplus


def test_only_http_1_1_is_sent_on_with_a_continue() -> None:
    """HTTP/1.0 does not know the interim answer (RFC 9110, section 10.1.1)."""
    new = START + b"Expect: 100-Continue\r\n\r\n"
    assert Read(new, new.replace(b"1.1", b"1.0")).expects == [True, False]
    assert Read(new.replace(b"100-C", b"200-C")).expects == [False]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/2.0\r\n\r\n", "only HTTP/1.0 and HTTP/1.1 are spoken here"),
        (b"GET  / HTTP/1.1\r\n\r\n", "its first line is malformed"),
        (START + b"X-A : 1\r\n\r\n", "a header line is not a name, a colon and a value"),
        (START + b"X-A: \0\r\n\r\n", "a header value has a control character"),
        (START + b"Content-Length: +1\r\n\r\n", "its content-length is not a number"),
        (START + b"Transfer-Encoding: x\r\n\r\n", "its transfer-encoding is not chunked"),
        (START + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "it has more than one content-length"),
        (b"\r\n\r\n\r\nGET", "its first line is malformed"),
        (b"GET / HTTP/1.1\nHost", "a line ends without a carriage return"),
        (b"\x16\x03\x01", "a line has a control character"),
    ],
)
def test_a_refusal_says_why(data: bytes, why: str) -> None:
    """An operator reads what was wrong; no byte of the request is repeated."""
    failure = Read(data).failure
    assert isinstance(failure, failures.RequestInvalid)
    assert failure.message == f"The request is not valid HTTP/1.1: {why}."


def test_what_is_known_before_a_request_line() -> None:
    """Of a request that cannot be read nothing is told that came with the one before it."""
    unread: tuple[object, ...] = ("_OTHER", b"", "1.1", [], False, False)
    first = b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"
    for pieces in ((), (first,), (first, b"bad line\r\n")):
        reader = Read(*pieces).reader
        told = reader.line.method, reader.line.target, reader.line.version, reader.headers
        assert (*told, reader.last, reader.expects_continue) == unread


def test_a_turn_has_an_end() -> None:
    """However much was received at once, everybody else comes in between after 256 steps."""
    data = START + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_000
    read = Read()
    assert read.reader.feed(data, read) == data.index(b"\r\n\r\n") + 4 + 85 * len(b"1\r\nx\r\n")


@given(st.permutations([b"A: 1", b"Connection: keep-alive", b"Expect: x"]), st.sampled_from([b"1.0", b"1.1"]))
def test_a_word_on_the_connection_changes_no_other_request(lines: list[bytes], version: bytes) -> None:
    """What many say, and means nothing in HTTP/1.1, is read in fewer steps: to the same end."""
    for some in (lines, lines[:1], lines[:2], []):
        one = b"\r\n".join([b"GET /a HTTP/" + version, *some, b"", b""])
        whole, apart = Read(one, one), Read(*(byte.to_bytes() for byte in one + one))
        assert whole.told == apart.told
        assert whole.whole == (1 if version == b"1.0" else 2)
        assert whole.reader.last is (version == b"1.0")
