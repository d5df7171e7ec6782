"""Refused logins of the admin listener: one line at once, then few, and never what was shown."""

import logging
from collections.abc import Callable

import pytest

from gateway.admin.logins import Logins
from gateway.config import Admin
from tests.support.admin import ask, house

TOKEN = "admin-token-1"
GUESS = "guessed-token-1"
PEER = "10.9.8.7"


class Timers:
    """What is to be called later, and after how many seconds."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.waiting.append((seconds, call))

    def ring(self) -> None:
        """Call the one that waits."""
        ((seconds, call),) = self.waiting
        assert seconds == 10
        self.waiting.clear()
        call()


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    """Peer and count of each line."""
    return [(vars(record)["client"], vars(record)["refused"]) for record in caplog.records]


def test_many_refusals_are_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """The first is told at once, 1,000 more within ten seconds are told in one line after these."""
    timers = Timers()
    logins = Logins(timers)
    for number in range(1_001):
        logins.refused(f"10.0.0.{number % 7}")
    assert told(caplog) == [("10.0.0.0", 1)]
    timers.ring()
    assert told(caplog)[1:] == [("10.0.0.6", 1_000)]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_every_refusal_is_told_though_none_comes_after_it(caplog: pytest.LogCaptureFixture) -> None:
    """Pauses follow one another while there is something to tell; after an idle one a line comes at once."""
    timers = Timers()
    logins = Logins(timers)
    logins.refused(PEER)
    for count in (2, 3):
        for _ in range(count):
            logins.refused(PEER)
        timers.ring()
    timers.ring()
    assert told(caplog) == [(PEER, 1), (PEER, 2), (PEER, 3)]
    assert timers.waiting == []
    logins.refused(PEER)
    assert told(caplog)[3:] == [(PEER, 1)]


@pytest.mark.parametrize("credentials", [f"Bearer {GUESS}", "Basic Og==", "Negotiate x", ""])
async def test_a_wrong_token_is_told(caplog: pytest.LogCaptureFixture, credentials: str) -> None:
    """Who shows a wrong token is told by the address of its socket; no token is told, nor any header."""
    caplog.set_level(logging.DEBUG)
    settings = Admin.model_validate({"token": TOKEN})
    headers = {"authorization": credentials, "x-forwarded-for": "192.0.2.1"}
    response = await ask(house(settings).app, "/api/status", PEER, headers)
    assert response.status_code == 401
    (record,) = (record for record in caplog.records if record.name == "gateway.admin")
    assert (record.levelname, vars(record)["client"]) == ("WARNING", PEER)
    assert not any(text in str(vars(record)) for text in (GUESS, TOKEN, "192.0.2.1"))


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        (PEER, {}, 401),
        (PEER, {"authorization": f"Bearer {TOKEN}"}, 200),
        ("127.0.0.1", {"authorization": f"Bearer {GUESS}", "host": "localhost"}, 200),
        (PEER, {"authorization": f"Bearer {GUESS}", "origin": "https://evil.example"}, 403),
    ],
)
async def test_what_is_no_refused_login(
    caplog: pytest.LogCaptureFixture, peer: str, headers: dict[str, str], status: int
) -> None:
    """A browser that has yet to ask for the password, the right one, and loopback leave no line."""
    settings = Admin.model_validate({"token": TOKEN})
    assert (await ask(house(settings).app, "/api/status", peer, headers)).status_code == status
    assert not [record for record in caplog.records if record.name == "gateway.admin"]
