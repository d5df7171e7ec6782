"""`/_emulator/...`: read what arrived, set faults, change settings, begin anew. No token is asked for."""

from typing import Final

import msgspec

from gateway.emulator.exchange import Answer, Call, ServiceError, json_answer, whole_number
from gateway.emulator.faults import BadFault, Fault
from gateway.emulator.routing import Guard, Route
from gateway.emulator.strange import NAMED

PREFIX: Final = "/_emulator/"


def get_index(_: Call) -> Answer:
    """These operations."""
    told = [
        (f"{route.method} {route.template}", (route.handler.__doc__ or "").split("\n")[0]) for route in ROUTES
    ]
    return json_answer(200, {"operations": dict(told)})


def get_requests(call: Call) -> Answer:
    """What arrived: `total`, `counts` per route, `requests` oldest first. Control requests are not
    counted.
    """
    journal = call.state.journal
    return json_answer(200, {"total": journal.total, "counts": journal.counts, "requests": journal.entries})


def delete_requests(call: Call) -> Answer:
    """Forget what arrived: 204."""
    call.state.journal.clear()
    return Answer(204)


def get_faults(call: Call) -> Answer:
    """The faults that are set, with how often each was hit and is left; and the kinds there are."""
    shown = [active.shown() for active in call.state.faults.all()]
    return json_answer(200, {"faults": shown, "kinds": [name for name, _ in NAMED]})


def add_fault(call: Call) -> Answer:
    """Set a fault: 201 with its `id`; 400 `InvalidFault` says what is wrong with it. Fields: see
    `faults.Fault`.
    """
    try:
        active = call.state.faults.add(msgspec.json.decode(call.body, type=Fault))
    except (msgspec.MsgspecError, BadFault) as error:
        raise ServiceError(400, "InvalidFault", str(error)) from error
    return json_answer(201, active.shown())


def delete_faults(call: Call) -> Answer:
    """Remove all faults: 204."""
    call.state.faults.clear()
    return Answer(204)


def delete_fault(call: Call) -> Answer:
    """Remove one fault: 204, or 404."""
    number = whole_number(call.parameters["id"])
    if number is None or not call.state.faults.remove(number):
        raise ServiceError(404, "FaultNotFound", "There is no fault with this id.")
    return Answer(204)


def get_settings(call: Call) -> Answer:
    """The settings in force, without the client's secret."""
    return json_answer(200, call.state.settings.shown())


def change_settings(call: Call) -> Answer:
    """Change some settings: 200 with all; 400 `InvalidSetting` says what cannot be."""
    try:
        call.state.settings = call.state.settings.changed(call.json_object("InvalidSetting"))
    except ValueError as error:
        raise ServiceError(400, "InvalidSetting", str(error)) from error
    return get_settings(call)


def revoke_tokens(call: Call) -> Answer:
    """Refuse every token issued so far: 204."""
    call.state.issuer.revoke()
    return Answer(204)


def reset(call: Call) -> Answer:
    """Begin anew, with no data, faults or journal and the settings of the start: 204."""
    call.state.reset()
    return Answer(204)


ROUTES: Final = (
    Route("GET", PREFIX, get_index, Guard.OPEN),
    Route("GET", "/_emulator/requests", get_requests, Guard.OPEN),
    Route("DELETE", "/_emulator/requests", delete_requests, Guard.OPEN),
    Route("GET", "/_emulator/faults", get_faults, Guard.OPEN),
    Route("POST", "/_emulator/faults", add_fault, Guard.OPEN),
    Route("DELETE", "/_emulator/faults", delete_faults, Guard.OPEN),
    Route("DELETE", "/_emulator/faults/{id}", delete_fault, Guard.OPEN),
    Route("GET", "/_emulator/settings", get_settings, Guard.OPEN),
    Route("POST", "/_emulator/settings", change_settings, Guard.OPEN),
    Route("POST", "/_emulator/revoke-tokens", revoke_tokens, Guard.OPEN),
    Route("POST", "/_emulator/reset", reset, Guard.OPEN),
)
