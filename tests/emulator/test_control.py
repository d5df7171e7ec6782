"""Reading what arrived, changing settings, beginning anew."""

import hashlib

import httpx
import pytest

from gateway.emulator import EmulatorSettings, RunningEmulator, control, running_emulator
from tests.emulator.support import ManualClock, error_of, raw_exchange


async def test_index_names_every_control_operation(http: httpx.AsyncClient) -> None:
    """Whoever opens /_emulator/ learns what can be done and how."""
    told = (await http.get("/_emulator/")).json()["operations"]
    assert set(told) == {f"{route.method} {route.template}" for route in control.ROUTES}
    assert all(told.values())
    assert "html-502" in (await http.get("/_emulator/faults")).json()["kinds"]


async def test_requests_are_told_as_they_came(http: httpx.AsyncClient, running: RunningEmulator) -> None:
    """Target, spelling and order of headers, duplicates, body size, digest and text, time, status."""
    body = '{"a":"é"}'.encode()
    head = (
        b"PATCH /digitaltwins/x%2fy?api-version=2023-10-31&q='%7e HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\n"
        b"authorization: Bearer t\r\nx-TWO: 2\r\nConnection: close\r\nContent-Length: "
    )
    await raw_exchange(running.url, head + str(len(body)).encode() + b"\r\n\r\n" + body)
    told = (await http.get("/_emulator/requests")).json()
    assert (told["total"], told["counts"]) == (1, {"PATCH /digitaltwins/{id}": 1})
    entry = told["requests"][0]
    assert (entry["method"], entry["target"]) == (
        "PATCH",
        "/digitaltwins/x%2fy?api-version=2023-10-31&q='%7e",
    )
    assert entry["headers"] == [
        ["Host", "x"],
        ["X-Two", "1"],
        ["authorization", "Bearer t"],
        ["x-TWO", "2"],
        ["Connection", "close"],
        ["Content-Length", str(len(body))],
    ]
    assert (entry["body"], entry["body_size"]) == (body.decode(), len(body))
    assert entry["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert (entry["status"], entry["http_version"], entry["route"]) == (
        404,
        "1.1",
        "PATCH /digitaltwins/{id}",
    )
    assert entry["time"].startswith("2024-05-06T07:08:09")
    assert entry["peer"].startswith("127.0.0.1:")


async def test_journal_is_bounded_and_counts_go_on(clock: ManualClock) -> None:
    """Only the last requests and the beginning of a body are kept; counts and total are of all."""
    settings = EmulatorSettings(verify_tokens=False, journal_size=3, journal_body=4)
    async with (
        running_emulator(settings, clock=clock) as running,
        httpx.AsyncClient(base_url=running.url) as http,
    ):
        for number in range(5):
            await http.put(f"/blob/c/{number}", content=b"0123456789")
        await http.get("/nowhere")
        told = (await http.get("/_emulator/requests")).json()
        assert [entry["number"] for entry in told["requests"]] == [4, 5, 6]
        assert (told["requests"][0]["body"], told["requests"][0]["body_size"]) == ("0123", 10)
        assert told["counts"] == {"PUT /blob/{container}/{name*}": 5, "unmatched": 1}
        assert (await http.delete("/_emulator/requests")).status_code == 204
        assert (await http.get("/_emulator/requests")).json() == {"total": 0, "counts": {}, "requests": []}


async def test_settings_change_at_run_time(http: httpx.AsyncClient) -> None:
    """What may be changed is, one at a time or together, and is told back without the secret."""
    response = await http.post(
        "/_emulator/settings", json={"job_seconds": 60, "rate_limit": 2, "page_size": 3}
    )
    assert response.json()["job_seconds"] == 60
    assert response.json() == (await http.get("/_emulator/settings")).json()
    assert "client_secret" not in response.json()
    await http.post("/_emulator/settings", json={"verify_tokens": True})
    assert error_of(await http.get("/models")) == (401, "Unauthorized")


@pytest.mark.parametrize(
    "change",
    [
        {"job_seconds": -1},
        {"job_seconds": "1"},
        {"rate_limit": 0},
        {"page_size": 0},
        {"expires_in": 1.5},
        {"retry_after": -1},
        {"tenant": "other"},
        {"none": 1},
        [],
    ],
)
async def test_bad_settings_change_nothing(http: httpx.AsyncClient, change: object) -> None:
    """A wrong type, a value out of range, an unknown or fixed key: 400 InvalidSetting."""
    before = (await http.get("/_emulator/settings")).json()
    assert error_of(await http.post("/_emulator/settings", json=change)) == (400, "InvalidSetting")
    assert (await http.get("/_emulator/settings")).json() == before


def test_settings_hide_the_secret() -> None:
    """The representation of the settings may go into a log."""
    assert "demo-secret" not in repr(EmulatorSettings())


async def test_reset_begins_anew(http: httpx.AsyncClient) -> None:
    """Data, faults, journal and changed settings are gone."""
    before = (await http.get("/_emulator/settings")).json()
    await http.put("/blob/c/b", content=b"x")
    await http.post("/jobs/deletions")
    await http.put("/eventroutes/r", json={"endpointName": "e", "filter": "true"})
    await http.post("/_emulator/settings", json={"page_size": 1})
    await http.post("/_emulator/faults", json={"status": 500, "times": None})
    assert (await http.post("/_emulator/reset")).status_code == 204
    assert (await http.get("/_emulator/requests")).json()["total"] == 0
    assert (await http.get("/_emulator/settings")).json() == before
    for path in ("/jobs/deletions", "/eventroutes"):
        assert (await http.get(path)).json() == {"value": []}
    assert error_of(await http.get("/blob/c/b")) == (404, "BlobNotFound")
