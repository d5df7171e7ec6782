"""Following jobs: the looks, what is told of each, the figures, and how it ends."""

import json
from typing import Any

import pytest

from gateway.console import JsonLines, Lines, Watch, follow
from gateway.console.client import Failure, Silent, Unknown
from gateway.console.job import UNFINISHED, Job
from gateway.console.progress import PAST, Usual
from gateway.console.text import iso
from gateway.console.watch import PATIENCE
from tests.support.console import KEY, NOW, Script, Time, past, pipe, told, written

SILENT = Silent("No gateway answers.")


def seen(sightings: int | None, status: str = "running", **fields: Any) -> list[Job]:
    """A look that shows the one job."""
    return [told(status=status, sightings=sightings, **fields)]


def lines(
    script: Script, *, only: tuple[str, str] | None = KEY, interval: float = 1.0
) -> tuple[bool, list[str]]:
    """What a watch that is not at a terminal prints, and whether it ended well."""
    out, time = pipe(), Time(script)
    succeeded = follow(Watch(script, only), Lines(out), interval=interval, clock=time, pause=time.pause)
    return succeeded, written(out).splitlines()


def objects(script: Script, *, only: tuple[str, str] | None = KEY) -> list[dict[str, object]]:
    """What a watch prints for programs."""
    out, time = pipe(), Time(script)
    follow(Watch(script, only), JsonLines(out), interval=1, clock=time, pause=time.pause)
    return [json.loads(line) for line in written(out).splitlines()]


def test_a_line_for_each_change() -> None:
    """One job is followed to its end: looks that show nothing new print nothing."""
    script = Script([seen(1, "notstarted"), seen(2), seen(3), seen(4, "succeeded", durationSeconds=12.6)])
    assert lines(script) == (
        True,
        [
            "2026-03-01 12:00:00 UTC  import job one: notstarted, elapsed 10 s, expected end unknown",
            "2026-03-01 12:00:01 UTC  import job one: running, elapsed 11 s, expected end unknown",
            "2026-03-01 12:00:03 UTC  import job one: succeeded, elapsed 13 s",
        ],
    )


@pytest.mark.parametrize(
    ("end", "succeeded"),
    [("succeeded", True), ("failed", False), ("cancelled", False), ("unknown", False)],
)
def test_only_success_is_a_good_end(end: str, succeeded: bool) -> None:
    """Failed, cancelled, and an end of unknown meaning are none, also where it came before the watch."""
    last = seen(2, end, finishedDateTime=iso(NOW), errorCode="DTDLParsingError")
    for looks in ([last], [seen(1), last]):
        well, printed = lines(Script([*looks]))
        assert well is succeeded
        assert f"import job one: {end} (DTDLParsingError), elapsed" in printed[-1]


def test_a_job_that_vanishes() -> None:
    """A job that the gateway no longer knows ends the watch, and it is said why that may be."""
    succeeded, printed = lines(Script([seen(1), []]))
    assert not succeeded
    assert printed[1].endswith(
        "import job one: gone (deleted, purged, or forgotten when the gateway was restarted)"
    )


def test_a_job_that_was_never_there() -> None:
    """A job that is not known at the first look is a failure of the command."""
    with pytest.raises(Unknown, match=r"^The gateway knows no import job one\.$"):
        lines(Script([[]]))


def test_all_that_are_unfinished() -> None:
    """Without an id every unfinished job is followed, late ones too, until none is left; a failure counts."""
    two = told("two", kind="deletion")
    script = Script(
        [
            [*seen(1)],
            [*seen(1), two],
            [told(status="failed", durationSeconds=11), two],
            [told("two", "succeeded", kind="deletion", durationSeconds=13)],
        ]
    )
    succeeded, printed = lines(script, only=None)
    assert not succeeded
    assert [line.partition("UTC  ")[2] for line in printed] == [
        "import job one: running, elapsed 10 s, expected end unknown",
        "deletion job two: running, elapsed 11 s, expected end unknown",
        "import job one: failed, elapsed 11 s",
        "deletion job two: succeeded, elapsed 13 s",
    ]


def test_nothing_to_watch() -> None:
    """Where no job is unfinished, that is said and is a good end; an unknown status with an end is one."""
    ended = seen(1, "unknown", finishedDateTime=iso(NOW))
    assert lines(Script([ended]), only=None) == (True, ["No unfinished jobs."])
    assert objects(Script([[]]), only=None) == []


def test_an_id_used_again_while_all_are_watched() -> None:
    """A new job with the id of one that failed is followed too, and the failure is not forgotten."""
    two, done = told("two"), told("two", "succeeded")
    looks = [[*seen(1), two], [*seen(2, "failed"), two], [*seen(1), two], [*seen(2, "succeeded"), done]]
    succeeded, printed = lines(Script([*looks]), only=None)
    assert not succeeded
    assert [line.split()[5:7] for line in printed] == [
        ["one:", "running,"],
        ["two:", "running,"],
        ["one:", "failed,"],
        ["one:", "running,"],
        ["one:", "succeeded,"],
        ["two:", "succeeded,"],
    ]


def test_no_more_is_asked_than_needed() -> None:
    """A look is one question to the gateway where nothing has changed; past jobs are asked for once."""
    script = Script([seen(1), seen(2), seen(3), seen(4, "succeeded")])
    lines(script)
    assert script.asked == [("job", *KEY), ("jobs", "import", "succeeded"), *[("job", *KEY)] * 3]
    script = Script([seen(1), seen(2), []])
    lines(script, only=None)
    unfinished = ("jobs", *UNFINISHED, "unknown")
    assert script.asked == [
        unfinished, ("jobs", "import", "succeeded"), unfinished, unfinished, ("job", *KEY),
    ]  # fmt: skip


def test_the_interval_is_kept() -> None:
    """Between two looks is the interval that was asked for; after the last there is none."""
    script = Script([seen(1), seen(2), seen(3, "succeeded")])
    time = Time(script)
    follow(Watch(script, KEY), Lines(pipe()), interval=2.5, clock=time, pause=time.pause)
    assert time.pauses == [2.5, 2.5]


def test_a_gateway_that_is_restarted() -> None:
    """Silence after the first look is told and waited out; nothing that was seen is forgotten."""
    succeeded, printed = lines(Script([seen(1), SILENT, SILENT, seen(1, "succeeded")]))
    assert succeeded
    assert [line.partition("UTC  ")[2] for line in printed[1:3]] == ["No gateway answers. Trying again."] * 2


def test_silence_that_does_not_end() -> None:
    """A gateway that is silent at the first look, or for a minute, ends the watch."""
    with pytest.raises(Silent):
        lines(Script([SILENT]))
    script = Script([seen(1), SILENT])
    time, out = Time(script), pipe()
    with pytest.raises(Silent):
        follow(Watch(script, KEY), Lines(out), interval=5, clock=time, pause=time.pause)
    assert time.now - NOW == PATIENCE + 5


def test_a_refusal_ends_the_watch() -> None:
    """What will not pass by itself is not tried again."""
    with pytest.raises(Failure, match="no token"):
        lines(Script([seen(1), Failure("no token")]))


def test_objects_for_programs() -> None:
    """One JSON object for each change, with the job as the gateway tells it; silence prints nothing."""
    end = seen(11, "succeeded", durationSeconds=13)
    first, last = objects(Script([seen(5), SILENT, seen(9), end], finished=[past(20), past(40)]))
    assert first == {
        "change": "seen",
        "elapsedSeconds": 10.0,
        "pollsPerSecond": None,
        "expectedEndDateTime": iso(NOW + 20),
        "expectedFrom": 2,
        "job": seen(5)[0].raw,
    }
    assert (last["change"], last["elapsedSeconds"], last["pollsPerSecond"]) == ("status", 13, 2.0)
    assert last["expectedEndDateTime"] is None
    [_, gone] = objects(Script([seen(1), []]))
    assert (gone["change"], gone["expectedEndDateTime"]) == ("gone", None)


def test_past_jobs_of_its_own_kind_count() -> None:
    """What an import is measured by are imports, the last twenty; one that ends counts for the next."""
    ended = told("two", "succeeded", durationSeconds=20)
    script = Script(
        [[*seen(1), told("two")], [*seen(1), ended], seen(1), []],
        finished=[past(500, kind="deletion"), *[past(30)] * (PAST + 5)],
    )
    watch = Watch(script)
    watch.look(NOW)
    assert [one.usual for one in watch.followed] == [Usual(30, PAST)] * 2
    script.next()
    script.finished = [ended]
    watch.look(NOW + 1)
    script.next()
    watch.look(NOW + 2)
    assert watch.followed[0].usual == Usual(20, 1)
