"""One series per job: off unless asked for, capped, and safe whatever an id holds."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.metrics.job_series import MAX_ID, states
from tests.support.exposition import Job, bare, build, families, value

IMPORT = ("notstarted", "running", "failed", "succeeded", "cancelling", "cancelled", "unknown")
DELETION = ("notstarted", "running", "failed", "succeeded", "unknown")


def test_off_by_default() -> None:
    """With 0 there is no family of that name at all."""
    found = families(build(jobs=[Job()], job_series=0))
    assert not {"adt_job", "adt_job_status"} & found.keys()


@pytest.mark.parametrize(
    ("job", "statuses"),
    [(Job("import", "a", "cancelling"), IMPORT), (Job("deletion", "b", "failed"), DELETION)],
)
def test_the_state_set_of_a_kind(job: Job, statuses: tuple[str, ...]) -> None:
    """A job has an info of 1, and each status of its kind: 1 for the one it has, 0 for the others."""
    metrics = build(jobs=[job], job_series=5)
    assert value(metrics, "adt_job_info", kind=job.kind, job_id=job.id) == 1
    shown = {sample.labels["status"]: sample.value for sample in families(metrics)["adt_job_status"].samples}
    assert shown == {status: float(status == job.status) for status in statuses}


def test_a_status_outside_the_reference_is_unknown() -> None:
    """No text of the service's becomes a label value, and no kind but the two is shown."""
    metrics = build(jobs=[Job("deletion", "a", "cancelling"), Job("purge", "b", "running")], job_series=5)
    assert value(metrics, "adt_job_status", job_id="a", status="unknown") == 1
    assert {sample.labels["kind"] for sample in families(metrics)["adt_job"].samples} == {"deletion"}


def test_the_newest_up_to_the_cap() -> None:
    """Only as many jobs as configured are shown, in the ledger's order."""
    metrics = build(jobs=[Job(id=str(number)) for number in range(50)], job_series=3)
    ids = [sample.labels["job_id"] for sample in families(metrics)["adt_job"].samples]
    assert ids == ["0", "1", "2"]
    assert len(families(metrics)["adt_job_status"].samples) == 3 * len(IMPORT)


def test_ids_are_bounded_printable_and_distinct() -> None:
    """An id is cut and what does not print replaced; of those that then look alike the newest stays."""
    long = "x" * MAX_ID
    jobs = [
        Job(id=f"{long}1", status="running"),
        Job(id=f"{long}2", status="failed"),
        Job(id="a\nb\x00\udcff"),
        Job(id='"\\ü'),
    ]
    metrics = build(jobs=jobs, job_series=10)
    ids = [sample.labels["job_id"] for sample in families(metrics)["adt_job"].samples]
    assert ids == [long, "a\ufffdb\ufffd\ufffd", '"\\ü']
    assert value(metrics, "adt_job_status", job_id=long, status="running") == 1


def test_import_and_deletion_may_have_the_same_id() -> None:
    """The kind tells them apart."""
    metrics = build(jobs=[Job("import"), Job("deletion")], job_series=10)
    assert len(families(metrics)["adt_job"].samples) == 2


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(["import", "deletion", "x"]), st.text(), st.text())), st.integers(1, 4)
)
def test_any_ids_make_a_scrape_that_can_be_read(jobs: list[tuple[str, str, str]], limit: int) -> None:
    """Whatever ids and statuses there are, the exposition encodes, and no series is there twice."""
    metrics = bare()
    metrics.watch_job_series(lambda: [Job(*job) for job in jobs], limit=limit)
    metrics.render("")[0].decode("utf-8")
    shown = states([Job(*job) for job in jobs], limit)
    assert len(shown) <= limit
    infos = families(metrics)["adt_job"].samples
    assert {(sample.labels["kind"], sample.labels["job_id"]) for sample in infos} == shown.keys()
    assert len(infos) == len(shown)


async def test_the_jobs_are_read_on_the_loop() -> None:
    """The ledger is asked where it lives, and a job that moves on later does not change the scrape."""
    metrics = build()
    loops = []

    def newest() -> Sequence[Job]:
        loops.append(asyncio.get_running_loop())
        return [Job(status="running" if len(loops) < 2 else "succeeded")]

    metrics.watch_job_series(newest, limit=1)
    body, _ = await metrics.scrape("")
    assert b'adt_job_status{job_id="one",kind="import",status="succeeded"} 1.0' in body
    assert loops == [asyncio.get_running_loop()] * 2
