"""Queries without a socket."""

from typing import Any

import httpx
import pytest

from gateway.emulator import sample
from tests.emulator.support import ManualClock, error_of, import_body

P = "dtmi:com:example:campus:"


@pytest.fixture(autouse=True)
async def campus(local: httpx.AsyncClient, clock: ManualClock) -> None:
    """The shipped sample, imported."""
    await local.put("/blob/in/campus.ndjson", content=sample("campus.ndjson"))
    await local.put("/jobs/imports/job", json=import_body(str(local.base_url).rstrip("/")))
    clock.advance(2)
    await local.get("/jobs/imports/job")
    clock.advance(60)


async def ask(local: httpx.AsyncClient, query: str, **headers: str) -> Any:
    response = await local.post("/query", json={"query": query}, headers=headers)
    assert response.status_code == 200, response.text
    assert float(response.headers["query-charge"]) > 0
    return response.json()["value"]


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("$dtId = 'building-1'", 1),
        ("T.$dtId = 'building-1'", 1),
        (f"IS_OF_MODEL('{P}Space;1')", 18),
        (f"IS_OF_MODEL(T, '{P}Space;1')", 18),
        (f"IS_OF_MODEL('{P}Space;1', exact)", 0),
        (f"IS_OF_MODEL('{P}Room;1', exact)", 12),
        ("occupied = true", 8),
        ("occupied != true AND IS_DEFINED(occupied)", 4),
        ("NOT occupied = true AND temperature >= 20.0", 4),
        ("T.thermostat.setPoint = 21.0 AND T.name IN ['Room 111', 'Room 112', 'x']", 2),
        ("(level = 1 OR level = 2) AND STARTSWITH(name, 'Lib')", 2),
        ("area > 4000 and area < 5000", 1),
        ("name = 'it\\'s'", 0),
        ("yearBuilt <= 1974", 1),
        ("name > 1", 0),
    ],
)
async def test_conditions(local: httpx.AsyncClient, condition: str, count: int) -> None:
    """COUNT and the length of the result agree on what a condition selects."""
    where = " FROM digitaltwins T WHERE " + condition
    assert await ask(local, "SELECT COUNT()" + where) == [{"COUNT": count}]
    assert len(await ask(local, "SELECT *" + where)) == count


async def test_selection(local: httpx.AsyncClient) -> None:
    """TOP limits, an alias can be selected, relationships can be asked for, keywords have any case."""
    assert len(await ask(local, "SELECT TOP(3) FROM digitaltwins")) == 3
    assert len(await ask(local, "select T from DIGITALTWINS T")) == 30
    found = await ask(local, "SELECT * FROM relationships WHERE $sourceId = 'building-1'")
    assert {item["$relationshipName"] for item in found} == {"contains"}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT",
        "DROP TABLE twins",
        "SELECT * FROM twins",
        "SELECT * FROM digitaltwins WHERE",
        "SELECT * FROM digitaltwins WHERE a",
        "SELECT * FROM digitaltwins WHERE a = b",
        "SELECT * FROM digitaltwins WHERE a LIKE 'b'",
        "SELECT * FROM digitaltwins WHERE a = 'b",
        "SELECT * FROM digitaltwins WHERE (a = 1",
        "SELECT * FROM digitaltwins WHERE a = 1 b",
        "SELECT TOP('x') FROM digitaltwins",
        "SELECT * FROM digitaltwins WHERE UNKNOWN(a)",
        "SELECT * FROM digitaltwins WHERE " + "(" * 5000,
    ],
)
async def test_bad_queries(local: httpx.AsyncClient, query: str) -> None:
    """What is not understood is 400 SqlQueryError, never a wrong answer."""
    assert error_of(await local.post("/query", json={"query": query})) == (400, "SqlQueryError")


async def test_paging_by_token(local: httpx.AsyncClient) -> None:
    """The token alone goes on with the same query and page size; the last page has none."""
    size = {"max-items-per-page": "12"}
    response = await local.post("/query", json={"query": "SELECT * FROM digitaltwins"}, headers=size)
    page, seen = response.json(), []
    while True:
        seen.append([twin["$dtId"] for twin in page["value"]])
        if page["continuationToken"] is None:
            break
        page = (await local.post("/query", json={"continuationToken": page["continuationToken"]})).json()
    assert [len(ids) for ids in seen] == [12, 12, 6]
    assert len({twin for ids in seen for twin in ids}) == 30
    bad = await local.post("/query", json={"continuationToken": "x"})
    assert error_of(bad) == (400, "BadRequest")
    assert error_of(await local.post("/query", json={})) == (400, "SqlQueryError")
