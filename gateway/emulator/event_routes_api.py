"""`/eventroutes`: kept and given back; no event is ever sent."""

from typing import Final

from gateway.emulator.exchange import Answer, Call, ServiceError, json_answer, page_answer
from gateway.emulator.routing import Route


def list_routes(call: Call) -> Answer:
    """EventRoutes_List: 200, paged."""
    return page_answer(call, list(call.state.event_routes.values()))


def get_route(call: Call) -> Answer:
    """EventRoutes_GetById: 200; 404 EventRouteNotFound."""
    return json_answer(200, found(call))


def put_route(call: Call) -> Answer:
    """EventRoutes_Add: 204; 400 EventRouteEndpointInvalid, EventRouteFilterInvalid. Any endpoint
    name exists.
    """
    body, route_id = call.json_object(), call.parameters["id"]
    endpoint, condition = body.get("endpointName"), body.get("filter")
    if not (isinstance(endpoint, str) and endpoint):
        raise ServiceError(400, "EventRouteEndpointInvalid", "endpointName is required.")
    if not isinstance(condition, str):
        raise ServiceError(400, "EventRouteFilterInvalid", "filter is required.")
    call.state.event_routes[route_id] = {"id": route_id, "endpointName": endpoint, "filter": condition}
    return Answer(204)


def delete_route(call: Call) -> Answer:
    """EventRoutes_Delete: 204; 404 EventRouteNotFound."""
    del call.state.event_routes[found(call)["id"]]
    return Answer(204)


def found(call: Call) -> dict[str, str]:
    """The event route of the path. Raises 404 EventRouteNotFound."""
    route = call.state.event_routes.get(call.parameters["id"])
    if route is None:
        message = f"There is no event route with the id '{call.parameters['id']}'."
        raise ServiceError(404, "EventRouteNotFound", message)
    return route


ROUTES: Final = (
    Route("GET", "/eventroutes", list_routes),
    Route("GET", "/eventroutes/{id}", get_route),
    Route("PUT", "/eventroutes/{id}", put_route),
    Route("DELETE", "/eventroutes/{id}", delete_route),
)
