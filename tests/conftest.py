"""What holds for every test."""

import asyncio
import contextlib
import gc
import logging
import os
import uuid
from collections.abc import Generator, Iterator

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import ConnectError

from tests.support import standing_gateways
from tests.support.addresses import refusing_origin
from tests.support.redis_server import RedisServer, redis_server
from tests.support.standing import Before, unheard
from tests.support.standing_secrets import SECRETS

# How long an example takes says nothing on a machine that is busy; CI tries the same examples in each run.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize="CI" in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")

_RUNNER = "_scoped_runner"
"""End of the names of pytest-asyncio's fixtures that hold an event loop."""


def pytest_configure(config: pytest.Config) -> None:
    """The marks of the standing checks."""
    config.addinivalue_line("markers", "large(reason): moves so much that memory may grow")
    config.addinivalue_line("markers", "visited(reason): a program outside connects while the test runs")


_LONGEST_FIRST = (
    "test_prometheus_alerts.py",
    "test_deploy_container_image.py",
    "test_mutations_requests.py",
    "test_mutations_responses.py",
    "test_cancel_storm.py",
    "test_stress.py",
)
"""What a worker would be alone with at the end, if it came late."""
_LAST = ("test_deploy_systemd.py", "test_deploy_compose_running.py")
"""These would wait for the root file system that the image's test builds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let workers end at about the same time."""
    places = {name: at - len(_LONGEST_FIRST) for at, name in enumerate(_LONGEST_FIRST)}
    places |= dict.fromkeys(_LAST, 1)
    items.sort(key=lambda item: places.get(item.path.name, 0))


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: no collection of garbage needs to look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _levels_as_they_were() -> Iterator[None]:
    """Token sources quieten libraries for the whole process; no test shall hear less because of another."""
    names = ("", "azure", "msal", "httpx", "httpcore")
    before = [logging.getLogger(name).level for name in names]
    yield
    for name, level in zip(names, before, strict=True):
        logging.getLogger(name).setLevel(level)


@pytest.fixture(autouse=True, scope="session")
def _runtimes_run() -> None:
    """What pyreqwest and uvloop open once in a process is charged to no test."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_begin_runtime())


async def _begin_runtime() -> None:
    async with ClientBuilder().no_proxy().build() as client:
        with contextlib.suppress(ConnectError), refusing_origin() as nobody:
            await client.get(nobody).build().send()


@pytest.fixture(autouse=True)
def _standing(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test everything is as it was, every gateway that runs on is alive, and no secret was told."""
    names = [name for name in request.fixturenames if name.endswith(_RUNNER)]
    loops = [request.getfixturevalue(name).get_loop() for name in names]
    standing_gateways.look_for_secrets_of(standing_gateways.running(loops))
    before = Before(loops)
    with unheard() as said:
        yield
        problems = []
        running = standing_gateways.running(loops)
        for one in running:
            problems += one.loop.run_until_complete(one.problems())
            one.read_log()
        kept_ports = {port for one in running for port in one.peers()}
        large = request.node.get_closest_marker("large") is not None
        if request.node.get_closest_marker("visited") is None:
            problems += before.problems(kept_ports, large=large)
    problems += said + SECRETS.found
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """No secret in what a test, or what it started, wrote, logged or was told in a traceback."""
    report = yield
    texts = [f"{name}\n{text}" for name, text in report.sections]
    found = SECRETS.within("\n".join([*texts, str(report.longrepr or "")]))
    if found and report.outcome == "passed":
        report.outcome = "failed"
        report.longrepr = f"what was captured tells {', '.join(sorted(set(found)))}"
    return report


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A store of fleets; each test has an `instance` of its own in it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def instance() -> str:
    """The host of an upstream that no other test has."""
    return f"{uuid.uuid4().hex}.example"
