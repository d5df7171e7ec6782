"""The online check's words: whom a token names, what each failure means, and what to do."""

import json
import math
import re

import pytest

from gateway.errors import normalise
from gateway.online import (
    Answer,
    Finding,
    Outcome,
    Way,
    clock,
    judge,
    read_claims,
    token_advice,
)
from gateway.online.advice import certificate_advice, resolution_advice
from gateway.online.issuer import TOKEN
from gateway.tokens import Reason
from tests.support.checking import entra_jwt, jwt, settings


def answered(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    """An answer whose headers are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Answer(status, named, raw, body, whole=True, seconds=0.01)


def read_error(answer: Answer) -> tuple[str, str]:
    """Code and message as the command reads them."""
    told = normalise(
        method="GET", status=answer.status, headers=answer.raw_headers, body=answer.body, owns_token=True
    )
    assert told.body is not None
    return told.code, json.loads(told.body)["error"]["message"]


def judged(answer: Answer, mode: str = "entra") -> Finding:
    """What is found for an answer to a token that cannot be read."""
    return judge(answer, read_error, host="x.api.weu.digitaltwins.azure.net", mode=mode, claims=None)


def test_every_cause_has_advice() -> None:
    """The table of advice has every cause that a token source can have, and no other."""
    assert set(TOKEN) == {str(reason) for reason in Reason}


def test_entra_codes_say_more() -> None:
    """Entra's own code decides where it is known; else the cause does."""
    message = "Entra gave no token (client_secret): refused with AADSTS7000222."
    assert token_advice("InvalidClient", message).startswith("The client secret has expired")
    assert token_advice("InvalidClient", "AADSTS99999999") == TOKEN["InvalidClient"]
    assert token_advice("another", "") != ""


@pytest.mark.parametrize("reason", list(Reason))
def test_advice_is_for_the_mode(reason: Reason) -> None:
    """Each way to a token is advised on its own keys: none of another mode or credential."""
    for way in ("oauth2", "file", "static"):
        assert not re.search("Entra|AZURE|entra|managed", token_advice(reason, "", way)) or (
            reason == "CredentialUnavailable"
        )
    for way in ("client_secret", "certificate", "workload_identity", "cli"):
        assert not re.search("oauth2|anaged identity", token_advice(reason, "", way))
    assert "managed_identity" not in token_advice(reason, "", "managed_identity")
    assert "oauth2" not in token_advice(reason, "", "managed_identity")


@pytest.mark.parametrize(
    ("way", "message", "advice"),
    [
        ("oauth2", "answered 302.", "auth.oauth2.token_url"),
        ("oauth2", "answered 400.", "auth.oauth2.token_url"),
        ("oauth2", "answered 404.", "auth.oauth2.token_url"),
        ("oauth2", "answered 429.", "Try again"),
        ("oauth2", "answered 503.", "Try again"),
        ("client_secret", "the authority answered 404.", "auth.entra.authority"),
        ("client_secret", "the authority answered 500.", "Try again"),
    ],
)
def test_statuses_of_an_issuer(way: str, message: str, advice: str) -> None:
    """What trying again cannot mend names the key that is wrong."""
    assert advice in token_advice("IssuerStatus", message, way)
    assert ("Try again" in advice) == ("Try again" in token_advice("IssuerStatus", message, way))


@pytest.mark.parametrize(("way", "key"), [("oauth2", "auth.oauth2.ca_file"), ("default", "SSL_CERT_FILE")])
def test_an_issuer_that_is_not_trusted(way: str, key: str) -> None:
    """A certificate that is not accepted: where its CA belongs in this mode, and a word of warning."""
    told = token_advice("IssuerUnreachable", "… (its certificate is not accepted: self-signed).", way)
    assert key in told
    assert ("oauth2" in told) == (way == "oauth2")
    assert "somebody may be listening" in told


def test_claims() -> None:
    """Audience, tenant, application and object are read under each of their names."""
    claims = read_claims(entra_jwt())
    assert claims is not None
    assert claims.is_for_adt
    assert claims.lines[0] == "audience: https://digitaltwins.azure.net"
    assert [line.partition(":")[0] for line in claims.lines] == [
        "audience",
        "tenant",
        "application (client) id",
        "object id",
    ]
    several = read_claims(jwt(aud=["a", 1, "b"], azp="me", exp=10))
    assert several is not None
    assert (several.audience, several.application, several.expires_on) == (("a", "b"), "me", 10.0)
    assert not several.is_for_adt


@pytest.mark.parametrize(
    "audience", ["https://digitaltwins.azure.net/", "0B07F429-9f4b-4714-9392-cc5e8e80c8b0"]
)
def test_spellings_of_the_audience(audience: str) -> None:
    """ADT's audience is known with a slash at its end, and as its application's id in any case."""
    claims = read_claims(jwt(aud=audience))
    assert claims is not None
    assert claims.is_for_adt


@pytest.mark.parametrize(
    "token",
    [
        "",
        "opaque",
        "a.b",
        "a.b.c",
        "a.=.c",
        "e30.W10.e30",
        "a." + "W1t" * 9_000 + ".c",
        "a." + "x" * 70_000 + ".c",
    ],
    ids=range(8),
)
def test_tokens_without_claims(token: str) -> None:
    """What is no JWT has no claims, whatever it is."""
    assert read_claims(token) is None


def test_strange_claims() -> None:
    """Claims of other types count as missing, long ones are cut, and no number overflows."""
    claims = read_claims(jwt(aud=7, tid=["t"], appid=None, oid="o" * 1_000, iss={}, exp=10**400))
    assert claims is not None
    assert (claims.audience, claims.tenant, claims.application, claims.expires_on) == ((), "", "", None)
    assert len(claims.principal) == 200
    for exp in (True, "10", -1, math.inf):
        other = read_claims(jwt(exp=exp))
        assert other is None or other.expires_on is None


def test_a_refused_token_that_cannot_be_read() -> None:
    """Without claims, a 401 names scope and tenant as what may be wrong."""
    finding = judged(answered(401))
    assert finding.outcome is Outcome.FAILED
    assert "auth.scope" in finding.advice
    assert "tenant" in finding.advice


def test_a_challenge() -> None:
    """Error and description of a challenge are told, in whichever order, bounded, and nothing else of it."""
    challenge = f'Bearer realm="r", error_description="{"d" * 1_000}", error="invalid_token"'
    finding = judged(answered(401, www_authenticate=challenge))
    [line] = [line for line in finding.details if line.startswith("WWW-Authenticate")]
    assert line == f"WWW-Authenticate: invalid_token: {'d' * 300}"
    assert not [
        line
        for line in judged(answered(401, www_authenticate="Bearer")).details
        if line.startswith("WWW-Authenticate")
    ]


def test_no_redirect_without_a_place() -> None:
    """A 3xx that leads nowhere is just not ADT; one that leads somewhere names the host, never the path."""
    assert "no list of event routes" in judged(answered(304)).message
    assert "no list of event routes" in judged(answered(302, location="http://[")).message
    told = judged(answered(302, location="https://login.example/path?secret=canary"))
    assert "login.example" in told.message
    assert "canary" not in str(told)


def test_modes_without_a_token() -> None:
    """A 401 is as it should be for passthrough, and a mistake for none."""
    assert judged(answered(401), mode="passthrough").outcome is Outcome.OK
    assert judged(answered(401), mode="none").outcome is Outcome.FAILED


def test_the_clock_has_five_minutes() -> None:
    """Up to five minutes are well; more are said with the side that is ahead."""

    def at(date: str, received: float) -> Finding:
        return clock(Answer(200, {"date": date}, [], b"", whole=True, seconds=0, received=received))

    date, instant = "Mon, 01 Jun 2026 12:00:00 GMT", 1_780_315_200.0
    assert at(date, instant + 299).outcome is at(date, instant - 299).outcome is Outcome.OK
    assert at(date, instant + 600).message == "this machine's clock is 10 min ahead of the upstream's"
    assert at(date, instant - 600).message == "this machine's clock is 10 min behind the upstream's"
    assert at("", 0).outcome is Outcome.SKIPPED


def test_certificates() -> None:
    """What to do depends on OpenSSL's code: no issuer, time, host, constraint, anything else."""
    assert "the CA Corp Inspection CA" in certificate_advice(20, "Corp Inspection CA", has_ca_file=False)
    assert "clock" in certificate_advice(10, None, has_ca_file=False)
    assert "do not use it" in certificate_advice(62, None, has_ca_file=False)
    assert "another CA" in certificate_advice(47, None, has_ca_file=False)
    assert certificate_advice(1, None, has_ca_file=True)


def test_names() -> None:
    """For an instance of ADT the portal and the private endpoint's zone are named, else the keys."""
    assert "privatelink.digitaltwins.azure.net" in resolution_advice("x.api.weu.digitaltwins.azure.net")
    assert "privatelink" not in resolution_advice("proxy.example")


def test_the_way_is_bounded() -> None:
    """No wait is longer than asked, whatever is configured; the proxy is the first hop."""
    times = {"connect": 600.0, "first_byte": 600.0}
    upstream = {"base_url": "https://x.example", "timeout": times, "proxy": "http://u:p@proxy.example:3128"}
    way = Way.of(settings(upstream=upstream).upstream, longest=30)
    assert (way.connect_timeout, way.answer_timeout) == (30, 30)
    assert (way.first_hop.text, way.origin.text) == ("http://proxy.example:3128", "https://x.example")
    assert way.url == "https://x.example/eventroutes?api-version=2023-10-31"
