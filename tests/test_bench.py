"""The benchmark: its ratios, what disqualifies a candidate, and what it shows. No time is judged here."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from tests.bench import comparison, reach
from tests.bench.candidates.kind import Duties, total
from tests.bench.duties import Counts, undone
from tests.bench.plot import plot
from tests.bench.processes import ROOT
from tests.bench.report import Figure, Report
from tests.bench.samples import Sample, Samples
from tests.bench.wrk import Load
from tests.support.programs import require_program

BEFORE = Counts(forwarded=100, refused=0, counted=40.0, spans={"server": 40, "client": 40})
DONE = Counts(forwarded=1_101, refused=0, counted=1_040.0, spans={"server": 1_040, "client": 1_040})
"""A thousand requests later, one of the upstream's being the question for the counts."""
LOAD = Load(requests=1_000, seconds=2.0, received=220_000)
FULL = Duties(spans=("server", "client"), counted=lambda: 0.0)


def rate(sample: Sample) -> float:
    return sample.rate


def p50(sample: Sample) -> float:
    return sample.p50


def sample(
    candidate: str, requests: int, *, workload: str = "job-32", number: int = 1, **more: object
) -> Sample:
    latency = float(str(more.get("p50", 0.001)))
    undone_duties = ("no spans",) if more.get("failed") else ()
    load = Load(requests, 1.0, requests * 220, p50=latency, p99=2 * latency)
    return Sample(candidate, workload, number, load, 0.5, undone_duties)


def judged(after: Counts, load: Load = LOAD, duties: Duties = FULL, connections: int = 1) -> list[str]:
    return undone(duties, load, BEFORE, after, asked=1, connections=connections)


def changed(**fields: object) -> Counts:
    values = {name: getattr(DONE, name) for name in ("forwarded", "refused", "counted", "spans")}
    return Counts(**{**values, **fields})


def test_all_duties_done_is_no_fault() -> None:
    """Every request forwarded with a token, counted and traced: the round counts."""
    assert judged(DONE) == []


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (changed(spans={"server": 1_040, "client": 900}), "client spans"),
        (changed(spans={"server": 1_300, "client": 1_040}), "server spans"),
        (changed(spans={}), "server spans"),
        (changed(counted=900.0), "its metrics count 860"),
        (changed(refused=3), "3 requests came without a token"),
        (changed(forwarded=600), "499 requests came to the upstream"),
    ],
    ids=["span lost", "span twice", "no spans", "not counted", "no token", "not forwarded"],
)
def test_a_duty_left_undone_disqualifies(after: Counts, told: str) -> None:
    """A candidate that saves itself a duty is not compared, and the reason says which."""
    assert any(told in line for line in judged(after)), judged(after)


def test_two_percent_of_the_spans_may_be_missing() -> None:
    """Just within the tolerance counts, just outside does not."""
    within = changed(spans={"server": 1_040, "client": 1_020})
    outside = changed(spans={"server": 1_040, "client": 1_010})
    assert judged(within) == []
    assert judged(outside)


def test_requests_under_way_at_the_end_of_the_load_are_no_fault() -> None:
    """With 32 connections the upstream has seen up to 32 more requests than the load has answers."""
    after = Counts(forwarded=1_133, counted=1_072.0, spans={"server": 1_072, "client": 1_072})
    assert judged(after, connections=32) == []


@pytest.mark.parametrize("spans", [0, 10, 25], ids=str)
def test_a_sampled_share_may_differ_by_chance(spans: int) -> None:
    """At 1 % some more or fewer spans than 10 of 1,000 are chance."""
    after = changed(spans={"server": 40 + spans, "client": 40 + spans})
    assert judged(after, duties=Duties(spans=("server", "client"), sampled=0.01)) == []


def test_spans_where_none_were_asked_for_disqualify() -> None:
    """With sampling off a span is a fault: the round would not say what sampling costs."""
    assert judged(DONE, duties=Duties(spans=("server",), sampled=0.0))


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (Load(1_000, 2.0, 0, broken=2), "2 connections broke"),
        (Load(0, 2.0, 0), "no request was answered"),
    ],
    ids=["broken", "nothing"],
)
def test_a_load_that_broke_disqualifies(load: Load, told: str) -> None:
    """Broken connections, or no answer at all, are told."""
    assert any(told in line for line in judged(DONE, load))


def test_ratios_are_of_one_round() -> None:
    """Each ratio is of two samples of the same round; a disqualified one leaves its round out."""
    samples = Samples(
        [
            sample("gateway", 1_000, number=1),
            sample("envoy", 4_000, number=1),
            sample("gateway", 500, number=2),
            sample("envoy", 1_000, number=2),
            sample("gateway", 9_000, number=3),
            sample("envoy", 1_000, number=3, failed=True),
        ]
    )
    assert samples.ratios("job-32", "gateway", "envoy", rate) == [0.25, 0.5]
    assert len(samples.disqualified()) == 1
    assert "envoy, job-32, round 3: no spans" in samples.disqualified()[0]


def test_added_latency_is_over_the_direct_path() -> None:
    """What one adds over what the other adds, each less the direct path of that round."""
    named = {"gateway": 0.9, "envoy": 0.3, "direct": 0.1}
    samples = Samples([sample(name, 10, workload="job-1", p50=each) for name, each in named.items()])
    assert samples.added("job-1", "gateway", "envoy", "direct", p50) == [pytest.approx(4.0)]


def whole_report() -> Report:
    rates: Mapping[str, int] = {"gateway": 3_000, "envoy": 5_000, "plain": 100, "direct": 20_000}
    rounds = [(name, each, number) for number in (1, 2, 3) for name, each in rates.items()]
    every = [sample(name, each + number, number=number) for name, each, number in rounds]
    every += [sample("gateway", 2_900, workload="job-512", number=number) for number in (1, 2, 3)]
    report = Report(samples=Samples(every))
    report.figures += reach.figures(report.samples)
    return report


def test_the_reach_is_judged_by_must_and_goal() -> None:
    """Medians of ratios with must and goal; what was not measured has no row."""
    rows = {each.measure: each for each in whole_report().figures}
    envoy = rows["pyreqwest: requests/s at 32 connections over envoy's"]
    assert envoy.value == pytest.approx(0.6, rel=0.01)
    assert (envoy.must, envoy.goal, envoy.holds, envoy.at_goal) == (0.6, 1.0, True, False)
    assert rows["pyreqwest: requests/s at 512 connections over those at 32"].at_goal is True
    assert not any("traefik" in each or "MiB" in each for each in rows)


def test_the_report_shows_and_keeps_all(tmp_path: Path) -> None:
    """Table, Markdown, JSON and plot of one run name every candidate."""
    report = whole_report()
    console = Console(record=True, width=160)
    report.show(console)
    comparison.show(report, console)
    shown, table = console.export_text(), comparison.markdown(report)
    path = tmp_path / "bench.json"
    report.write(path)
    written = json.loads(path.read_text())
    drawn = ET.fromstring(plot(report))  # noqa: S314 - our own
    for name in ("gateway", "envoy", "plain", "direct"):
        assert name in shown
        assert f"| {name} | " in table
        assert any(each["candidate"] == name for each in written["samples"])
        assert any(name in (each.text or "") for each in drawn.iter("{http://www.w3.org/2000/svg}text"))
    assert "| pyreqwest: requests/s at 32 connections over envoy's | ≥ 0.6 x | ≥ 1 x | 0.600 x |" in table


def test_a_must_that_does_not_hold_is_bold() -> None:
    """In the README a reader sees at once what was not reached."""
    report = Report(figures=[Figure("time to ready", 2.0, "s", 1.5, "at most", goal=0.7)])
    assert "| time to ready | ≤ 1.5 s | ≤ 0.7 s | **2.000 s** |" in comparison.markdown(report)


def test_samples_are_summed_by_name_and_label() -> None:
    """The sum is over the series of exactly that name which have the label."""
    text = '# HELP a_total b\na_total{code="200"} 3\na_total{code="404"} 2.0\na_total_more{} 7\nb_total 4\n'
    assert total(text, "a_total") == 5
    assert total(text, "a_total", 'code="200"') == 3
    assert total(text, "b_total") == 4


@pytest.mark.slow
async def test_a_quick_run_measures_and_judges(tmp_path: Path) -> None:
    """The command itself, with the real programs: no candidate is disqualified, and all is in the JSON."""
    require_program("wrk", "apt-get install wrk")
    require_program("nginx", "apt-get install nginx-light")
    path = tmp_path / "bench.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench", "--quick", "--json", str(path)),
        *("--only", "gateway", "nginx", "direct", "--workloads", "job-32", "errors"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    written = json.loads(path.read_text())
    assert {each["candidate"] for each in written["samples"]} == {"gateway", "nginx", "direct"}
    assert [each["undone"] for each in written["samples"]] == [[]] * 6
    assert path.with_suffix(".svg").exists()
