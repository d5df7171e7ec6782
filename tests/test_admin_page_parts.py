"""The parts of the status page: verdict, figures, plots, words and links."""

import json
from typing import Any

import pytest

from gateway.admin.page import links, plots, words
from gateway.admin.page.traffic import traffic
from gateway.admin.page.verdict import verdict
from tests.support import glance
from tests.support.glance import NOW

FAILING = glance.jobs_at_a_glance()["watcher"] | {"failingSince": NOW - 60}


@pytest.mark.parametrize(
    ("changes", "mark", "title", "reason"),
    [
        ({}, "ok", "Ready", ""),
        ({"ready": False, "draining": True}, "bad", "Draining", "It ends"),
        (
            {"ready": False, "checks": [{"name": "token", "ok": False, "detail": "none"}]},
            "bad",
            "Not ready",
            "token: none",
        ),
        ({"token": glance.token(failures=2)}, "warn", "Ready, with a warning", "its refresh fails"),
        (
            {"upstream": {"circuit": glance.circuit(state="open", cause="5 connects in a row failed")}},
            "warn",
            "Ready, with a warning",
            "requests get 503, because 5 connects in a row failed.",
        ),
        (
            {"recent": glance.recent(upstream=glance.busy(failed=7))},
            "warn",
            "Ready, with a warning",
            "7 of 200 requests to ADT failed",
        ),
        (
            {"jobs": glance.jobs_at_a_glance(store={"name": "sqlite", "problem": "disk is full"})},
            "warn",
            "Ready, with a warning",
            "Job store: disk is full",
        ),
        (
            {"jobs": glance.jobs_at_a_glance(watcher=FAILING)},
            "warn",
            "Ready, with a warning",
            "since 20:25:40 UTC",
        ),
    ],
)
def test_verdict(changes: dict[str, Any], mark: str, title: str, reason: str) -> None:
    """Draining is told before not ready, that before what will go wrong; each with its reason."""
    said = verdict(glance.status(**changes))
    assert (said.mark, said.title, bool(said.reasons)) == (mark, title, bool(reason))
    assert reason in " ".join(said.reasons)


def test_failures_of_long_ago_are_no_warning() -> None:
    """Only the last minute's failures at ADT are on top; older ones are in the plots."""
    steps = glance.busy(failed=5)
    steps[10], steps[-2] = steps[-2], steps[10]
    assert verdict(glance.status(recent=glance.recent(upstream=steps))).mark == "ok"


def test_traffic_without_a_request() -> None:
    """Nothing is told as nothing, and no plot has a shape."""
    said = traffic(glance.series(), 10)
    assert (said.requests, said.failed, said.share, said.p50, said.p95) == (
        0,
        0,
        "0 %",
        words.NONE,
        words.NONE,
    )
    assert not [plot for plot in said.plots if plot.line or plot.bars or plot.area]


def test_traffic() -> None:
    """The figures are the window's, p50 and p95 the newest step's; each plot says its peak in words."""
    said = traffic(glance.busy(requests=400, failed=6), 10)
    assert (said.requests, said.failed, said.share) == (400, 6, "1.5 %")
    assert (said.p50, said.p95) == ("12 ms", "48 ms")
    latencies, failures, rates = said.plots
    assert (latencies.top, failures.top, rates.top) == ("50 ms", "2 %", "50/s")
    assert latencies.description == "The highest p95 is 48 ms at 20:26:20 UTC."
    assert failures.description == "The worst is 1.5 % at 20:26:20 UTC."
    assert rates.description == "The most are 40.0 per second at 20:26:20 UTC."


def test_a_line_has_gaps() -> None:
    """A line holds each value for its step, and is broken where there is none."""
    assert plots.steps([None, 5.0, 10.0, None, 2.5], 10.0) == "M1 50.0H2V0.0H3M4 75.0H5"
    assert plots.area([5.0, None], 10.0) == "M0 100V50.0H1V100Z"
    assert plots.steps([None, None], 10.0) == plots.area([], 10.0) == ""


def test_a_small_bar_is_seen() -> None:
    """What is not nothing has a bar that can be seen; nothing and a gap have none."""
    assert plots.bars([0.0, None, 0.001, 10.0], 10.0) == "M2.12 100V98H2.88V100ZM3.12 100V0H3.88V100Z"


@pytest.mark.parametrize(
    ("highest", "top"),
    [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (4.2, 5.0), (7.0, 10.0), (11.0, 20.0), (3e6, 5e6)],
)
def test_ceiling(highest: float, top: float) -> None:
    """A scale ends at a round number that nothing exceeds."""
    assert plots.ceiling(highest, 1.0) == top


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (185, "3 min 05 s"),
        (3600, "1 h 00 min"), (7500, "2 h 05 min"), (86_400, "1 d 0 h"), (1e9, "11,574 d 1 h"),
    ],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    """A duration is told in its two largest units, cut and not rounded: a countdown must not promise more."""
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(60, "1 min"), (185, "3 min 05 s"), (7200, "2 h"), (86_400, "1 d"), (0, "0 s")]
)
def test_brief(seconds: float, text: str) -> None:
    """A second unit that says nothing is left out."""
    assert words.brief(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, words.NONE),
        (0.0004, "0.4 ms"),
        (0.0123, "12 ms"),
        (0.999, "999 ms"),
        (1.25, "1.25 s"),
        (42, "42 s"),
    ],
)
def test_latency(seconds: float | None, text: str) -> None:
    """A latency has two or three digits that matter."""
    assert words.latency(seconds) == text


def test_percent() -> None:
    """A small share is not rounded to nothing, and nothing of nothing is 0."""
    said = [words.percent(part, whole) for part, whole in ((0, 0), (1, 3), (1, 10_000), (1, 2), (5, 5))]
    assert said == ["0 %", "33.3 %", "< 0.1 %", "50 %", "100 %"]


def test_times_of_day() -> None:
    """Today's times are short, others have their date, and an absurd one is a dash."""
    assert words.clock(NOW, NOW) == "20:26:40"
    assert words.clock(NOW - 86_400, NOW) == "2026-05-27 20:26:40"
    assert (words.clock(1e30, NOW), words.iso(float("inf")), words.iso(NOW)) == (
        words.NONE,
        "",
        "2026-05-28T20:26:40Z",
    )


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)//{trace_id}", "data:text/html,{trace_id}", "//x/{trace_id}"]
)
def test_no_other_scheme_is_linked(url: str) -> None:
    """Whatever is configured, a link is http or https."""
    assert links.trace_link(url, glance.TRACE, sampled=True) is None


@pytest.mark.parametrize(
    "trace_id", [None, "", "abc", glance.TRACE.upper(), glance.TRACE + "/..", "../" * 11]
)
def test_no_other_trace_id_is_linked(trace_id: str | None) -> None:
    """A trace id is 32 lower-case hexadecimal digits."""
    assert links.trace_link(glance.UI, trace_id, sampled=True) is None


def test_visible() -> None:
    """Letters of every script stay; what would not be seen, or would rearrange, is written out."""
    assert words.visible("Grüße שלום 東京") == "Grüße שלום 東京"
    assert words.visible("a\u202eb\u2066c\n\ud800") == "a\\u202eb\\u2066c\\n\\ud800"
    assert json.dumps(words.visible("\u200b")) == '"\\\\u200b"'
