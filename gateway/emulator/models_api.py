"""`/models`: upload, read, decommission and delete models."""

from typing import Any, Final

from gateway.emulator.clock import zulu_time
from gateway.emulator.exchange import Answer, Call, ServiceError, json_answer, page_answer
from gateway.emulator.graph import MAX_MODELS, StoredModel
from gateway.emulator.routing import Route


def add_models(call: Call) -> Answer:
    """DigitalTwinModels_Add: 201; 400 DTDLParserError, LimitExceeded; 409 ModelAlreadyExists."""
    body = call.json("DTDLParserError")
    if not isinstance(body, list):
        raise ServiceError(400, "InvalidArgument", "The body must be an array of models.")
    if len(body) > MAX_MODELS:
        raise ServiceError(400, "LimitExceeded", f"At most {MAX_MODELS} models are taken at a time.")
    added = call.state.graph.add_models(body, call.state.clock())
    return json_answer(201, [described(stored, whole=False) for stored in added])


def list_models(call: Call) -> Answer:
    """DigitalTwinModels_List: 200, paged; `dependenciesFor` limits it to some models and all they
    refer to.
    """
    graph = call.state.graph
    asked = [value for name, value in call.pairs() if name == "dependenciesFor"]
    wanted: set[str] = set()
    waiting = list(asked)
    while waiting:
        model_id = waiting.pop()
        if model_id not in wanted:
            wanted.add(model_id)
            waiting.extend(found(call, model_id).model.references)
    models = [stored for model_id, stored in graph.models.items() if not asked or model_id in wanted]
    return page_answer(call, [described(stored, whole=whole(call)) for stored in models])


def get_model(call: Call) -> Answer:
    """DigitalTwinModels_GetById: 200; 404 ModelNotFound."""
    return json_answer(200, described(found(call, call.parameters["id"]), whole=whole(call)))


def decommission(call: Call) -> Answer:
    """DigitalTwinModels_Update: 204; the one patch there is replaces `/decommissioned`; 400
    JsonPatchInvalid.
    """
    stored = found(call, call.parameters["id"])
    match call.json("JsonPatchInvalid"):
        case [{"op": "replace", "path": "/decommissioned", "value": bool(value)}]:
            stored.decommissioned = value
        case _:
            message = "The patch must be one replace of /decommissioned with true or false."
            raise ServiceError(400, "JsonPatchInvalid", message)
    return Answer(204)


def delete_model(call: Call) -> Answer:
    """DigitalTwinModels_Delete: 204; 404 ModelNotFound; 409 ModelReferencesNotDeleted."""
    models, model_id = call.state.graph.models, found(call, call.parameters["id"]).model.id
    users = [other for other, stored in models.items() if model_id in stored.model.references]
    if users:
        raise ServiceError(
            409, "ModelReferencesNotDeleted", f"The model is referred to by {', '.join(users)}."
        )
    del models[model_id]
    return Answer(204)


def found(call: Call, model_id: str) -> StoredModel:
    """The model. Raises 404 ModelNotFound."""
    stored = call.state.graph.models.get(model_id)
    if stored is None:
        raise ServiceError(404, "ModelNotFound", f"There is no model with the id '{model_id}'.")
    return stored


def whole(call: Call) -> bool:
    """Whether definitions are asked for."""
    return (call.query("includeModelDefinition") or "").lower() == "true"


def described(stored: StoredModel, *, whole: bool) -> dict[str, Any]:
    """`DigitalTwinsModelData` of the REST reference."""
    definition = stored.model.definition
    body: dict[str, Any] = {
        "id": stored.model.id,
        "displayName": texts(definition.get("displayName")),
        "description": texts(definition.get("description")),
        "uploadTime": zulu_time(stored.uploaded),
        "decommissioned": stored.decommissioned,
    }
    return {**body, "model": definition} if whole else body


def texts(value: Any) -> dict[str, str]:
    """A language map; a plain text is English."""
    if isinstance(value, dict):
        return value
    return {"en": value} if isinstance(value, str) else {}


ROUTES: Final = (
    Route("POST", "/models", add_models),
    Route("GET", "/models", list_models),
    Route("GET", "/models/{id}", get_model),
    Route("PATCH", "/models/{id}", decommission),
    Route("DELETE", "/models/{id}", delete_model),
)
