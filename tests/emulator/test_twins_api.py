"""Twins, components, relationships and event routes without a socket."""

from typing import Any

import httpx
import pytest

from tests.emulator.support import error_of

ROOM = "dtmi:com:example:Room;1"
VALVE = "dtmi:com:example:Valve;1"
MODELS: list[dict[str, Any]] = [
    {
        "@id": ROOM,
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;2",
        "contents": [
            {"@type": "Property", "name": "temperature", "schema": "double"},
            {"@type": ["Property", "Temperature"], "name": "name", "schema": "string"},
            {"@type": "Component", "name": "valve", "schema": VALVE},
            {"@type": "Relationship", "name": "next"},
        ],
    },
    {
        "@id": VALVE,
        "@type": "Interface",
        "@context": ["dtmi:dtdl:context;3"],
        "contents": [{"@type": "Property", "name": "open", "schema": "boolean"}],
    },
]
BODY: dict[str, Any] = {
    "$metadata": {"$model": ROOM},
    "temperature": 20,
    "valve": {"$metadata": {}, "open": True},
}


@pytest.fixture(autouse=True)
async def rooms(local: httpx.AsyncClient) -> None:
    assert (await local.post("/models", json=MODELS)).status_code == 201
    for twin in ("a", "b"):
        assert (await local.put(f"/digitaltwins/{twin}", json=BODY)).status_code == 200


async def test_twin_round_trip(local: httpx.AsyncClient) -> None:
    """A twin comes back with its id, its metadata and an ETag that the header repeats."""
    response = await local.get("/digitaltwins/a")
    twin = response.json()
    assert (twin["$dtId"], twin["temperature"], twin["valve"]["open"]) == ("a", 20, True)
    assert twin["$metadata"]["$model"] == ROOM
    assert "temperature" in twin["$metadata"]
    assert response.headers["ETag"] == twin["$etag"]
    assert twin["$etag"].startswith('W/"')
    assert (await local.delete("/digitaltwins/a")).status_code == 204
    assert error_of(await local.get("/digitaltwins/a")) == (404, "DigitalTwinNotFound")


async def test_etags_guard_writes(local: httpx.AsyncClient) -> None:
    """If-None-Match: * refuses an existing twin; If-Match takes the current ETag or *, and no other."""
    star = {"If-None-Match": "*"}
    assert error_of(await local.put("/digitaltwins/a", json=BODY, headers=star)) == (
        412,
        "PreconditionFailed",
    )
    old = (await local.get("/digitaltwins/a")).headers["ETag"]
    patch = [{"op": "replace", "path": "/temperature", "value": 21.5}]
    response = await local.patch("/digitaltwins/a", json=patch, headers={"If-Match": old})
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["ETag"] != old
    for method in ("PATCH", "DELETE"):
        late = await local.request(method, "/digitaltwins/a", json=patch, headers={"If-Match": old})
        assert error_of(late) == (412, "PreconditionFailed")
    assert (await local.patch("/digitaltwins/a", json=patch, headers={"If-Match": "*"})).status_code == 204


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"$metadata": {}}, "ValidationFailed"),
        ({**BODY, "$metadata": {"$model": "dtmi:none;1"}}, "ValidationFailed"),
        ({**BODY, "temperature": "warm"}, "ValidationFailed"),
        ({**BODY, "temperature": True}, "ValidationFailed"),
        ({**BODY, "other": 1}, "ValidationFailed"),
        ({**BODY, "valve": {"$metadata": {}, "open": 1}}, "ValidationFailed"),
        ({"$metadata": {"$model": ROOM}}, "ValidationFailed"),
        ([], "ValidationFailed"),
    ],
)
async def test_bad_twins_are_refused(local: httpx.AsyncClient, body: object, code: str) -> None:
    """A twin must fit its model."""
    assert error_of(await local.put("/digitaltwins/c", json=body)) == (400, code)
    assert (await local.get("/digitaltwins/c")).status_code == 404


async def test_bad_ids_are_refused(local: httpx.AsyncClient) -> None:
    """An id is at most 128 characters long."""
    assert error_of(await local.put(f"/digitaltwins/{'x' * 129}", json=BODY)) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "patch",
    [
        {},
        ["x"],
        [{"op": "move", "from": "/a", "path": "/b"}],
        [{"op": "replace", "path": "/none", "value": 1}],
        [{"op": "remove", "path": "/none"}],
        [{"op": "add", "path": "/temperature"}],
        [{"op": "add", "path": "temperature", "value": 1}],
        [{"op": "add", "path": "/none/deep", "value": 1}],
    ],
)
async def test_bad_patches_are_refused(local: httpx.AsyncClient, patch: object) -> None:
    """What RFC 6902 or the service does not allow is JsonPatchInvalid and changes nothing."""
    before = (await local.get("/digitaltwins/a")).json()
    assert error_of(await local.patch("/digitaltwins/a", json=patch)) == (400, "JsonPatchInvalid")
    assert (await local.get("/digitaltwins/a")).json() == before


async def test_patch_that_breaks_the_twin_is_refused(local: httpx.AsyncClient) -> None:
    """The patched twin must fit its model too; escapes in a path are undone."""
    patch = [{"op": "add", "path": "/a~1b~0c", "value": 1}]
    response = await local.patch("/digitaltwins/a", json=patch)
    assert error_of(response) == (400, "ValidationFailed")
    assert "a/b~c" in response.json()["error"]["message"]


async def test_components(local: httpx.AsyncClient) -> None:
    """A component is read and patched by its path."""
    assert (await local.get("/digitaltwins/a/components/valve")).json()["open"] is True
    patch = [{"op": "replace", "path": "/open", "value": False}]
    assert (await local.patch("/digitaltwins/a/components/valve", json=patch)).status_code == 204
    assert (await local.get("/digitaltwins/a")).json()["valve"]["open"] is False
    missing = await local.get("/digitaltwins/a/components/temperature")
    assert error_of(missing) == (404, "ComponentNotFound")


async def test_telemetry(local: httpx.AsyncClient) -> None:
    """Telemetry needs a Message-Id and an existing twin or component."""
    message = {"Message-Id": "1"}
    for path in ("/digitaltwins/a/telemetry", "/digitaltwins/a/components/valve/telemetry"):
        assert (await local.post(path, json={"noise": 1}, headers=message)).status_code == 204
        assert error_of(await local.post(path, json={})) == (400, "InvalidArgument")
    response = await local.post("/digitaltwins/c/telemetry", json={}, headers=message)
    assert error_of(response) == (404, "DigitalTwinNotFound")


async def test_relationships(local: httpx.AsyncClient) -> None:
    """Put, get, list both ways, patch and delete; a twin with relationships stays."""
    path = "/digitaltwins/a/relationships/r%2F1"
    body = {"$targetId": "b", "$relationshipName": "next", "length": 3}
    response = await local.put(path, json=body)
    assert response.status_code == 200
    assert response.json()["$relationshipId"] == "r/1"
    assert response.headers["ETag"] == response.json()["$etag"]
    assert (await local.put(path, json=body, headers={"If-None-Match": "*"})).status_code == 412
    listed = (await local.get("/digitaltwins/a/relationships", params={"relationshipName": "next"})).json()
    assert [item["$targetId"] for item in listed["value"]] == ["b"]
    incoming = (await local.get("/digitaltwins/b/incomingrelationships")).json()["value"]
    assert incoming[0]["$relationshipLink"] == "/digitaltwins/a/relationships/r%2F1"
    patch = [{"op": "replace", "path": "/length", "value": 4}]
    assert (await local.patch(path, json=patch)).status_code == 204
    assert (await local.get(path)).json()["length"] == 4
    for twin in ("a", "b"):
        assert error_of(await local.delete(f"/digitaltwins/{twin}")) == (400, "RelationshipsNotDeleted")
    assert (await local.delete(path)).status_code == 204
    assert error_of(await local.get(path)) == (404, "RelationshipNotFound")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"$targetId": "none", "$relationshipName": "next"}, 404, "TargetTwinNotFound"),
        ({"$targetId": "a", "$relationshipName": "next"}, 400, "OperationNotAllowed"),
        ({"$targetId": "b", "$relationshipName": "other"}, 400, "InvalidRelationship"),
        ({"$targetId": "b"}, 400, "ValidationFailed"),
    ],
)
async def test_bad_relationships(
    local: httpx.AsyncClient, body: dict[str, str], status: int, code: str
) -> None:
    """Each mistake has the code of the reference."""
    assert error_of(await local.put("/digitaltwins/a/relationships/r", json=body)) == (status, code)


async def test_event_routes(local: httpx.AsyncClient) -> None:
    """Routes are kept, listed and deleted."""
    body = {"endpointName": "hub", "filter": "true"}
    assert (await local.put("/eventroutes/r", json=body)).status_code == 204
    assert (await local.get("/eventroutes")).json() == {"value": [{"id": "r", **body}]}
    assert (await local.get("/eventroutes/r")).json()["endpointName"] == "hub"
    assert (await local.delete("/eventroutes/r")).status_code == 204
    assert error_of(await local.get("/eventroutes/r")) == (404, "EventRouteNotFound")
    assert error_of(await local.put("/eventroutes/r", json={})) == (400, "EventRouteEndpointInvalid")
    response = await local.put("/eventroutes/r", json={"endpointName": "hub"})
    assert error_of(response) == (400, "EventRouteFilterInvalid")


async def test_models(local: httpx.AsyncClient) -> None:
    """List with and without definitions, with dependencies, decommission, delete in the right order."""
    whole = (await local.get(f"/models/{ROOM}", params={"includeModelDefinition": "true"})).json()
    assert whole["model"] == MODELS[0]
    assert "model" not in (await local.get(f"/models/{ROOM}")).json()
    listed = (await local.get("/models", params={"dependenciesFor": ROOM})).json()["value"]
    assert [item["id"] for item in listed] == [ROOM, VALVE]
    only = (await local.get("/models", params={"dependenciesFor": VALVE})).json()["value"]
    assert [item["id"] for item in only] == [VALVE]
    patch = [{"op": "replace", "path": "/decommissioned", "value": True}]
    assert (await local.patch(f"/models/{ROOM}", json=patch)).status_code == 204
    assert error_of(await local.put("/digitaltwins/c", json=BODY)) == (400, "ModelDecommissioned")
    assert error_of(await local.patch(f"/models/{ROOM}", json=[])) == (400, "JsonPatchInvalid")
    assert error_of(await local.delete(f"/models/{VALVE}")) == (409, "ModelReferencesNotDeleted")
    assert (await local.delete(f"/models/{ROOM}")).status_code == 204
    assert error_of(await local.get(f"/models/{ROOM}")) == (404, "ModelNotFound")


async def test_bad_models(local: httpx.AsyncClient) -> None:
    """Models that exist, too many, no array, bad DTDL and missing references have their codes."""
    assert error_of(await local.post("/models", json=MODELS[:1])) == (409, "ModelAlreadyExists")
    assert error_of(await local.post("/models", json={})) == (400, "InvalidArgument")
    assert error_of(await local.post("/models", json=[{}] * 251)) == (400, "LimitExceeded")
    assert error_of(await local.post("/models", content=b"[")) == (400, "DTDLParserError")
    lonely = {**MODELS[1], "@id": "dtmi:x;1", "extends": "dtmi:none;1"}
    assert error_of(await local.post("/models", json=[lonely])) == (400, "DTDLParserError")


@pytest.mark.parametrize("body", [b"{", b'{"a":"\xff"}', b"[" * 100_000, b""])
async def test_bodies_that_are_no_json(local: httpx.AsyncClient, body: bytes) -> None:
    """Broken, wrongly encoded, bottomless and missing JSON is 400 ValidationFailed."""
    assert error_of(await local.put("/digitaltwins/a", content=body)) == (400, "ValidationFailed")
