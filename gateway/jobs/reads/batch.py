"""One list request in place of several reads of one kind."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from gateway.jobs.reads.answer import ReadAnswer
from gateway.jobs.reads.page import jobs_on
from gateway.jobs.reads.request import list_exchange

if TYPE_CHECKING:
    from gateway.jobs.reads.flight import Flight


class Batch:
    """A list request that flies for several reads; it goes on while one of them is still wanted."""

    def __init__(
        self,
        flights: Sequence["Flight"],
        list_failed: Callable[[], None],
        came: Callable[[ReadAnswer], None] = lambda _: None,
    ) -> None:
        """The first flight has the turn; `list_failed` is told where the answer was no page.

        `came` is told the answer to the list request, whatever it is.
        """
        loop = asyncio.get_running_loop()
        self._aboard: dict[Flight, asyncio.Future[ReadAnswer | None]] = {
            flight: loop.create_future() for flight in flights
        }
        self._list_failed = list_failed
        self._came = came
        self.task = asyncio.ensure_future(self._fly(flights[0]))

    async def answer_for(self, flight: "Flight") -> ReadAnswer | None:
        """The flight's part of the answer; None where the list did not tell, so that it must ask by itself.

        A 429 is told to all of them. Raises what the list request raised.
        """
        try:
            return await self._aboard[flight]
        finally:
            del self._aboard[flight]
            if not self._aboard:
                self.task.cancel()

    async def _fly(self, first: "Flight") -> None:
        try:
            page = await first.fetch(list_exchange(first.exchange))
            self._came(page)
            told = self._read(page)
            if page.rest is not None:
                await page.rest.aclose()
        except Exception as error:  # noqa: BLE001 - it is the flights' to handle
            for future in self._waiting():
                future.set_exception(error)
                future.exception()  # looked at, in case its flight is ended at this moment
            return
        for flight, future in list(self._aboard.items()):
            if not future.done():
                future.set_result(told.get(flight))

    def _read(self, page: ReadAnswer) -> dict["Flight", ReadAnswer | None]:
        if page.status == HTTPStatus.TOO_MANY_REQUESTS and page.rest is None:
            return dict.fromkeys(self._aboard, replace(page, batched=True))
        ids = {flight: flight.exchange.route.job_id or "" for flight in self._aboard}
        kind = next(iter(ids)).exchange.route.job_kind or ""
        found = jobs_on(kind, page, frozenset(ids.values()))
        if found is None:
            self._list_failed()
            return {}
        return {flight: found.get(job_id) for flight, job_id in ids.items()}

    def _waiting(self) -> list["asyncio.Future[ReadAnswer | None]"]:
        return [future for future in self._aboard.values() if not future.done()]
