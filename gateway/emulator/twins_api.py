"""`/digitaltwins/{id}`: twins, their components and telemetry, with ETags."""

from typing import Any, Final

from gateway.emulator.exchange import Answer, Call, ServiceError, json_answer
from gateway.emulator.json_patch import apply_patch
from gateway.emulator.routing import Route


def get_twin(call: Call) -> Answer:
    """DigitalTwins_GetById: 200; 404 DigitalTwinNotFound."""
    return with_etag(200, call.state.graph.twin(call.parameters["id"]))


def put_twin(call: Call) -> Answer:
    """DigitalTwins_Add: 200 with the twin; 400; 412 PreconditionFailed for `If-None-Match: *` and an existing
    twin.
    """
    graph, twin_id = call.state.graph, call.parameters["id"]
    require_absent(call, graph.twins.get(twin_id))
    return with_etag(200, graph.put_twin(twin_id, call.json_object(), call.state.clock()))


def patch_twin(call: Call) -> Answer:
    """DigitalTwins_Update: 204 with the new ETag; 400 JsonPatchInvalid, ValidationFailed; 404; 412."""
    graph, twin_id = call.state.graph, call.parameters["id"]
    twin = graph.twin(twin_id)
    require_match(call, twin)
    patched = apply_patch(twin, call.json("JsonPatchInvalid"))
    return Answer(204, [("ETag", graph.put_twin(twin_id, patched, call.state.clock())["$etag"])])


def delete_twin(call: Call) -> Answer:
    """DigitalTwins_Delete: 204; 400 RelationshipsNotDeleted; 404; 412."""
    graph, twin_id = call.state.graph, call.parameters["id"]
    require_match(call, graph.twin(twin_id))
    graph.delete_twin(twin_id)
    return Answer(204)


def get_component(call: Call) -> Answer:
    """DigitalTwins_GetComponent: 200; 404 ComponentNotFound. The ETag is the twin's."""
    graph, twin_id = call.state.graph, call.parameters["id"]
    component = graph.component(twin_id, call.parameters["componentPath"])
    return json_answer(200, component, [("ETag", graph.twin(twin_id)["$etag"])])


def patch_component(call: Call) -> Answer:
    """DigitalTwins_UpdateComponent: 204 with the twin's new ETag; 400; 404; 412."""
    graph, twin_id, path = call.state.graph, call.parameters["id"], call.parameters["componentPath"]
    component, twin = graph.component(twin_id, path), graph.twin(twin_id)
    require_match(call, twin)
    patched = {**twin, path: apply_patch(component, call.json("JsonPatchInvalid"))}
    return Answer(204, [("ETag", graph.put_twin(twin_id, patched, call.state.clock())["$etag"])])


def send_telemetry(call: Call) -> Answer:
    """DigitalTwins_SendTelemetry: 204; `Message-Id` is required; nothing is kept but the journal's entry."""
    call.state.graph.twin(call.parameters["id"])
    if not call.header("Message-Id"):
        raise ServiceError(400, "InvalidArgument", "The Message-Id header is required.")
    call.json()
    return Answer(204)


def send_component_telemetry(call: Call) -> Answer:
    """DigitalTwins_SendComponentTelemetry: 204; 404 ComponentNotFound."""
    call.state.graph.component(call.parameters["id"], call.parameters["componentPath"])
    return send_telemetry(call)


def require_match(call: Call, entity: dict[str, Any]) -> None:
    """Raises 412 unless `If-Match` is absent, `*` or the entity's ETag (RFC 9110, section 13.1.1)."""
    wanted = call.header("If-Match")
    if wanted not in (None, "*", entity["$etag"]):
        raise ServiceError(412, "PreconditionFailed", "The ETag in If-Match is not that of the entity.")


def require_absent(call: Call, entity: dict[str, Any] | None) -> None:
    """Raises 412 when `If-None-Match` is `*` or the ETag of an entity that exists."""
    wanted = call.header("If-None-Match")
    if entity is not None and wanted in ("*", entity["$etag"]):
        raise ServiceError(412, "PreconditionFailed", "The entity exists, and If-None-Match excludes it.")


def with_etag(status: int, entity: dict[str, Any]) -> Answer:
    """An answer with the entity and its ETag as a header too."""
    return json_answer(status, entity, [("ETag", entity["$etag"])])


ROUTES: Final = (
    Route("GET", "/digitaltwins/{id}", get_twin),
    Route("PUT", "/digitaltwins/{id}", put_twin),
    Route("PATCH", "/digitaltwins/{id}", patch_twin),
    Route("DELETE", "/digitaltwins/{id}", delete_twin),
    Route("POST", "/digitaltwins/{id}/telemetry", send_telemetry),
    Route("GET", "/digitaltwins/{id}/components/{componentPath}", get_component),
    Route("PATCH", "/digitaltwins/{id}/components/{componentPath}", patch_component),
    Route("POST", "/digitaltwins/{id}/components/{componentPath}/telemetry", send_component_telemetry),
)
