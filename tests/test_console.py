"""Jobs as text: values, tables and what a hostile id can do to a terminal."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.jobs import Kind, Status
from gateway.console.client import Cancelled, Listing
from gateway.console.job import ENDS, UNFINISHED, UNKNOWN, Unusable, as_json, read_job
from gateway.console.tables import cancelled_sheet, job_sheet, jobs_table
from gateway.console.text import iso, length, moment, printable
from gateway.jobs import STATUSES, JobRecord, SpanContext, job_view
from gateway.jobs.model import JobState
from tests.support.console import NOW, rows, terminal, told, written

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HOSTILE = "x\x1b]0;owned\x07\x1b[31m\r\n[red]:bomb:\u202e\x9b2J"
"""Sets the title, colours, begins a new line, turns the order of reading round, clears the screen."""


def test_kinds_and_statuses_are_those_of_the_gateway() -> None:
    """What can be chosen by is what jobs can be, and each status either goes on or is an end."""
    assert set(Kind) == set(STATUSES)
    known = {status for statuses in STATUSES.values() for status in statuses}
    assert set(Status) == known == {*UNFINISHED, *ENDS, UNKNOWN}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (float("nan"), "-"), (float("inf"), "-"), (-1, "0.0 s"), (0, "0.0 s"), (4.24, "4.2 s"),
        (10, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s"), (3_600, "1 h 0 min"),
        (7_530, "2 h 5 min"), (86_400, "1 d 0 h"), (275_000, "3 d 4 h"),
    ],
)  # fmt: skip
def test_lengths_of_time(seconds: float | None, text: str) -> None:
    """A length of time is told in its two largest units, to a tenth where it is short."""
    assert length(seconds) == text


def test_moments() -> None:
    """Times are UTC; the exact form has milliseconds and says so, that for programs reads back."""
    assert moment(NOW + 0.1239) == "2026-03-01 12:00:00"
    assert moment(NOW + 0.1239, exact=True) == "2026-03-01 12:00:00.123 UTC"
    assert moment(None) == "-"
    assert iso(None) is None
    assert told(createdDateTime=iso(NOW + 0.125)).created == NOW + 0.125


@given(st.text(alphabet=st.characters(), max_size=600))
def test_nothing_takes_hold_of_a_terminal(text: str) -> None:
    """Whatever an id holds, what is shown of it prints, on one line, and is bounded; JSON is plain ASCII."""
    shown = printable(text)
    assert shown.isprintable()
    assert not [character for character in shown if unicodedata.category(character) in {"Cc", "Cf", "Cs"}]
    assert len(shown) <= 10 * 512 + 1
    assert as_json({"id": text}).replace("\n", "").isascii()
    assert json.loads(as_json({"id": text}))["id"] == text


def test_a_hostile_id_is_text_in_every_table() -> None:
    """Control characters are shown as escapes, and markup and emoji codes of rich as they are."""
    job = told(HOSTILE, errorCode=HOSTILE, traceId=HOSTILE, history=[{"status": HOSTILE}])
    cancelled = Cancelled({"status": HOSTILE}, HOSTILE)
    console = terminal(200)
    for shown in (
        jobs_table(Listing((job,), 1), NOW),
        job_sheet(job, NOW),
        cancelled_sheet(cancelled, HOSTILE),
    ):
        console.print(shown)
    text = written(console)
    assert text.count("\\x1b]0;owned\\x07\\x1b[31m\\r\\n[red]:bomb:\\u202e\\x9b2J") == 9
    # What is left of escapes are the colours and weights of the table itself.
    assert {piece.partition("m")[0] for piece in text.split("\x1b")[1:]} <= {"[0", "[1"}


def test_the_list() -> None:
    """A row for each job: times in UTC, how long it took or takes, its code, and where its trace begins."""
    jobs = (
        told("j 1/é", traceId=TRACE, sightings=3),
        told("two", "failed", kind="deletion", errorCode="DTDLParsingError", durationSeconds=192.4),
        told("three", "succeeded", createdDateTime=None),
        told("four", createdDateTime=None, firstSeen=iso(NOW - 5)),
    )
    assert rows(jobs_table(Listing(jobs, 4), NOW)) == [
        "KIND      ID     STATUS     CREATED (UTC)        ELAPSED     ERROR             TRACE",
        "import    j 1/é  running    2026-03-01 11:59:50  10 s        -                 4bf92f35",
        "deletion  two    failed     2026-03-01 11:59:50  3 min 12 s  DTDLParsingError  -",
        "import    three  succeeded  -                    -           -                 -",
        "import    four   running    -                    5.0 s       -                 -",
    ]


def test_an_id_is_folded_and_never_cut() -> None:
    """In a narrow terminal the whole id is there to be copied."""
    console = terminal(70)
    console.print(jobs_table(Listing((told("0123456789" * 6),), 1), NOW))
    digits = "".join(
        character for character in written(console).partition("import")[2] if character.isdigit()
    )
    assert "…" not in written(console)
    assert digits.count("9") >= 6


def test_the_sheet_of_a_job() -> None:
    """All that is known of one job is shown, with each status, when it was first seen, and how long after."""
    history = [("notstarted", -10), ("running", -8.5), ("failed", 182.4)]
    job = told(
        "two",
        "failed",
        errorCode="DTDLParsingError",
        finishedDateTime=iso(NOW + 182),
        purgeDateTime=iso(NOW + 86_400),
        durationSeconds=192,
        traceId=TRACE,
        createdHere=True,
        sightings=12,
        firstSeen=iso(NOW - 10),
        lastSeen=iso(NOW + 200),
        history=[{"status": status, "seen": iso(NOW + at)} for status, at in history],
    )
    assert rows(job_sheet(job, NOW + 1_000)) == [
        "import job  two",
        "status      failed",
        "error       DTDLParsingError",
        "created     2026-03-01 11:59:50.000 UTC",
        "finished    2026-03-01 12:03:02.000 UTC",
        "took        3 min 12 s",
        "purged on   2026-03-02 12:00:00.000 UTC",
        f"trace       {TRACE}",
        "created by  a request through this gateway",
        "seen        12 times, first 2026-03-01 11:59:50.000 UTC, last 2026-03-01 12:03:20.000 UTC",
        "history     notstarted  2026-03-01 11:59:50.000 UTC",
        "            running  2026-03-01 11:59:51.500 UTC  + 1.5 s",
        "            failed  2026-03-01 12:03:02.400 UTC  + 3 min 11 s",
    ]


def test_what_the_gateway_tells_is_understood() -> None:
    """The gateway's own view of a job is read without a loss."""
    record = JobRecord("import", "j 1/é", NOW - 9)
    state = JobState(
        "j 1/é", "failed", None, "X", int((NOW - 10) * 1e9), int(NOW * 1e9), int((NOW + 9) * 1e9)
    )
    record.learn(state, NOW + 1)
    record.created_in = SpanContext(TRACE, "00f067aa0ba902b7", sampled=True)
    job = read_job(json.loads(json.dumps(job_view(record))))
    assert (job.key, job.status, job.error_code, job.trace_id) == (("import", "j 1/é"), "failed", "X", TRACE)
    assert (job.created, job.finished, job.purge, job.duration) == (NOW - 10, NOW, NOW + 9, 10)
    assert (job.first_seen, job.last_seen) == (NOW - 9, NOW + 1)
    assert job.history == (("failed", NOW + 1),)


def test_an_older_gateway_tells_less() -> None:
    """Kind, id and status are enough; a field that is absent or of another type is not known."""
    bare = {"kind": "import", "id": "x", "status": "running"}
    odd: dict[str, Any] = {
        "createdDateTime": 5, "finishedDateTime": "0001-01-01T00:00:00+14:00", "durationSeconds": 10**400,
        "sightings": True, "errorCode": ["x"], "history": [1, {"status": None}, {"status": "running"}],
        "traceId": "", "purgeDateTime": "9999-12-31T23:59:59-14:00", "firstSeen": "soon", "lastSeen": None,
    }  # fmt: skip
    for raw in (bare, {**bare, **odd}):
        job = read_job(raw)
        times = (job.created, job.finished, job.purge, job.first_seen, job.last_seen, job.duration)
        assert times == (None,) * 6
        assert (job.sightings, job.error_code, job.trace_id, job.elapsed(NOW)) == (None,) * 4
        rows(job_sheet(job, NOW))
    assert read_job({**bare, **odd}).history == (("running", None),)


@pytest.mark.parametrize("value", [None, [], "x", {}, {"kind": "import", "id": "x"}, {"kind": 1, "id": 2}])
def test_what_is_no_job(value: object) -> None:
    """Without kind, id and status there is no job to show."""
    with pytest.raises(Unusable):
        read_job(value)


@pytest.mark.parametrize(
    ("status", "finished", "over"),
    [
        ("notstarted", False, False), ("running", True, False), ("cancelling", False, False),
        ("failed", False, True), ("unknown", False, False), ("unknown", True, True), ("new", True, True),
    ],
)  # fmt: skip
def test_what_is_an_end(status: str, finished: bool, over: bool) -> None:
    """A status that no reference lists is an end once the job has a finished time, as for the gateway."""
    assert told(status=status, finishedDateTime=iso(NOW) if finished else None).is_over is over
