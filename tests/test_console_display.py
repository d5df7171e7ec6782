"""A watch at a terminal: what is drawn, and how the terminal is left."""

import pytest

from gateway.console import Live, Watch, follow
from gateway.console.progress import Usual
from gateway.console.tables import progress_table
from gateway.console.text import iso
from gateway.console.watch import Followed
from tests.support.console import KEY, NOW, Script, Time, past, rows, terminal, told, written


def test_live_progress_of_one_job() -> None:
    """In a terminal the sheet is drawn again at each look, and its last state stays."""
    end = [told(status="succeeded", sightings=6, durationSeconds=12)]
    script = Script(
        [[told(sightings=2)], [told(sightings=4, lastSeen=iso(NOW - 1))], end], finished=[past(30)]
    )
    console, time = terminal(), Time(script)
    assert follow(Watch(script, KEY), Live(console, single=True), interval=2, clock=time, pause=time.pause)
    screens = [screen for screen in written(console).split("import job") if "status" in screen]
    assert "1.00 per second" in screens[1]
    assert "3.0 s ago" in screens[1]
    assert "in 18 s, at 2026-03-01 12:00:20 UTC (median of the last 1 that succeeded)" in screens[1]
    assert "succeeded" in screens[-1]
    assert "per second" not in screens[-1]
    assert written(console).endswith("\x1b[?25h")  # the cursor is back


def test_live_progress_of_several() -> None:
    """Several jobs are rows of one table, with a note where one is gone or the gateway is silent."""
    followed = [Followed(told("j 1/é"), Usual(100, 4)), Followed(told("two", kind="deletion"), gone=True)]
    followed[0].pace.read(NOW - 2, 3)
    followed[0].pace.read(NOW, 4)
    assert rows(progress_table(followed, NOW)) == [
        "KIND      ID     STATUS   ELAPSED  POLLS/S  EXPECTED END",
        "import    j 1/é  running  10 s     0.50     in 1 min 30 s (of 4)",
        "deletion  two    gone     -        -        -",
    ]
    console = terminal()
    with Live(console, single=False) as live:
        live.show(followed, [], NOW)
        live.silent(followed, "No gateway answers.", NOW)
        live.show([], [], NOW)
    text = written(console)
    for note in ("gone: deleted, purged", "No gateway answers. Trying again.", "No unfinished jobs."):
        assert note in text


def test_ctrl_c_leaves_the_terminal_as_it_was() -> None:
    """An interrupt during a pause goes through, and the cursor is shown again."""

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    script, console = Script([[told()]]), terminal()
    with pytest.raises(KeyboardInterrupt):
        follow(
            Watch(script, KEY), Live(console, single=True), interval=1, clock=Time(script), pause=interrupted
        )
    assert written(console).endswith("\x1b[?25h")
