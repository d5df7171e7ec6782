"""What the stress rows of a fleet judge by: windows of requests, failures without a kill, ends of jobs."""

import asyncio
import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.bench import processes
from tests.stress.azure import busiest
from tests.stress.fleet import Gone, unexcused
from tests.stress.pollers import CUT, REFUSED, Failure, Polled, Polling
from tests.stress.rows.fleet_chaos import told
from tests.stress.store import single
from tests.support.programs import require_program


@pytest.mark.parametrize(
    ("times", "most"),
    [([], 0), ([5.0], 1), ([float(each) for each in range(30)], 10), ([0.0, 9.999, 10.0, 10.5], 3)],
    ids=["none", "one", "one-a-second", "an-edge"],
)
def test_the_busiest_window(times: list[float], most: int) -> None:
    """A window of ten seconds is counted from each request on, without its end."""
    assert busiest(times) == most


@pytest.mark.parametrize(
    ("failure", "excused"),
    [
        (Failure(1, 9.0, 10.0, CUT), True),
        (Failure(1, 11.0, 11.1, REFUSED), True),
        (Failure(1, 8.0, 9.0, CUT), False),
        (Failure(1, 12.5, 12.6, REFUSED), False),
        (Failure(2, 11.0, 11.1, REFUSED), False),
        (Failure(1, 11.0, 11.1, "503 GatewayOverloaded"), False),
        (Failure(1, 9.0, 11.0, "no answer in time"), False),
    ],
    ids=["cut", "refused", "before", "after", "another", "answered", "silent"],
)
def test_only_a_kill_excuses(failure: Failure, *, excused: bool) -> None:
    """What breaks counts, unless the gateway that was asked was killed then; an answer always counts."""
    assert unexcused([failure], [Gone(1, 10.0, 12.0)]) == ([] if excused else [failure])


def test_ends_are_told_once() -> None:
    """A job without an end was lost, one with two was counted twice, whoever created it."""
    lost, twice = told(["a", "b", "c"], {"a": 1, "b": 2, "other": 3})
    assert (lost.value, twice.value) == (1, 2)
    assert "c" in lost.note
    assert {"b", "other"} == set(twice.note.partition("; ")[2].split(", "))


async def test_pollers_go_on_when_their_gateway_is_gone() -> None:
    """Answers and refusals are counted, each failure with its port and time; the JSON is read back."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        there, closed = server.sockets[0].getsockname()[1], processes.free_port()
        plan = Polling([there, closed], ["/jobs/imports/a"], 4, 1.0, 0.05)
        command = (sys.executable, "-m", "tests.stress.pollers", json.dumps(asdict(plan)))
        process = await asyncio.create_subprocess_exec(
            *command, cwd=processes.ROOT, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
    polled = Polled.read(printed)
    assert polled.answers.keys() == {"200", REFUSED}
    assert len(polled.times) == polled.answers["200"]
    assert {each.port for each in polled.failures} == {closed}
    assert polled.requests == len(polled.times) + len(polled.failures)


async def test_a_store_keeps_what_it_has_through_a_kill(tmp_path: Path) -> None:
    """After kill -9 the same server comes back on its port, with its data; its commands can be counted."""
    require_program("redis-server", "apt-get install redis-server")
    require_program("redis-cli", "apt-get install redis-tools")
    async with single(tmp_path / "store", set()) as store:
        await store.ask("set", "adt-gateway:1:{x}:done:a", "me")
        assert (await store.commands())["set"] == 1
        async with asyncio.timeout(10):
            # The file is synced within a second, but written at once: a kill of the process loses nothing.
            await store.kill()
        assert not store.running
        assert await store.ask("ping") == ""
        await store.start()
        assert await store.count("*:done:*") == 1
