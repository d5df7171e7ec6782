"""A body that says what another said is read once, whatever it says, and little of it is kept."""

import contextlib
import json

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.jobs.model import Reason
from gateway.jobs.shown import Shown
from gateway.jobs.wire import MAX_ITEMS, MAX_KEPT, MAX_KEPT_BODY, JobReader, Unreadable, read_job, read_page

BODIES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["one", "two", "", 7]),
        "status": st.sampled_from(["running", "Succeeded", "cancelling", "new", None]),
        "purgeDateTime": st.sampled_from(["2027-01-01T00:00:00Z", "never"]),
    },
).map(lambda fields: json.dumps(fields).encode())


PAGES = st.lists(BODIES | st.sampled_from([b"0", b"null", b"[]", b'{"id":"\\ud800"}']), max_size=4).map(
    lambda items: b'{"value":[%b]}' % b",".join(items)
) | st.sampled_from([b"", b"{}", b'{"id":"one","value":[]}', b'{"id":"one","value":[{"id":"two"}]}'])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["import", "deletion"]),
            BODIES | st.sampled_from([b"", b"[]", b"{"]),
            st.sampled_from([None, "one", "x" * 600]),
        ),
        max_size=30,
    )
)
def test_what_was_read_before_is_read_the_same(reads: list[tuple[str, bytes, str | None]]) -> None:
    """A body says the same the second time, for each kind and each id of the path, and fails the same."""
    reader = JobReader()
    for kind, body, path_id in reads * 2:
        told: list[object] = []
        for way in (lambda *read: reader.read(*read).states[0], read_job):
            try:
                told.append(way(kind, body, path_id))
            except Unreadable as error:
                told.append(error.reason)
        assert told[0] == told[1]


@given(st.lists(st.tuples(st.sampled_from(["import", "deletion"]), PAGES), max_size=30))
@example([(kind, b'{"value":[{"id":"one","status":"cancelling"}]}') for kind in ("import", "deletion")])
def test_a_page_that_was_read_before_is_read_the_same(reads: list[tuple[str, bytes]]) -> None:
    """A page shows the same jobs the second time, and as many items that show none."""
    reader = JobReader()
    for kind, body in reads * 2:
        with contextlib.suppress(Unreadable):
            reader.read(kind, body, "one")
        told: list[object] = []
        for way in (reader.read_list, each_read):
            try:
                shown = way(kind, body)
                told.append((shown.states, shown.unreadable))
            except Unreadable as error:
                told.append(error.reason)
        assert told[0] == told[1]


def each_read(kind: str, body: bytes) -> Shown:
    """Each item of a page, read by itself."""
    states, odd = [], list[Reason]()
    for item in read_page(body):
        try:
            states.append(read_job(kind, item))
        except Unreadable as error:
            odd.append(error.reason)
    return Shown(states, odd)


def test_few_bodies_are_kept_and_none_of_their_secrets() -> None:
    """Neither many bodies nor large ones fill the memory; of a body only what it says of the job stays."""
    reader = JobReader()
    for number in range(MAX_KEPT + 2):
        body = b'{"id":"%d","status":"running","inputBlobUri":"https://x/?sig=canary"}' % number
        assert reader.read("import", body).states[0].id == str(number)
        assert kept(reader) <= MAX_KEPT
    assert "canary" not in repr([(key, shown.states) for key, shown in reader._said.items()])
    before = dict(reader._said)
    reader.read("import", b'{"id":"large"}' + b" " * MAX_KEPT_BODY)
    reader.read("import", b'{"id":"far"}', "x" * 1_000)
    assert reader._said == before


def test_few_pages_are_kept() -> None:
    """Pages are kept by the jobs and odd items they have, beside single jobs, and one more makes room."""
    reader = JobReader()
    item = b'{"id":"a"}'
    for number in range(MAX_KEPT // MAX_ITEMS + 3):
        for items in ([item] * MAX_ITEMS, [b"0"] * MAX_ITEMS, []):
            body = b'{"value":[%b]%b}' % (b",".join(items), b" " * number)
            assert len(reader.read_list("import", body).states) == items.count(item)
            assert len(reader._said) > 0
            assert kept(reader) <= MAX_KEPT


def kept(reader: JobReader) -> int:
    """Bodies, jobs and odd items that the reader keeps."""
    return sum(1 + len(shown.states) + len(shown.unreadable) for shown in reader._said.values())
