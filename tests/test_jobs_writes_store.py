"""Writes over a restart: what was sent is not forgotten, and no secret is written down."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Jobs
from gateway.jobs.stores import open_store
from gateway.jobs.writes import Fingerprint, Recorded, WritesOnce
from tests.support.job_writes import (
    NOON,
    SECRET,
    GatedStore,
    Writes,
    arriving,
    deletion,
    import_job,
    job_body,
    put,
    told,
)
from tests.test_jobs_writes_once import CREATED, known, lose, succeed

ACCEPTED = Recorded(
    202, [(b"operation-location", b"https://up/jobs/deletions/d?api-version=1")], job_body("d")
)


async def test_the_intent_is_durable_before_the_first_byte_leaves() -> None:
    """`sending` returns once the store has settled, not before."""
    writes = Writes()
    writes.store.gate = asyncio.Event()
    async with await writes.once.claim(put()) as claim:
        about_to = asyncio.create_task(claim.sending())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not about_to.done()
        assert put().digest in writes.stored()
        writes.store.gate.set()
        await about_to


async def test_a_store_that_cannot_keep_it_does_not_stop_the_write() -> None:
    """Where nothing can be made durable the write goes out all the same, and is once in memory."""
    writes = Writes(store=GatedStore(well=False))
    await succeed(writes.once, put())
    assert await known(writes.once, put()) == (CREATED, None)


async def test_a_write_given_up_before_the_store_settled_was_not_sent() -> None:
    """Cancelled while the intent is written, nothing has left: the intent goes too."""
    writes = Writes()
    writes.store.gate = asyncio.Event()

    async def attempt() -> None:
        async with await writes.once.claim(put()) as claim:
            await claim.sending()

    task = asyncio.create_task(attempt())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert writes.stored() == {}
    assert await known(writes.once, put()) == (None, None)


async def test_an_intent_without_an_outcome_is_unknown_after_a_restart() -> None:
    """A gateway that was killed while a write was in flight reads the job before it sends again."""
    writes = Writes()
    await (await writes.once.claim(put())).sending()
    writes.restart(down=30)
    assert await known(writes.once, put()) == (None, NOON)


async def test_a_deletion_is_answered_again_after_a_restart() -> None:
    """Its answer holds no blob URI and is kept whole."""
    writes = Writes()
    await succeed(writes.once, told(deletion()), ACCEPTED)
    writes.restart(down=30)
    assert await known(writes.once, told(deletion())) == (ACCEPTED, None)


async def test_a_delete_is_answered_again_after_a_restart() -> None:
    """A 204 has no body to withhold."""
    writes = Writes()
    gone = Recorded(204, [(b"x-ms-request-id", b"r")], b"")
    await succeed(writes.once, told(arriving("DELETE")), gone)
    writes.restart()
    assert await known(writes.once, told(arriving("DELETE"))) == (gone, None)


@pytest.mark.parametrize(
    "fingerprint", [put(), told(arriving("POST", b"/jobs/imports/j1/cancel"))], ids=["add", "cancel"]
)
async def test_an_import_is_known_as_done_after_a_restart(fingerprint: Fingerprint) -> None:
    """Its answer holds blob URIs and is gone; when it was sent, and that it succeeded, is not."""
    writes = Writes()
    await succeed(writes.once, fingerprint)
    writes.clocks.pass_by(20)
    writes.restart(down=30)
    async with await writes.once.claim(fingerprint) as claim:
        assert (claim.recorded, claim.unknown_since, claim.done) == (None, NOON, True)


async def test_no_blob_uri_reaches_the_store() -> None:
    """Neither a body that was sent nor one that came back is written down."""
    writes = Writes()
    assert SECRET.encode() in CREATED.body
    await succeed(writes.once, put())
    await succeed(writes.once, put(b"call-2"), Recorded(200, [], import_job(status="cancelling")))
    await lose(writes.once, put(b"call-3"))
    assert len(writes.stored()) == 3
    for secret in (b"sig=", b"canary", b"blob.core"):
        assert not writes.store.holds(secret)


def contains(folder: Path, text: bytes) -> bool:
    """Whether the text stands in any file of the folder."""
    return any(text in file.read_bytes() for file in folder.iterdir())


async def test_a_file_brings_it_all_back_and_holds_no_secret(tmp_path: Path) -> None:
    """With the store that is a file: outcomes are there after a restart, blob URIs nowhere in its bytes."""
    settings = Jobs(store=f"sqlite://{tmp_path}/jobs.db")
    store = await open_store(settings, log=pytest.fail)
    writes = WritesOnce(store, clock=lambda: NOON)
    await lose(writes, put())
    await succeed(writes, told(arriving("POST", b"/jobs/imports/j2/cancel")))
    await succeed(writes, told(deletion()), ACCEPTED)
    await store.aclose()
    assert not contains(tmp_path, b"sig=")
    assert contains(tmp_path, b"operation-location")
    store = await open_store(settings, log=pytest.fail)
    writes = WritesOnce(store, clock=lambda: NOON + 60)
    assert len(writes) == 3
    recorded, since = await known(writes, put())
    assert recorded is None
    assert since == pytest.approx(NOON, abs=1)
    assert await known(writes, told(deletion())) == (ACCEPTED, None)
    await store.aclose()


async def test_records_stay_void_and_expire_over_a_restart() -> None:
    """A restart renews nothing, and finds the job that a record is about again."""
    writes = Writes()
    await lose(writes.once, put())
    await lose(writes.once, put(path=b"/jobs/imports/j2"))
    writes.clocks.pass_by(300)
    writes.restart(down=200)
    writes.once.void("import", "j1")
    assert await known(writes.once, put()) == (None, None)
    assert await known(writes.once, put(path=b"/jobs/imports/j2")) == (None, NOON)
    writes.restart(down=100)
    assert writes.stored() == {}
    assert await known(writes.once, put(path=b"/jobs/imports/j2")) == (None, None)


async def test_a_clock_set_back_over_a_restart_keeps_a_record_once_more() -> None:
    """How old it is cannot be told: it gets ten minutes, whatever number of restarts there are."""
    writes = Writes()
    await lose(writes.once, put())
    writes.restart(down=-86_400)
    writes.clocks.pass_by(300)
    assert await known(writes.once, put()) == (None, NOON)
    writes.restart()
    writes.clocks.pass_by(299)
    assert await known(writes.once, put()) == (None, NOON)
    writes.clocks.pass_by(1)
    assert await known(writes.once, put()) == (None, None)


async def test_a_store_of_too_many_is_cut() -> None:
    """A store written with a larger bound is brought down to this one."""
    writes = Writes()
    for number in range(20):
        writes.clocks.pass_by(1)
        await succeed(writes.once, told(deletion(request_id=b"call-%d" % number)), ACCEPTED)
    writes.most = 5
    writes.restart()
    assert len(writes.once) == len(writes.stored()) == 5
    assert await known(writes.once, told(deletion(request_id=b"call-19"))) == (ACCEPTED, None)
    assert await known(writes.once, told(deletion(request_id=b"call-0"))) == (None, None)


def stored(**fields: object) -> bytes:
    """A record as the store keeps it, with some fields otherwise."""
    return msgspec.msgpack.encode({"job": None, "since": NOON, "at": NOON, "done": True, **fields})


def answer(**fields: object) -> bytes:
    """A record with an answer that is otherwise sound."""
    return stored(answer={"status": 202, "headers": [[b"x", b"y"]], "body": b"{}", **fields})


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff" * 9,
        b"\x91" * 5_000,
        msgspec.msgpack.encode("text"),
        stored(since=float("nan")),
        stored(at=float("inf")),
        stored(at="noon"),
        stored(job=7),
        answer(headers="x"),
    ],
    ids=range(9),
)
async def test_garbage_in_the_store_is_ignored(garbage: bytes) -> None:
    """It is as if nothing were known of that write; the others are there."""
    writes = Writes()
    await lose(writes.once, put(b"call-2"))
    writes.store.put("writes", put().digest, garbage)
    writes.restart()
    assert await known(writes.once, put()) == (None, None)
    assert await known(writes.once, put(b"call-2")) == (None, NOON)


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": [[b"x", b"y\r\nset-cookie: a=b"]]},
        {"headers": [[b"x\n", b"y"]]},
        {"status": 302},
        {"status": -1},
        {"body": b"x" * 70_000},
    ],
    ids=["CR LF in a value", "LF in a name", "a redirect", "no status", "too large"],
)
async def test_a_damaged_answer_is_not_given(fields: dict[str, object]) -> None:
    """The success is known; what it was answered with is read from the service."""
    store = GatedStore()
    store.put("writes", put().digest, answer())
    assert (await known(Writes(store=store).once, put()))[0] == Recorded(202, [(b"x", b"y")], b"{}")
    store.put("writes", put().digest, answer(**fields))
    assert await known(Writes(store=store).once, put()) == (None, NOON)


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary() | st.text()


@settings(max_examples=40)
@given(
    st.binary(max_size=64)
    | st.fixed_dictionaries(
        {}, optional={"job": SCALARS, "since": SCALARS, "at": SCALARS, "done": SCALARS, "answer": SCALARS}
    ).map(msgspec.msgpack.encode)
)
def test_no_value_in_the_store_breaks_the_start(value: bytes) -> None:
    """Whatever stands there, the gateway starts and the write can be claimed, sent and recorded."""
    store = GatedStore()
    store.put("writes", put().digest, value)
    writes = Writes(store=store)

    async def claimed() -> None:
        await known(writes.once, put())
        await succeed(writes.once, put())
        assert await known(writes.once, put()) == (CREATED, None)

    asyncio.run(claimed())
