"""Errors by code since the start: counted, with their latest traces, bounded whatever the upstream sends."""

import json

import pytest

from gateway.exchange import Exchange, Route, TraceIds
from gateway.failures import REGISTRY
from gateway.recent import Recent
from gateway.recent.errors import CODES, LATEST

KNOWN = ("ModelNotFound", "TooManyRequests", "JobLimitReached")
SECOND = 1_000_000_000


def told(code: str | None, on: int, *, origin: str = "upstream", status: int | None = 404) -> Exchange:
    """An exchange that ended at this second, a quarter after it began, in a trace named by it."""
    return Exchange(
        method="GET",
        raw_path=b"/digitaltwins/canary-path",
        query=b"sig=canary-query",
        headers=[(b"authorization", b"Bearer canary-header")],
        started=10.0,
        started_ns=on * SECOND - SECOND // 4,
        finished=10.25,
        route=Route("/digitaltwins/{id}"),
        trace=TraceIds(f"{on:032x}", "b" * 16, sampled=on % 2 == 0, response_header=b""),
        status=status,
        error_code=code,
        error_origin=origin,
    )


@pytest.fixture
def recent() -> Recent:
    return Recent(KNOWN)


def codes(recent: Recent) -> list[str]:
    """The codes, the one seen last first."""
    return [error["code"] for error in recent.view()["errors"]]


def test_an_error_and_its_trace(recent: Recent) -> None:
    """An error is told with its code, origin, count, status, time, and where and in which trace it was."""
    recent.exchange_finished(told("ModelNotFound", 8))
    recent.exchange_finished(told(None, 9))
    assert recent.view()["errors"] == [
        {
            "code": "ModelNotFound",
            "origin": "upstream",
            "count": 1,
            "status": 404,
            "lastOn": 8.0,
            "latest": [
                {
                    "on": 8.0,
                    "traceId": f"{8:032x}",
                    "sampled": True,
                    "method": "GET",
                    "route": "/digitaltwins/{id}",
                }
            ],
        }
    ]


def test_the_three_latest_newest_first(recent: Recent) -> None:
    """The count goes on; traces, status and time are those of the latest."""
    for on in range(1, 6):
        recent.exchange_finished(told("ModelNotFound", on, status=400 + on))
    [error] = recent.view()["errors"]
    assert (error["count"], error["status"], error["lastOn"]) == (5, 405, 5.0)
    assert [(one["on"], one["sampled"]) for one in error["latest"]] == [
        (5.0, False),
        (4.0, True),
        (3.0, False),
    ]
    assert len(error["latest"]) == LATEST


def test_the_code_seen_last_stands_first(recent: Recent) -> None:
    """Codes stand in the order in which they were last seen, of whatever origin."""
    for on, (code, origin) in enumerate(
        (("ModelNotFound", "upstream"), ("GatewayOverloaded", "gateway"), ("Odd", "upstream")), 1
    ):
        recent.exchange_finished(told(code, on, origin=origin))
    recent.exchange_finished(told("ModelNotFound", 9))
    assert codes(recent) == ["ModelNotFound", "Odd", "GatewayOverloaded"]


def test_a_cut_has_no_status(recent: Recent) -> None:
    """Where the response was cut the status that was begun is not that of the error."""
    cut = told("GatewayUpstreamConnectionLost", 1, origin="gateway", status=200)
    cut.cut = True
    recent.exchange_finished(cut)
    assert recent.view()["errors"][0]["status"] is None


def test_an_upstream_cannot_speak_for_the_gateway(recent: Recent) -> None:
    """A code of the gateway's that comes from upstream is counted apart, with its origin."""
    for origin in ("gateway", "upstream", "upstream"):
        recent.exchange_finished(told("GatewayOverloaded", 1, origin=origin))
    counts = {error["origin"]: error["count"] for error in recent.view()["errors"]}
    assert counts == {"gateway": 1, "upstream": 2}


def test_a_flood_of_codes_pushes_out_only_itself(recent: Recent) -> None:
    """However many codes an upstream invents, the known ones and the gateway's stay, with their counts."""
    for code in REGISTRY:
        recent.exchange_finished(told(code, 1, origin="gateway"))
    for code in KNOWN:
        recent.exchange_finished(told(code, 2))
    for n in range(1_000):
        recent.exchange_finished(told(f"Invented{n}", 3 + n))
    left = CODES - len(REGISTRY) - len(KNOWN)
    assert codes(recent)[:left] == [f"Invented{n}" for n in range(999, 999 - left, -1)]
    assert set(codes(recent)[left:]) == {*REGISTRY, *KNOWN}


def test_known_codes_give_way_to_the_gateways(recent: Recent) -> None:
    """With the list full, what the gateway itself has to say takes the place of what was not seen longest."""
    recent = Recent([f"Known{n}" for n in range(CODES)])
    for n in range(CODES):
        recent.exchange_finished(told(f"Known{n}", 1 + n))
    recent.exchange_finished(told("Known0", 100))
    recent.exchange_finished(told("GatewayOverloaded", 101, origin="gateway"))
    recent.exchange_finished(told("Invented", 102))
    assert codes(recent)[:3] == ["Invented", "GatewayOverloaded", "Known0"]
    assert len(codes(recent)) == CODES
    assert not {"Known1", "Known2"} & set(codes(recent))


def test_nothing_grows_with_what_is_sent(recent: Recent) -> None:
    """Codes and methods of any length and origin are cut, and their number is bounded."""
    for n in range(3 * CODES):
        for origin in ("upstream", "gateway"):
            exchange = told(f"{n}" + "x" * 100_000, n, origin=origin)
            exchange.method = "M" * 100_000
            recent.exchange_finished(exchange)
    errors = recent.view()["errors"]
    assert len(errors) == CODES
    assert {len(error["code"]) for error in errors} == {128}
    assert {len(one["method"]) for error in errors for one in error["latest"]} == {32}


def test_only_the_trace_is_kept(recent: Recent) -> None:
    """Neither path, query nor headers of a failed request are shown."""
    recent.exchange_finished(told("ModelNotFound", 1))
    assert "canary" not in json.dumps(recent.view())
