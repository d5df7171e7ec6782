"""Questions to a gateway over real sockets: what is sent, and the one line for each way it can go wrong."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trustme

from gateway.console.client import Admin, Cancelled, Failure, Listing, Refused, Silent, Unknown, cancel
from gateway.console.job import Job
from gateway.console.reach import BadUsage, Reach
from tests.support import faults
from tests.support.console import told
from tests.support.upstream import Behaviour, FaultUpstream, fault_upstream

SECRET = "hunter2-hunter2"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
RAW = dict(told().raw)
DONE = dict(told("two", "succeeded", kind="deletion").raw)
T = TypeVar("T")


@pytest.fixture
async def listener() -> AsyncIterator[FaultUpstream]:
    """Something that listens where a gateway should, and answers as a test wants."""
    async with fault_upstream() as running:
        yield running


def says(body: object, status: int = 200) -> Behaviour:
    """An answer of this JSON."""
    return faults.reply(status, json.dumps(body).encode(), [(b"Content-Type", b"application/json")])


def error(code: str, message: str = "Because.") -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


async def ask(
    listener: FaultUpstream, question: Callable[[Admin], T], secret: bytes | None = None, patience: float = 10
) -> T:
    """The answer to a question to the admin listener, which is asked from a thread."""

    def asking() -> T:
        with Admin(Reach(listener.origin, b"authorization", secret), patience) as admin:
            return question(admin)

    return await asyncio.to_thread(asking)


async def listed(listener: FaultUpstream) -> Listing:
    return await ask(listener, Admin.jobs)


async def one(listener: FaultUpstream, job_id: str = "one") -> Job:
    return await ask(listener, lambda admin: admin.job("import", job_id))


async def cancelled(listener: FaultUpstream, job_id: str = "one", patience: float = 10) -> Cancelled:
    reach = Reach(listener.origin, b"x-gateway-key", SECRET.encode())
    return await asyncio.to_thread(cancel, reach, job_id, patience)


async def failure(answer: Awaitable[object]) -> Failure:
    """How it failed; the one line holds no secret and nothing that does not print."""
    with pytest.raises(Failure) as raised:
        await answer
    assert str(raised.value).isprintable()
    assert SECRET not in str(raised.value)
    return raised.value


async def test_the_list(listener: FaultUpstream) -> None:
    """The choice goes to the gateway as it is, and the answer's jobs and total come back."""
    listener.on("/api/jobs", says({"value": [RAW], "total": 7}))
    listing = await ask(listener, lambda admin: admin.jobs(("import",), ("running", "failed"), 5))
    assert listener.last.target == b"/api/jobs?kind=import&status=running&status=failed&limit=5"
    assert ([job.raw for job in listing.jobs], listing.total) == ([RAW], 7)
    assert listener.last.values(b"authorization") == []
    await listed(listener)
    assert listener.last.target == b"/api/jobs?limit=1000"


async def test_an_older_gateway_knows_no_choice(listener: FaultUpstream) -> None:
    """Where the answer holds what was not asked for, the choice is made here."""
    listener.on("/api/jobs", says({"value": [RAW, DONE, DONE], "total": 3}))
    listing = await ask(listener, lambda admin: admin.jobs(("deletion",), ("succeeded",), 1))
    assert ([job.raw for job in listing.jobs], listing.total) == ([DONE], 2)


@pytest.mark.parametrize(
    ("job_id", "segment"),
    [
        ("one", b"one"), ("j 1/é", b"j%201%2F%C3%A9"), ("..", b"%2E%2E"), (".", b"%2E"), ("a.b", b"a.b"),
        ("a/../b", b"a%2F..%2Fb"), ("100%", b"100%25"), ("a?b#c", b"a%3Fb%23c"), ("\x1b[2J", b"%1B%5B2J"),
        ("%2e%2e", b"%252e%252e"),
    ],
)  # fmt: skip
async def test_an_id_is_one_segment(listener: FaultUpstream, job_id: str, segment: bytes) -> None:
    """Whatever an id holds, it arrives as it is, and nothing of it is taken for a part of the path."""
    listener.default = says(told(job_id).raw)
    assert (await one(listener, job_id)).id == job_id
    assert listener.last.target == b"/api/jobs/import/" + segment
    await cancelled(listener, job_id)
    assert listener.last.target == b"/jobs/imports/" + segment + b"/cancel?api-version=2023-10-31"


@pytest.mark.parametrize("job_id", ["", "\udcff", "x" * 8_001])
async def test_what_is_no_id(listener: FaultUpstream, job_id: str) -> None:
    """What cannot stand in a URL is not sent."""
    for asking in (one, cancelled):
        with pytest.raises(BadUsage, match=r"^ID must "):
            await asking(listener, job_id)
    assert listener.requests == []


async def test_the_token_is_sent(listener: FaultUpstream) -> None:
    """`admin.token` goes as a bearer token, byte for byte, and nowhere after a redirect."""
    away = faults.reply(302, b"", [(b"Location", f"{listener.origin}/other".encode())])
    listener.on("/api/jobs", away)
    token = f"Bearer {SECRET}-ü".encode()
    assert "HTTP 302" in str(await failure(ask(listener, Admin.jobs, token)))
    assert [request.values(b"authorization") for request in listener.requests] == [[token]]


async def test_nobody_listens() -> None:
    """A gateway that is not running is one line with the address and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reach = Reach(f"http://127.0.0.1:{port}", b"x-gateway-key", SECRET.encode())
    with pytest.raises(Silent, match=f"^No gateway answers at http://127.0.0.1:{port} .*--admin"):
        await asyncio.to_thread(lambda: Admin(reach).jobs())
    with pytest.raises(Silent, match=f"^No gateway answers at http://127.0.0.1:{port} .*--gateway"):
        await asyncio.to_thread(cancel, reach, "one")


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (faults.cut(), "does not answer as a gateway does"),
        (faults.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "does not answer as a gateway does"),
        (faults.reply(200, b"<html>"), "no adt-gateway, or one of another version"),
        (faults.reply(200, b"[" * 100_000), "no adt-gateway, or one of another version"),
        (says(None), "no adt-gateway, or one of another version"),
        (says({"value": 5}), "no adt-gateway, or one of another version"),
        (says({"value": [{"id": "x"}], "total": 1}), "no adt-gateway, or one of another version"),
        (faults.reply(404, b"<html>"), "no adt-gateway, or one of another version (HTTP 404)"),
        (says(error("NotFound", "No such resource."), 404), "NotFound: No such resource. (HTTP 404)"),
        (says(error("GatewayMisdirected", "A\x1b[2J"), 421), "GatewayMisdirected: A\\x1b[2J (HTTP 421)"),
        (says(error("GatewayForbidden"), 403), "to its own machine, or with its admin.token: set"),
        (says(error("GatewayUnauthorized"), 401), "to its own machine, or with its admin.token: set"),
    ],
)
async def test_answers_that_are_no_list(listener: FaultUpstream, behaviour: Behaviour, told: str) -> None:
    """Whatever listens there and however it answers, it is one line."""
    listener.default = behaviour
    assert told in str(await failure(ask(listener, Admin.jobs)))


async def test_silence(listener: FaultUpstream) -> None:
    """Where no answer comes in time it is said, and of a cancel that it may have been sent on."""
    listener.default = faults.never()
    silent = await failure(ask(listener, Admin.jobs, patience=0.2))
    assert str(silent) == f"The gateway at {listener.origin} did not answer in time."
    unsure = await failure(cancelled(listener, patience=0.2))
    assert "(ReadTimeout): whether the job is being cancelled is not known" in str(unsure)
    assert not isinstance(unsure, Silent)


async def test_a_token_that_is_not_the_gateways(listener: FaultUpstream) -> None:
    """A token that is refused, or that cannot be sent, is said to be, and not repeated."""
    listener.default = says(error("GatewayUnauthorized"), 401)
    question = ask(listener, Admin.jobs, f"Bearer {SECRET}".encode())
    assert "does not take this admin.token" in str(await failure(question))
    broken = ask(listener, Admin.jobs, f"Bearer {SECRET}\r\nx: y".encode())
    assert "LocalProtocolError" in str(await failure(broken))


async def test_a_job_that_is_not_known(listener: FaultUpstream) -> None:
    """A 404 of the gateway's says that it knows no such job; one of somebody else's says who answers."""
    listener.default = says(error("NotFound"), 404)
    with pytest.raises(Unknown, match=r"^The gateway knows no import job x\\x1b\.$"):
        await one(listener, "x\x1b")
    listener.default = faults.reply(404, b"")
    unknown = await failure(one(listener))
    assert not isinstance(unknown, Unknown)


async def test_a_cancel(listener: FaultUpstream) -> None:
    """One POST with the key; of the answer the blob URIs, which may hold a SAS, are left out."""
    job = {"id": "one", "status": "cancelling", "inputBlobUri": "https://b/?sig=s", "error": None}
    trace = (b"traceresponse", f"00-{TRACE}-00f067aa0ba902b7-01".encode())
    listener.default = faults.reply(200, json.dumps(job).encode(), [trace])
    answer = await cancelled(listener)
    assert (answer.job, answer.trace_id) == ({"id": "one", "status": "cancelling", "error": None}, TRACE)
    assert (listener.last.method, listener.last.size) == (b"POST", 0)
    assert listener.last.values(b"x-gateway-key") == [SECRET.encode()]


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (faults.cut(), "(RemoteProtocolError): whether the job is being cancelled is not known"),
        (says([]), "HTTP 200 without a job"),
        (faults.reply(502, b"<html>"), "no adt-gateway, or one of another version (HTTP 502); --gateway"),
    ],
)
async def test_a_cancel_without_a_proper_answer(
    listener: FaultUpstream, behaviour: Behaviour, told: str
) -> None:
    """Where it may have been sent on and no answer came, that is said; it is never sent again."""
    listener.default = behaviour
    assert told in str(await failure(cancelled(listener)))
    assert len(listener.requests) == 1


async def test_a_cancel_that_is_refused(listener: FaultUpstream) -> None:
    """An error has its code, its message and its status."""
    listener.default = says(error("ValidationFailed", "The job is succeeded."), 400)
    refused = await failure(cancelled(listener))
    assert isinstance(refused, Refused)
    assert str(refused) == "ValidationFailed: The job is succeeded. (HTTP 400)"
    assert refused.error == {"code": "ValidationFailed", "message": "The job is succeeded."}


async def test_tls(tmp_path: Path) -> None:
    """An https gateway is trusted by the CA that is named, and not without it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with fault_upstream(says({"status": "cancelling"}), tls=authority) as listener:
        trusting = Reach(listener.origin, ca_file=tmp_path / "ca.pem")
        assert (await asyncio.to_thread(cancel, trusting, "one")).job == {"status": "cancelling"}
        with pytest.raises(Failure, match=r"is not accepted .*--ca-file FILE .* or SSL_CERT_FILE=FILE"):
            await asyncio.to_thread(cancel, Reach(listener.origin), "one")
        with (
            pytest.raises(Failure, match=r"name its CA with SSL_CERT_FILE=FILE"),
            Admin(Reach(listener.origin)) as admin,
        ):
            await asyncio.to_thread(admin.jobs)
        with pytest.raises(BadUsage, match=r"^--ca-file: no certificate can be read from it"):
            await asyncio.to_thread(cancel, Reach(listener.origin, ca_file=tmp_path / "none"), "one")
    async with fault_upstream(tls=authority, host="127.0.0.2") as listener:
        elsewhere = Reach(f"https://127.0.0.2:{listener.port}", ca_file=tmp_path / "ca.pem")
        with pytest.raises(Failure, match=r"--gateway must name it by a host that the certificate is for"):
            await asyncio.to_thread(cancel, elsewhere, "one")
