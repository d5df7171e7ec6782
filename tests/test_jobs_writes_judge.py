"""What a read says about a write of unknown outcome."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import routes
from gateway.exchange import Exchange
from gateway.jobs.writes import (
    Answer,
    JobRead,
    SendAgain,
    StillUnknown,
    UnknownWrite,
    Verdict,
    judge,
    read_target,
)
from gateway.links import rewrite_headers
from tests.support.job_writes import (
    BLOBS,
    NOON,
    SECRET,
    VERSION,
    arriving,
    deletion,
    error_body,
    import_body,
    import_job,
    job_body,
    not_found,
    read,
    told,
)

PUT = UnknownWrite(told(arriving(), import_body()), import_body(), VERSION, NOON)
CANCEL = UnknownWrite(told(arriving("POST", b"/jobs/imports/j1/cancel")), b"", VERSION, NOON)
DELETE = UnknownWrite(told(arriving("DELETE")), None, VERSION, NOON)
POST = UnknownWrite(told(deletion(b"d/1")), None, VERSION, NOON)
POST_WITHOUT_ID = UnknownWrite(told(deletion()), None, VERSION, NOON)
WRITES = {"put": PUT, "cancel": CANCEL, "delete": DELETE, "post": POST, "post without id": POST_WITHOUT_ID}


def answered(verdict: Verdict) -> Answer:
    assert isinstance(verdict, Answer), verdict
    return verdict


def page(*items: bytes, **fields: object) -> bytes:
    """A collection of jobs."""
    return json.dumps({"value": [json.loads(item) for item in items], "nextLink": None, **fields}).encode()


def test_an_import_that_was_created_since_answers_its_creation() -> None:
    """201 with the job's bytes as they were read, and the read's own request id."""
    shown = read(import_job(made=NOON + 1), at=NOON + 10, date=NOON + 10)
    answer = answered(judge(PUT, shown))
    assert (answer.recorded.status, answer.recorded.body, answer.job_id) == (201, shown.body, "j1")
    headers = dict(answer.recorded.headers)
    assert headers[b"content-type"] == b"application/json; charset=utf-8"
    assert headers[b"content-length"] == b"%d" % len(shown.body or b"")
    assert headers[b"x-ms-request-id"] == b"r-1"


def test_an_import_that_is_not_there_is_sent_again() -> None:
    """The service does not know the id: nothing was created."""
    assert judge(PUT, not_found()) == SendAgain()


@pytest.mark.parametrize("blob", BLOBS)
def test_an_import_with_other_blobs_is_not_this_one(blob: str) -> None:
    """URIs are compared as they stand, SAS included; the service refuses the write that goes again."""
    other = BLOBS[blob].replace("sig=", "sig=x")
    assert judge(PUT, read(import_job(made=NOON + 1, **{blob: other}), at=NOON + 9)) == SendAgain()


def test_an_import_of_before_is_not_this_one() -> None:
    """The id was taken when the write left, by a job of the same blobs: the service has refused it."""
    assert judge(PUT, read(import_job(made=NOON - 60), at=NOON + 9)) == SendAgain()


@pytest.mark.parametrize("fast", [-7_200.0, -61.0, 0.0, 61.0, 7_200.0])
@pytest.mark.parametrize(("made", "verdict"), [(1.0, Answer), (-1.0, Answer), (-9.0, SendAgain)])
def test_the_clocks_need_not_agree(fast: float, made: float, verdict: type[Verdict]) -> None:
    """With a `Date` the job's age by the service is held against the time since the send by us."""
    shown = read(import_job(made=NOON + fast + made), at=NOON + 30, date=NOON + fast + 30)
    assert isinstance(judge(PUT, shown), verdict)


@pytest.mark.parametrize(
    ("made", "verdict"), [(3.0, Answer), (-4.9, Answer), (-5.1, SendAgain), (-3_600.0, SendAgain)]
)
@pytest.mark.parametrize(
    "date",
    [
        None,
        b"",
        b"yesterday",
        b"\xff" * 9,
        b"Sun, 99 Mar 2026 12:00:00 GMT",
        b"Sun, 01 Mar 9" + b"9" * 30 + b" 12:00:00 GMT",
        b"Sun, 01 Mar 2026 02:00:00",
        b"Sun, 01 Mar 2026 02:00:00 -0000",
    ],
)
def test_without_a_date_the_clocks_must_agree_within_five_seconds(
    made: float, verdict: type[Verdict], date: bytes | None
) -> None:
    """No `Date`, or none that can be read: wall clock against wall clock."""
    shown = read(import_job(made=NOON + made), at=NOON + 30)
    if date is not None:
        shown.headers.append((b"date", date))
    assert isinstance(judge(PUT, shown), verdict)


def test_nothing_is_told_by_a_clock_that_was_set_back() -> None:
    """A send that lies in the future cannot be set against anything."""
    assert isinstance(judge(PUT, read(import_job(), at=NOON - 1, date=NOON)), StillUnknown)


@pytest.mark.parametrize(
    "body",
    [
        import_job(made=None),
        import_job(createdDateTime="soon"),
        import_job(createdDateTime="0001-01-01T00:00:00Z"),
        job_body(made=NOON + 1),
        job_body(made=NOON + 1, inputBlobUri=1, outputBlobUri=None),
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 5_000,
        None,
    ],
    ids=[
        "no time",
        "no such time",
        "unset time",
        "no blobs",
        "odd blobs",
        "",
        "[]",
        "{",
        "FF",
        "deep",
        "large",
    ],
)
def test_an_import_that_cannot_be_read_proves_nothing(body: bytes | None) -> None:
    """Without a created time, without blob URIs, or without JSON the write stays unknown."""
    assert isinstance(judge(PUT, read(body, at=NOON + 9)), StillUnknown)


@pytest.mark.parametrize(
    "own", [None, b"", b"{}", b"not json", b'{"inputBlobUri": 1}', b'{"inputBlobUri": "\xff"}', b"[" * 5_000]
)
def test_a_write_whose_own_blobs_are_unknown_stays_unknown(own: bytes | None) -> None:
    """There is nothing to compare with."""
    shown = read(import_job(made=NOON + 1), at=NOON + 9)
    assert isinstance(judge(replace(PUT, body=own), shown), StillUnknown)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "shown",
    [
        read(b'{"statusCode":404,"message":"Sub-domain not found."}', status=404),
        read(b"", status=404),
        read(error_body("NotFound"), status=404),
        read(error_body("ModelNotFound"), status=404, code=b"ImportJobNotFound"),
        read(error_body("ImportJobNotFound"), status=400, code=b"ImportJobNotFound"),
        read(b"", status=403),
        read(error_body("TooManyRequests"), status=429),
        read(error_body("InternalError"), status=500),
        read(b"<html>", status=503),
        read(b"", status=304),
        read(import_job(made=NOON + 1), status=206),
        read(None, status=404),
    ],
    ids=lambda shown: f"{shown.status} {(shown.body or b'')[:44]!r}",
)
def test_an_answer_that_is_not_about_the_job_proves_nothing(write: str, shown: JobRead) -> None:
    """Only 200, and 404 with the code of an unknown job, say anything."""
    assert isinstance(judge(WRITES[write], shown), StillUnknown)


def test_the_not_found_of_the_other_kind_proves_nothing() -> None:
    """An import is unknown as an import, a deletion as a deletion."""
    assert isinstance(judge(PUT, not_found("deletion")), StillUnknown)
    assert isinstance(judge(POST, not_found("import")), StillUnknown)


@pytest.mark.parametrize("by", ["header", "body"])
def test_the_code_may_stand_in_the_header_or_in_the_body(by: str) -> None:
    """Either will do, whatever its case."""
    shown = {
        "header": read(b"", status=404, code=b"importjobnotfound"),
        "body": read(error_body("IMPORTJobNotFound"), status=404),
    }[by]
    assert judge(PUT, shown) == SendAgain()


@pytest.mark.parametrize("status", ["cancelling", "cancelled", "Canceled"])
def test_a_job_that_is_being_cancelled_answers_its_cancellation(status: str) -> None:
    """200 with the job's bytes, though the job is older than the write and its blobs are not known."""
    shown = read(import_job(status=status, made=NOON - 600), at=NOON + 9)
    answer = answered(judge(CANCEL, shown))
    assert (answer.recorded.status, answer.recorded.body) == (200, shown.body)


@pytest.mark.parametrize("status", ["notstarted", "running", "succeeded", "failed", "paused"])
def test_a_job_that_is_not_being_cancelled_is_cancelled_again(status: str) -> None:
    """The first cancel was not carried out; one that comes too late gets the service's own answer."""
    shown = read(import_job(status=status, made=NOON - 600), at=NOON + 9)
    assert judge(CANCEL, shown) == SendAgain()


def test_a_cancel_of_an_unknown_job_goes_again() -> None:
    """It can do no harm, and the service says what is the matter."""
    assert judge(CANCEL, not_found()) == SendAgain()


@pytest.mark.parametrize("status", ["running", "cancelling", None])
def test_a_cancel_never_reaches_the_next_job_of_that_id(status: str | None) -> None:
    """A job created since the cancel left is not the one that was meant."""
    shown = read(import_job(status=status, made=NOON + 5), at=NOON + 9, date=NOON + 9)
    assert isinstance(judge(CANCEL, shown), StillUnknown)


def test_a_cancel_soon_after_the_creation_is_for_that_job() -> None:
    """Within the margin the job counts as there before."""
    shown = read(import_job(made=NOON - 0.5), at=NOON + 9, date=NOON + 9)
    assert judge(CANCEL, shown) == SendAgain()


def test_a_job_without_a_status_proves_nothing_of_its_cancellation() -> None:
    """An answer that lacks it is not the job."""
    assert isinstance(judge(CANCEL, read(import_job(status=None, made=NOON - 9), at=NOON)), StillUnknown)


@pytest.mark.parametrize(
    "shown", [not_found(), read(import_job(made=NOON + 6), at=NOON + 9)], ids=["gone", "used again"]
)
def test_a_job_that_is_gone_answers_its_deletion(shown: JobRead) -> None:
    """204 without a body: the id is unknown, or a job created since has taken it."""
    answer = answered(judge(DELETE, shown))
    assert (answer.recorded.status, answer.recorded.body) == (204, b"")
    assert b"content-type" not in dict(answer.recorded.headers)


def test_a_job_that_is_still_there_is_deleted_again() -> None:
    """The job of before has outlived the first DELETE."""
    assert judge(DELETE, read(import_job(made=NOON - 600), at=NOON + 9, date=NOON + 9)) == SendAgain()


@pytest.mark.parametrize("made", [NOON - 1.5, NOON + 1.5, None])
def test_a_delete_is_not_guessed(made: float | None) -> None:
    """A job whose creation is too close to the send may be the one meant or the next one."""
    assert isinstance(judge(DELETE, read(import_job(made=made), at=NOON + 9, date=NOON + 9)), StillUnknown)


def test_a_deletion_that_was_created_since_answers_its_creation() -> None:
    """202 with the job's bytes, `Operation-Id`, and an `Operation-Location` that leads to the job."""
    shown = read(job_body("d/1 ", made=NOON + 1), at=NOON + 9, date=NOON + 9)
    write = replace(POST, fingerprint=replace(POST.fingerprint, job_id="d/1 "))
    answer = answered(judge(write, shown))
    assert (answer.recorded.status, answer.recorded.body, answer.job_id) == (202, shown.body, "d/1 ")
    headers = dict(answer.recorded.headers)
    assert headers[b"operation-id"] == b"d/1 "
    assert headers[b"operation-location"] == b"/jobs/deletions/d%2F1%20?api-version=2023-10-31"


def test_the_location_becomes_a_link_to_the_gateway() -> None:
    """What rewrites the upstream's links makes this one absolute."""

    class Origin:
        scheme, host, port = "https", "up.example", 443

    shown = read(job_body("d/1", made=NOON + 1), at=NOON + 9)
    write = replace(POST, fingerprint=replace(POST.fingerprint, job_id="d/1"))
    headers = rewrite_headers(
        answered(judge(write, shown)).recorded.headers, Origin(), b"http://localhost:8080"
    )
    assert dict(headers)[b"operation-location"] == (
        b"http://localhost:8080/jobs/deletions/d%2F1?api-version=2023-10-31"
    )


def test_the_pace_of_the_read_is_passed_on() -> None:
    """`Retry-After` and `Date` of the read are true of the answer too."""
    shown = read(job_body("d", made=NOON + 1), at=NOON + 9, date=NOON + 9)
    shown.headers.append((b"retry-after", b"30"))
    write = replace(POST, fingerprint=replace(POST.fingerprint, job_id="d"))
    headers = dict(answered(judge(write, shown)).recorded.headers)
    assert headers[b"retry-after"] == b"30"
    assert b"date" in headers


def test_a_deletion_with_an_id_goes_again_where_nothing_was_created() -> None:
    """Its id is unknown, or held by one of before: the service refuses a repeat of an id."""
    assert judge(POST, not_found("deletion")) == SendAgain()
    assert judge(POST, read(job_body("d/1", made=NOON - 60), at=NOON + 9)) == SendAgain()


def test_a_deletion_of_another_id_proves_nothing() -> None:
    """An answer about another job is not about this one."""
    assert isinstance(judge(POST, read(job_body("d/2", made=NOON + 1), at=NOON + 9)), StillUnknown)


def test_the_one_deletion_created_since_answers_one_without_an_id() -> None:
    """202 with that item's bytes, and links made of its id."""
    item = job_body("made up", made=NOON + 1)
    listed = b'{"value": [%s, %s]}' % (job_body("old", made=NOON - 600), item)
    answer = answered(judge(POST_WITHOUT_ID, read(listed, at=NOON + 9, date=NOON + 9)))
    assert (answer.recorded.status, answer.recorded.body, answer.job_id) == (202, item, "made up")
    headers = dict(answer.recorded.headers)
    assert headers[b"operation-location"] == b"/jobs/deletions/made%20up?api-version=2023-10-31"
    assert headers[b"content-length"] == b"%d" % len(item)


NEW, OLD = job_body("new", made=NOON + 1), job_body("old", made=NOON - 600)


@pytest.mark.parametrize(
    "body",
    [
        page(),
        page(OLD),
        page(NEW, OLD, job_body("newer", made=NOON + 2)),
        page(NEW, nextLink="https://up/jobs/deletions?token=2"),
        page(NEW, nextLink=7),
        page(NEW, job_body("timeless", made=None)),
        page(job_body("timeless", made=None)),
        b'{"value": [%s], "nextLink": "\xff"}' % NEW,
        b'{"value": [%s], "nextLink": %s' % (NEW, b"[" * 5_000),
        page(NEW, b"7"),
        page(NEW, b"{}"),
        page(job_body("a\r\nset-cookie: b=c", made=NOON + 1)),
        page(job_body("..", made=NOON + 1)),
        page(*[NEW] + [OLD] * 1_000),
        b"[]",
        b"{",
        None,
    ],
    ids=[
        "none", "only old", "two", "a further page", "an odd link", "no time", "one, no time", "FF", "deep",
        "a number", "no id", "CR LF",
        "dots", "too many", "no page", "no JSON", "large",
    ],
)  # fmt: skip
def test_a_list_never_lets_a_deletion_go_again(body: bytes | None) -> None:
    """Unless it shows one that must be this one, the outcome stays unknown: a repeat deletes everything."""
    assert isinstance(judge(POST_WITHOUT_ID, read(body, at=NOON + 9, date=NOON + 9)), StillUnknown)


@pytest.mark.parametrize("status", [206, 203, 500])
def test_only_a_whole_list_is_a_list(status: int) -> None:
    """A page of jobs with another status than 200 proves nothing."""
    assert isinstance(judge(POST_WITHOUT_ID, read(page(NEW), at=NOON + 9, status=status)), StillUnknown)


def test_an_empty_next_link_is_the_end() -> None:
    """Null, absent or empty: the page is complete."""
    assert isinstance(judge(POST_WITHOUT_ID, read(page(NEW, nextLink=""), at=NOON + 9)), Answer)


@pytest.mark.parametrize("write", ["put", "cancel", "post"])
def test_what_was_done_is_not_sent_again(write: str) -> None:
    """A success whose answer is gone is answered from the job, or not at all."""
    done = replace(WRITES[write], done=True)
    assert judge(WRITES[write], not_found(done.fingerprint.kind)) == SendAgain()
    assert isinstance(judge(done, not_found(done.fingerprint.kind)), StillUnknown)
    assert isinstance(judge(replace(PUT, done=True), read(import_job(made=NOON + 1), at=NOON + 9)), Answer)


def test_no_secret_shows() -> None:
    """Neither write, read nor verdict shows a blob URI in its representation."""
    shown = read(import_job(made=NOON + 1), at=NOON + 9)
    for record in (PUT, shown, judge(PUT, shown)):
        assert SECRET not in repr(record)
        assert "sig=" not in repr(record)


BODIES = st.binary(max_size=40) | st.builds(
    lambda fields: json.dumps(fields).encode(),
    st.dictionaries(
        st.sampled_from(["id", "status", "createdDateTime", "value", "nextLink", *BLOBS, "error"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text() | st.just("2026-03-01T12:00:00Z"),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    ),
)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(WRITES)),
    st.sampled_from([200, 404]) | st.integers(100, 599),
    BODIES,
    st.lists(
        st.tuples(
            st.sampled_from([b"date", b"x-ms-error-code", b"content-type"]),
            st.binary(max_size=30)
            | st.text("0123456789 :,+-GMTSunMar", max_size=40).map(str.encode)
            | st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()),
        ),
        max_size=3,
    ),
    st.none() | st.binary(max_size=40),
    st.floats(-1e10, 1e10),
)
def test_no_answer_breaks_the_judgement(
    write: str, status: int, body: bytes, headers: list[tuple[bytes, bytes]], own: bytes | None, at: float
) -> None:
    """Whatever a read says there is a verdict, and a deletion without an id never goes again."""
    verdict = judge(replace(WRITES[write], body=own), JobRead(status, headers, body, at))
    assert isinstance(verdict, Answer | SendAgain | StillUnknown)
    assert write != "post without id" or not isinstance(verdict, SendAgain)


def target(exchange: Exchange) -> bytes:
    path, query = read_target(exchange, told(exchange).job_id)
    assert routes.match("GET", path).operation in {"get", "list"}
    return path + b"?" + query


def test_an_import_is_read_at_its_own_path() -> None:
    """The bytes of the path stay as they came, less `/cancel`."""
    path = b"/jobs/imports/j%201%2F%c3%A9"
    for method in ("PUT", "DELETE"):
        assert target(arriving(method, path)) == path + b"?" + VERSION
    assert target(arriving("POST", path + b"/cancel")) == path + b"?" + VERSION


def test_an_import_named_cancel_is_read_at_its_own_path() -> None:
    """Only the last segment of a cancellation goes."""
    assert target(arriving("DELETE", b"/jobs/imports/cancel")) == b"/jobs/imports/cancel?" + VERSION
    assert target(arriving("POST", b"/jobs/imports/cancel/cancel")) == b"/jobs/imports/cancel?" + VERSION


def test_a_deletion_is_read_by_its_operation_id() -> None:
    """Percent-encoded, slashes too; without an id it is looked for in the list."""
    assert target(deletion(b"a/b c?~1")) == b"/jobs/deletions/a%2Fb%20c%3F~1?" + VERSION
    assert target(deletion()) == b"/jobs/deletions?" + VERSION
    assert target(deletion(b"..")) == b"/jobs/deletions?" + VERSION


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"api-version=2022-05-31&timeoutInMinutes=60", b"api-version=2022-05-31"),
        (b"timeoutInMinutes=60&API-Version=2022%2D05-31", b"api-version=2022%2D05-31"),
        (b"api%2Dversion=1&api-version=2", b"api-version=1"),
        (b"", VERSION),
        (b"api-version", VERSION),
        (b"api-version=&x", VERSION),
        (b"xapi-version=1", VERSION),
    ],
)
def test_of_the_query_only_the_version_stays(query: bytes, kept: bytes) -> None:
    """A read takes none of a write's parameters; without a version it names the one that is known."""
    assert read_target(arriving(query=query), "j1")[1] == kept
