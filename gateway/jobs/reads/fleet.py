"""Reads shared by all gateways of a fleet: one upstream request for a read that many of them want.

What one gateway is answered it tells the others, which keep it for as long as it is fresh. Who finds nothing
asks the fleet who is to go; one leads, the others wait for what it tells. A page answers for every job on it.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from gateway.config import Jobs
from gateway.jobs.governor import Governor, Timers
from gateway.jobs.peers import Peers
from gateway.jobs.reads.answer import ReadAnswer
from gateway.jobs.reads.flight import Flight
from gateway.jobs.reads.freshness import JOINED, freshness
from gateway.jobs.reads.heard import Heard
from gateway.jobs.reads.names import Names
from gateway.jobs.reads.question import Question
from gateway.jobs.reads.shelf import Shelf
from gateway.jobs.reads.telling import to_bytes
from gateway.jobs.reads.wants import Wants

_OF_ONE: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
"""What a gateway is answered for itself: nobody is told, the lead is given back, and another one asks."""
_HEAD_ROOM: Final = 65_536
"""Bytes of headers that may come on top of the largest body."""


class FleetReads:
    """What the other gateways read, and who reads next.

    `largest` is the most bytes a body may have to be told; `forgotten` is called when another gateway has
    sent a write.
    """

    def __init__(
        self,
        peers: Peers,
        governor: Governor,
        settings: Jobs,
        *,
        largest: int,
        timers: Timers,
        chance: random.Random,
        forgotten: Callable[[], None],
    ) -> None:
        self._peers = peers
        self._governor = governor
        self._settings = settings
        self._largest = largest + _HEAD_ROOM
        self._timers = timers
        self._chance = chance
        self._forgotten = forgotten
        self._wants = Wants(peers, timers)
        self._board: Shelf[str, Heard] = Shelf()
        self._questions: dict[str, Question] = {}
        self._pursued: dict[Flight, Question] = {}
        self._waiting: dict[str, list[Flight]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._forgot_at = float("-inf")
        peers.listen("read", self._hear)
        peers.listen("released", self._hear_released)
        peers.listen("forget", self._hear_forget)
        peers.on_return(self._look_again)

    @property
    def away(self) -> bool:
        """Whether every gateway reads for itself now."""
        return self._peers.away

    def kept(self, names: Names, kind: str, job_id: str | None) -> ReadAnswer | None:
        """A fresh answer of another gateway's, or what a page that came here says beyond who asked for it."""
        now = self._timers.time()
        for name in names:
            heard = None if name is None else self._board.get(name, now)
            part = None if heard is None else heard.part(names.own, kind, job_id)
            if part is None or part.status != HTTPStatus.OK:
                continue
            if now - part.sent_at < freshness(self._settings, kind, part.job_status):
                return part
        return None

    def oldest(self, now: float) -> float:
        """The moment from which on an answer must have been sent to be of use to who asks now."""
        return max(self._forgot_at, now - max(JOINED, self._settings.max_staleness))

    @contextmanager
    def asking(self, flight: Flight, names: Names, lead: Callable[[], None]) -> Iterator[None]:
        """From the first look to the answer; `lead` is called when it is this gateway's to get it."""
        listed = [self._waiting.setdefault(name, []) for name in names if name is not None]
        for flights in listed:
            flights.append(flight)
        question = self._questions.get(names.asked) or self._question(names.asked)
        self._pursued[flight] = question
        question.join(flight, lead)
        try:
            yield
        finally:
            for name, flights in zip(filter(None, names), listed, strict=True):
                flights.remove(flight)
                if not flights and self._waiting.get(name) is flights:
                    del self._waiting[name]
            del self._pursued[flight]
            if question.leave(flight):
                self._over(question)

    def others_want(self, names: Names | None) -> bool:
        """Whether gateways wait for other jobs of the same list."""
        return names is not None and names.group is not None and self._wants.others(names.group, names.own)

    def came(self, flight: Flight, name: str, answer: ReadAnswer, lasts: float) -> None:
        """An answer that came here, under the name of the read or the list; fresh for so many seconds."""
        if answer.rest is not None or answer.status in _OF_ONE or self._peers.away:
            return
        told = to_bytes(answer)
        if len(told) > self._largest:
            return
        now = self._timers.time()
        is_fresh = answer.status == HTTPStatus.OK and answer.sent_at > self._forgot_at
        left = max(0.0, answer.sent_at + lasts - now) if is_fresh else 0.0
        telling = asyncio.ensure_future(self._peers.publish(name, told, max(0.0, now - answer.sent_at), left))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        question = self._pursued.get(flight)
        if question is not None:
            question.told(telling, ends=question.name == name)
            if question.name == name:
                self._over(question)
        self._take(Heard(name, told, answer.sent_at))

    def forget(self) -> None:
        """A write is about to change something, or has: no answer from before is given after it."""
        self._peers.forget()
        self._forget(self._timers.time())

    async def aclose(self) -> None:
        """Tell nothing any more."""
        tasks = list(self._telling)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _question(self, name: str) -> Question:
        self._questions[name] = question = Question(
            name,
            self._peers,
            timers=self._timers,
            chance=self._chance,
            hear=lambda told, age: self._hear(name, told, age),
            want=self._want,
        )
        return question

    def _over(self, question: Question) -> None:
        if self._questions.get(question.name) is question:
            del self._questions[question.name]

    def _want(self, flight: Flight) -> None:
        if flight.names is not None and flight.names.group is not None:
            self._wants.tell(flight.names.group, flight.names.own)

    def _hear(self, name: str, told: bytes, age: float) -> None:
        self._take(Heard(name, told, self._timers.time() - age))

    def _take(self, heard: Heard) -> None:
        """Keep an answer for those who come, and give it to those who wait."""
        lasts = max(self._settings.max_staleness, self._settings.terminal_staleness)
        if lasts > 0 and heard.sent_at > self._forgot_at:
            self._board.put(heard.name, heard, heard.sent_at + lasts, self._timers.time())
        for flight in list(self._waiting.get(heard.name, ())):
            if flight.is_called is False and heard.sent_at > flight.oldest and heard.is_sound:
                flight.board(heard, self._governor)

    def _hear_released(self, name: str, _payload: bytes, _age: float) -> None:
        question = self._questions.get(name)
        if question is not None:
            question.look_again()

    def _hear_forget(self, _key: str, _payload: bytes, age: float) -> None:
        self._forget(self._timers.time() - age)
        self._forgotten()

    def _forget(self, moment: float) -> None:
        self._forgot_at = max(self._forgot_at, moment)
        self._board.clear()
        self._questions.clear()  # those who wait go on waiting; nobody joins them

    def _look_again(self) -> None:
        """Writes may have been missed as well."""
        self._forget(self._timers.time())
        self._forgotten()
        for question in set(self._pursued.values()):
            question.look_again()
