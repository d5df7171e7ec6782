"""One request from its first byte to its answer: read, note, perhaps go wrong, check, carry out, deliver."""

import uuid
from dataclasses import dataclass, field
from typing import Final

from gateway.emulator import (
    blobs,
    control,
    event_routes_api,
    issuer,
    jobs_api,
    models_api,
    query_api,
    relationships_api,
    twins_api,
)
from gateway.emulator.arrival import Arrival, arrived
from gateway.emulator.clock import Clock, utc_now
from gateway.emulator.delivery import Gone, Receive, Scope, Send, Wire
from gateway.emulator.exchange import Answer, Call, ServiceError
from gateway.emulator.guards import check
from gateway.emulator.issuer import ForeignTenant
from gateway.emulator.journal import Entry
from gateway.emulator.routing import Router
from gateway.emulator.settings import EmulatorSettings
from gateway.emulator.state import State, new_state
from gateway.emulator.strange import sub_domain_not_found

ROUTER: Final = Router(
    control.ROUTES
    + jobs_api.ROUTES
    + models_api.ROUTES
    + twins_api.ROUTES
    + relationships_api.ROUTES
    + event_routes_api.ROUTES
    + query_api.ROUTES
    + blobs.ROUTES
    + issuer.ROUTES
)


@dataclass(frozen=True, slots=True)
class Emulator:
    """An instance of the service: `app` is the ASGI application, `state` all its data."""

    state: State = field(repr=False)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or close its connection where a fault says so."""
        wire = Wire.of(scope, receive, send, self.state.closing)
        try:
            arrival = await arrived(scope, receive, self.state.settings.max_body)
            if arrival.path.startswith(control.PREFIX):
                await wire.deliver(identified(self._carry_out(arrival)))
            else:
                await self._answer(arrival, wire)
        except Gone:
            await wire.close(reset=False)

    async def _answer(self, arrival: Arrival, wire: Wire) -> None:
        entry = self._note(arrival)
        fault = self.state.faults.take(arrival.method, arrival.origin_form)
        if fault is None:
            answer = identified(self._carry_out(arrival))
            entry.status, entry.request_id = answer.status, request_id(answer)
            await wire.deliver(answer)
            return
        answer = identified(fault.shape(self._carry_out(arrival) if fault.carries_out else Answer(200)))
        if fault.delay:
            await wire.wait(fault.delay)
        entry.request_id = request_id(answer)
        entry.status = answer.status if fault.sends_head else None
        await wire.spoil(answer, fault)

    def _note(self, arrival: Arrival) -> Entry:
        return self.state.journal.add(
            arrival.body or b"",
            time=self.state.clock(),
            peer=arrival.peer,
            method=arrival.method,
            target=arrival.target,
            http_version=arrival.http_version,
            route=ROUTER.label(arrival.method, arrival.path),
            headers=list(arrival.headers),
        )

    def _carry_out(self, arrival: Arrival) -> Answer:
        try:
            return self._operation(arrival)
        except ForeignTenant:
            return sub_domain_not_found()
        except ServiceError as error:
            return error.answer()

    def _operation(self, arrival: Arrival) -> Answer:
        if arrival.body is None:
            raise ServiceError(
                413, "RequestEntityTooLarge", "The request body is larger than the emulator allows."
            )
        route, parameters = ROUTER.find(arrival.method, arrival.path)
        call = Call(
            state=self.state,
            method=arrival.method,
            path=arrival.path,
            query_string=arrival.query_string,
            headers=arrival.headers,
            body=arrival.body,
            base_url=self.state.settings.public_url or arrival.base_url,
            parameters=parameters,
        )
        check(route.guard, call)
        self.state.jobs.settle(self.state.clock())
        return route.handler(call)


def identified(answer: Answer) -> Answer:
    """The answer with an `x-ms-request-id`, unless a fault has given it one."""
    if request_id(answer) is None:
        answer.headers.append(("x-ms-request-id", str(uuid.uuid4())))
    return answer


def request_id(answer: Answer) -> str | None:
    """The answer's `x-ms-request-id`."""
    return next((value for name, value in answer.headers if name.lower() == "x-ms-request-id"), None)


def create_emulator(settings: EmulatorSettings | None = None, *, clock: Clock = utc_now) -> Emulator:
    """An empty instance with these settings and this clock."""
    return Emulator(new_state(settings or EmulatorSettings(), clock))
