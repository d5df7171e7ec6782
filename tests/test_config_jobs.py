"""How the Jobs API is called and where the ledger lives: defaults, bounds, and the forms of a store."""

from pathlib import Path

import pytest

from gateway.config import Jobs
from tests.support.configuration import problems, settings

FAULT = ["jobs.store: must be memory, or sqlite:///path with an absolute path (config.toml)"]


def test_defaults_keep_the_limit_of_the_service() -> None:
    """Unset, one request a second goes out, reads are shared for a second, and writes go once."""
    jobs = Jobs()
    assert (jobs.rate, jobs.burst, jobs.max_wait) == (1, 1, 30)
    assert (jobs.coalesce, jobs.max_staleness, jobs.terminal_staleness, jobs.batch) == (True, 1, 1, True)
    assert (jobs.store, jobs.watch, jobs.span) == ("memory", "seen", "child")
    assert (jobs.writes_once, jobs.inject_operation_id) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "jobs.rate = 0",
        "jobs.rate = 0.5\njobs.burst = 1_000",
        "jobs.max_staleness = 0\njobs.terminal_staleness = 0",
        "jobs.max_wait = 0\njobs.max_queued = 1",
        'jobs.watch = "off"\njobs.span = "link"',
        "metrics.job_series = 1000",
    ],
)
def test_edges_are_allowed(text: str, tmp_path: Path) -> None:
    """The least and the greatest of each range is a value like any other."""
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize(
    ("store", "file"),
    [
        ("memory", None),
        ("sqlite:///var/lib/adt-gateway/jobs.db", "/var/lib/adt-gateway/jobs.db"),
        ("sqlite:////var/jobs.db", "/var/jobs.db"),
        ("sqlite:///jobs.db", "/jobs.db"),
        ("sqlite:///a b/jöbs?.db#1", "/a b/jöbs?.db#1"),
    ],
)
def test_stores(store: str, file: str | None, tmp_path: Path) -> None:
    """A store is memory or the absolute path of a file, which stands as it is after `sqlite://`."""
    jobs = settings(tmp_path, f'jobs.store = "{store}"').jobs
    assert jobs.store_file == (None if file is None else Path(file))


@pytest.mark.parametrize(
    "store",
    [
        "",
        "Memory",
        "memory://",
        "sqlite",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite:////",
        "sqlite://jobs.db",
        "sqlite:/var/jobs.db",
        "SQLITE:///jobs.db",
        "sqlite:///:memory:\\u0000",
        "sqlite3:///jobs.db",
        "redis://127.0.0.1/0",
        "/var/jobs.db",
    ],
)
def test_no_stores(store: str, tmp_path: Path) -> None:
    """Any other text is told, rather than kept in memory or in a file that nobody meant."""
    assert problems(tmp_path, f'jobs.store = "{store}"') == FAULT


def test_file_of_the_store_is_not_looked_at(tmp_path: Path) -> None:
    """A folder that is missing or cannot be written is no reason not to start: the proxy works without."""
    assert problems(tmp_path, 'jobs.store = "sqlite:///nonexistent/folder/jobs.db"') == []


def test_environment_sets_the_store(tmp_path: Path) -> None:
    """The store can be set from the environment, and a wrong one is told by the variable's name."""
    name = "ADT_GATEWAY_JOBS__STORE"
    assert settings(tmp_path, environ={name: "sqlite:///jobs.db"}).jobs.store_file == Path("/jobs.db")
    assert problems(tmp_path, environ={name: "jobs.db"}) == [FAULT[0].replace("config.toml", name)]
