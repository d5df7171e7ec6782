"""`/digitaltwins/{id}/relationships` and `incomingrelationships`."""

from typing import Final
from urllib.parse import quote

from gateway.emulator.exchange import Answer, Call, page_answer
from gateway.emulator.json_patch import apply_patch
from gateway.emulator.routing import Route
from gateway.emulator.twins_api import require_absent, require_match, with_etag


def list_relationships(call: Call) -> Answer:
    """DigitalTwins_ListRelationships: 200, paged; `relationshipName` filters; 404 DigitalTwinNotFound."""
    graph, twin_id, name = call.state.graph, call.parameters["id"], call.query("relationshipName")
    graph.twin(twin_id)
    mine = [item for (source, _), item in graph.relationships.items() if source == twin_id]
    return page_answer(call, [item for item in mine if name in (None, item["$relationshipName"])])


def list_incoming(call: Call) -> Answer:
    """DigitalTwins_ListIncomingRelationships: 200, paged; 404 DigitalTwinNotFound."""
    graph, twin_id = call.state.graph, call.parameters["id"]
    graph.twin(twin_id)
    found = [item for item in graph.relationships.values() if item["$targetId"] == twin_id]
    return page_answer(call, [incoming(item) for item in found])


def get_relationship(call: Call) -> Answer:
    """DigitalTwins_GetRelationshipById: 200; 404 DigitalTwinNotFound, RelationshipNotFound."""
    return with_etag(
        200, call.state.graph.relationship(call.parameters["id"], call.parameters["relationshipId"])
    )


def put_relationship(call: Call) -> Answer:
    """DigitalTwins_AddRelationship: 200; 400; 404 TargetTwinNotFound; 412."""
    graph, key = call.state.graph, (call.parameters["id"], call.parameters["relationshipId"])
    require_absent(call, graph.relationships.get(key))
    return with_etag(200, graph.put_relationship(*key, call.json_object()))


def patch_relationship(call: Call) -> Answer:
    """DigitalTwins_UpdateRelationship: 204 with the new ETag; 400 JsonPatchInvalid; 404; 412."""
    graph, key = call.state.graph, (call.parameters["id"], call.parameters["relationshipId"])
    relationship = graph.relationship(*key)
    require_match(call, relationship)
    patched = apply_patch(relationship, call.json("JsonPatchInvalid"))
    return Answer(204, [("ETag", graph.put_relationship(*key, patched)["$etag"])])


def delete_relationship(call: Call) -> Answer:
    """DigitalTwins_DeleteRelationship: 204; 404; 412."""
    graph, key = call.state.graph, (call.parameters["id"], call.parameters["relationshipId"])
    require_match(call, graph.relationship(*key))
    del graph.relationships[key]
    return Answer(204)


def incoming(item: dict[str, str]) -> dict[str, str]:
    """`IncomingRelationship` of the REST reference."""
    source, relationship_id = item["$sourceId"], item["$relationshipId"]
    link = f"/digitaltwins/{quote(source, safe='')}/relationships/{quote(relationship_id, safe='')}"
    return {
        "$relationshipId": relationship_id,
        "$sourceId": source,
        "$relationshipName": item["$relationshipName"],
        "$relationshipLink": link,
    }


ROUTES: Final = (
    Route("GET", "/digitaltwins/{id}/relationships", list_relationships),
    Route("GET", "/digitaltwins/{id}/incomingrelationships", list_incoming),
    Route("GET", "/digitaltwins/{id}/relationships/{relationshipId}", get_relationship),
    Route("PUT", "/digitaltwins/{id}/relationships/{relationshipId}", put_relationship),
    Route("PATCH", "/digitaltwins/{id}/relationships/{relationshipId}", patch_relationship),
    Route("DELETE", "/digitaltwins/{id}/relationships/{relationshipId}", delete_relationship),
)
