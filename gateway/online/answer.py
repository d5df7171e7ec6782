"""What the upstream's answer means."""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from gateway.online.claims import Claims
from gateway.online.finding import Finding, failed, ok, warned
from gateway.online.request import Answer

SUB_DOMAIN: Final = "SubDomainNotFound"
_MARKUP: Final = re.compile(rb"\s*<[a-z!/?]", re.IGNORECASE)
_CHALLENGE: Final = re.compile(r'\b(error|error_description)="?([^",]{1,300})')
_LONGEST: Final = 300

ReadError = Callable[[Answer], tuple[str, str]]
"""Code and message of an error, without secrets."""


def judge(answer: Answer, read_error: ReadError, *, host: str, mode: str, claims: Claims | None) -> Finding:
    """The finding for an answer from `host`; `mode` is `auth.mode`, `claims` are the sent token's."""
    latency = f"{answer.seconds * 1000:.0f} ms"
    if answer.status == HTTPStatus.OK:
        return _accepted(answer, latency)
    if _is_markup(answer):
        return _no_adt(answer, "an HTML page")
    if answer.status == HTTPStatus.UNAUTHORIZED and mode in {"passthrough", "none"}:
        return _untried(mode, latency)
    if answer.status < HTTPStatus.BAD_REQUEST:
        return _redirected(answer)
    code, message = read_error(answer)
    told = (f"{code}: {message}"[: 2 * _LONGEST],)
    headline = f"{host} answered {answer.status} {_phrase(answer.status)}".rstrip()
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return failed(headline, *told, *_challenged(answer), advice=_refused_token(claims))
    if answer.status == HTTPStatus.NOT_FOUND and code == SUB_DOMAIN:
        return failed(headline, *told, advice=_no_instance(claims))
    advice = _ADVICE.get(answer.status) or (
        _UNHEALTHY if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR else _UNEXPECTED
    )
    if answer.status == HTTPStatus.FORBIDDEN:
        advice = advice.format(who=_who(claims))
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        # It proves that host, token and role are right, and passes by itself.
        return warned(headline, *told, advice=advice)
    return failed(headline, *told, advice=advice)


_UNHEALTHY: Final = (
    "The service, or something before it, has a problem: try again, and look at Azure's service health."
)
_UNEXPECTED: Final = "Azure Digital Twins does not answer like that: check upstream.base_url."
_ADVICE: Final[dict[int, str]] = {
    HTTPStatus.FORBIDDEN: "The identity{who} has no role on this instance: give it Azure Digital Twins Data"
    " Owner (or Data Reader, to read only) there; an assignment can take some minutes to work. Owner of the"
    " subscription is not enough. If the role is there: does the instance allow public network access?",
    HTTPStatus.NOT_FOUND: "Check upstream.base_url: what answers has no event routes, so it is not an"
    " instance of Azure Digital Twins.",
    HTTPStatus.TOO_MANY_REQUESTS: "The instance is throttled at this moment: somebody else calls it a lot."
    " Try again later.",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "Put the proxy's user and password into upstream.proxy; where"
    " they are there already, check them.",
}


def _accepted(answer: Answer, latency: str) -> Finding:
    if not answer.whole and not _is_markup(answer):
        return _no_adt(answer, f"larger than {len(answer.body)} bytes, too large for a list of event routes")
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return _no_adt(answer, "an HTML page" if _is_markup(answer) else "no JSON")
    routes = document.get("value") if isinstance(document, dict) else None
    if not isinstance(routes, list):
        return _no_adt(answer, "JSON that is no list of event routes")
    return ok(f"GET /eventroutes answered 200 in {latency}, with a new connection")


def _no_adt(answer: Answer, what: str) -> Finding:
    return failed(
        f"the answer {answer.status} is {what}: this is not Azure Digital Twins",
        advice="Check upstream.base_url; a proxy or a login page may have answered in its place.",
    )


def _untried(mode: str, latency: str) -> Finding:
    if mode == "passthrough":
        return ok(f"the upstream answered in {latency} and wants a token, which the app sends (passthrough)")
    return failed(
        "the upstream wants a token, and auth.mode = none sends none",
        advice="Set auth.mode, or passthrough where the app sends its own token.",
    )


def _redirected(answer: Answer) -> Finding:
    try:
        target = urlsplit(answer.headers.get("location", "")).hostname
    except ValueError:
        target = None
    if target is None:
        return _no_adt(answer, "no list of event routes")
    return failed(
        f"the answer {answer.status} redirects to {target[:_LONGEST]}: this is not Azure Digital Twins",
        advice="Check upstream.base_url. Redirects are not followed, so that the token goes nowhere else.",
    )


def _refused_token(claims: Claims | None) -> str:
    if claims is None:
        return (
            "The upstream does not accept the token. Check auth.scope (the audience must be"
            " https://digitaltwins.azure.net) and that the token is of the instance's tenant."
        )
    if not claims.is_for_adt:
        audience = ", ".join(claims.audience) or "nobody"
        return (
            f"The token is for {audience}, and Azure Digital Twins wants https://digitaltwins.azure.net: set"
            " auth.scope to https://digitaltwins.azure.net/.default."
        )
    return (
        f"The token's audience is right, so its tenant ({claims.tenant or 'not told'}) may not be that of the"
        " instance, or it has expired by the upstream's clock. Check AZURE_TENANT_ID or auth.entra.tenant_id."
    )


def _no_instance(claims: Claims | None) -> str:
    tenant = f" ({claims.tenant})" if claims is not None and claims.tenant else ""
    return (
        "There is no instance of this name in the token's tenant: check the host in upstream.base_url (Azure"
        f" portal, Overview) and that the tenant{tenant} is that of the instance."
    )


def _who(claims: Claims | None) -> str:
    return f" (object id {claims.principal})" if claims is not None and claims.principal else ""


def _challenged(answer: Answer) -> list[str]:
    """What a challenge says of the token (RFC 6750, section 3)."""
    challenge = answer.headers.get("www-authenticate", "")[:4_096]
    found = dict(reversed(_CHALLENGE.findall(challenge)))
    told = ": ".join(found[name] for name in ("error", "error_description") if name in found)
    return [f"WWW-Authenticate: {told}"] if told else []


def _is_markup(answer: Answer) -> bool:
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media in {"text/html", "application/xhtml+xml"} or _MARKUP.match(answer.body) is not None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
