"""Import files: what enters the graph, what the log says, and how bad files end."""

import json
from typing import Any

import httpx
import pytest

from gateway.emulator import sample
from tests.emulator.support import ManualClock, import_body

HEADER = '{"Section":"Header"}\n{"fileVersion":"1.0.0"}\n'
MODEL = '{"@id":"dtmi:a;1","@type":"Interface","@context":"dtmi:dtdl:context;2","contents":[]}\n'


async def run_import(
    local: httpx.AsyncClient, clock: ManualClock, content: bytes, **body: str
) -> dict[str, Any]:
    """The job after its end."""
    await local.put("/blob/in/campus.ndjson?sig=secret", content=content)
    job = {**import_body(str(local.base_url).rstrip("/")), **body}
    response = await local.put("/jobs/imports/job", json=job)
    assert response.status_code == 201
    clock.advance(2)
    await local.get("/jobs/imports/job")
    clock.advance(60)
    done: dict[str, Any] = (await local.get("/jobs/imports/job")).json()
    return done


async def log_of(local: httpx.AsyncClient) -> list[dict[str, Any]]:
    """The lines of the output log."""
    response = await local.get("/blob/out/campus.ndjson.log")
    return [json.loads(line) for line in response.text.splitlines()]


async def test_sample_enters_the_graph(local: httpx.AsyncClient, clock: ManualClock) -> None:
    """The shipped sample gives 6 models, 30 twins and 28 relationships, and the job succeeds."""
    job = await run_import(local, clock, sample("campus.ndjson"))
    assert job["status"] == "succeeded"
    assert len((await local.get("/models")).json()["value"]) == 6
    counted = (("SELECT COUNT() FROM digitaltwins", 30), ("SELECT COUNT() FROM relationships", 28))
    for query, count in counted:
        answer = await local.post("/query", json={"query": query})
        assert answer.json()["value"] == [{"COUNT": count}]


async def test_log_tells_every_section(local: httpx.AsyncClient, clock: ManualClock) -> None:
    """The output blob is the documented log: start, each section's start and end, success."""
    await run_import(local, clock, sample("campus.ndjson"))
    lines = await log_of(local)
    told = [(line["details"].get("section"), line["details"]["status"]) for line in lines]
    sections = ("Models", "Twins", "Relationships")
    inner = [(section, status) for section in sections for status in ("Started", "Succeeded")]
    assert told == [(None, "Started"), *inner, (None, "Succeeded")]
    assert {(line["jobId"], line["jobType"], line["logType"]) for line in lines} == {
        ("job", "Import", "Info")
    }
    assert lines[0]["timestamp"] == "2024-05-06T07:08:10.1234560Z"
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)


async def test_broken_sample_fails_and_says_why_in_the_log(
    local: httpx.AsyncClient, clock: ManualClock
) -> None:
    """The shipped bad sample fails with DTDLParsingError, imports nothing and logs the error."""
    job = await run_import(local, clock, sample("broken-model.ndjson"))
    assert (job["status"], job["error"]["code"]) == ("failed", "DTDLParsingError")
    assert "finishedDateTime" in job
    assert (await local.get("/models")).json() == {"value": []}
    errors = [line for line in await log_of(local) if line["logType"] == "Error"]
    assert [line["details"]["error"]["code"] for line in errors] == ["DTDLParsingError"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (HEADER + '{"Section":"Models"}\n{"@id":', "DTDLParsingError"),
        (HEADER + '{"Section":"Models"}\n[]', "DTDLParsingError"),
        (HEADER + '{"Section":"Models"}\n' + MODEL.replace("Interface", "Face"), "DTDLParsingError"),
        (HEADER + '{"Section":"Models"}\n' + MODEL + MODEL, "ModelAlreadyExists"),
        (HEADER + '{"Section":"Twins"}\n{"$dtId":"t","$metadata":{"$model":"dtmi:a;1"}}', "ValidationFailed"),
        (HEADER + '{"Section":"Twins"}\n{"$metadata":{"$model":"dtmi:a;1"}}', "ValidationFailed"),
        (HEADER + '{"Section":"Relationships"}\n{"$dtId":"t","$relationshipId":"r"}', "DigitalTwinNotFound"),
        (HEADER + '{"Section":"Twins"}\n{"Section":"Models"}\n', "ValidationFailed"),
        (HEADER + '{"Section":"Other"}\n', "ValidationFailed"),
        ('{"Section":"Models"}\n' + MODEL, "ValidationFailed"),
        (MODEL, "ValidationFailed"),
        ("", "ValidationFailed"),
    ],
)
async def test_bad_files_fail(local: httpx.AsyncClient, clock: ManualClock, content: str, code: str) -> None:
    """Each kind of bad line ends the job as failed with its code, never as an error of the request."""
    job = await run_import(local, clock, content.encode())
    assert (job["status"], job["error"]["code"]) == ("failed", code)


async def test_lines_before_a_bad_one_stay(local: httpx.AsyncClient, clock: ManualClock) -> None:
    """A failed import is not rolled back."""
    twins = '{"Section":"Twins"}\n{"$dtId":"t","$metadata":{"$model":"dtmi:a;1"}}\n'
    content = HEADER + '{"Section":"Models"}\n' + MODEL + twins + "{"
    job = await run_import(local, clock, content.encode())
    assert job["error"]["code"] == "DTDLParsingError"
    assert "Line 7" in job["error"]["message"]
    assert (await local.get("/digitaltwins/t")).status_code == 200


async def test_same_file_can_be_imported_again(local: httpx.AsyncClient, clock: ManualClock) -> None:
    """Models that are there word for word are no error; a changed one under the same id is."""
    assert (await run_import(local, clock, sample("campus.ndjson")))["status"] == "succeeded"
    await local.delete("/jobs/imports/job")
    assert (await run_import(local, clock, sample("campus.ndjson")))["status"] == "succeeded"
    await local.delete("/jobs/imports/job")
    changed = await run_import(
        local, clock, sample("campus.ndjson").replace(b"A place of any size.", b"A place.")
    )
    assert changed["error"]["code"] == "ModelAlreadyExists"


async def test_blobs_elsewhere_are_not_reached(local: httpx.AsyncClient, clock: ManualClock) -> None:
    """A missing input, or storage that is not the emulator's, fails the job; nothing is fetched."""
    storage = "https://account.blob.core.windows.net/in/campus.ndjson?sig=secret"
    missing = await run_import(local, clock, b"", inputBlobUri=f"{local.base_url}/blob/in/none")
    assert missing["error"]["code"] == "InputBlobNotFound"
    await local.delete("/jobs/imports/job")
    foreign = await run_import(local, clock, b"", inputBlobUri=storage)
    assert foreign["error"]["code"] == "InputBlobNotFound"
    assert "secret" not in foreign["error"]["message"]
    await local.delete("/jobs/imports/job")
    output = await run_import(local, clock, b"", outputBlobUri=storage)
    assert output["error"]["code"] == "OutputBlobNotAccessible"


async def test_empty_lines_and_an_empty_header_are_fine(local: httpx.AsyncClient, clock: ManualClock) -> None:
    """A file with nothing but a header succeeds."""
    job = await run_import(local, clock, b'{"Section":"Header"}\r\n\r\n{"fileVersion":"1.0.0"}\r\n')
    assert job["status"] == "succeeded"
