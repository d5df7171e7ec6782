"""The steps in their order, each asked of the room that knows; none calls the jobs API.

A step that needs an earlier one is skipped where that failed.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from gateway import online
from gateway._version import __version__
from gateway.access_log.redaction import redact
from gateway.certificates import read_sheet
from gateway.cli.checkup.mask import Mask, header_secrets, proxy_secrets
from gateway.cli.checkup.store import look_at_store
from gateway.cli.checkup.token import fetch_token
from gateway.cli.checkup.traces import export_nothing, open_exporters
from gateway.config import Settings
from gateway.errors import normalise
from gateway.exchange import RawHeaders
from gateway.online import Answer, Claims, Finding, Reply, Step, Way
from gateway.spans import environment
from gateway.tokens import Token
from gateway.upstream import Outbound, open_upstream

_LONGEST: Final = 30.0
"""Seconds that anything of the upstream's is waited for, however long the gateway itself would."""

Work = Coroutine[Any, Any, Finding]


class Checkup:
    """One run; `begin` is told the name of a step, `tell` its result."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        begin: Callable[[str], None],
        tell: Callable[[Step], None],
    ) -> None:
        """Raises TracingConfigError for an `OTEL_*` variable that `serve` would refuse too."""
        self._settings = settings
        self._environ = environ
        self._begin = begin
        self._tell = tell
        self._way = Way.of(settings.upstream, longest=_LONGEST)
        self._exporters = open_exporters(settings.tracing, environ)
        # Of what is sent to others: an issuer's own words are not shown.
        self._secrets = {
            *proxy_secrets(settings.upstream.proxy),
            *header_secrets(environment.signal(environ, "HEADERS")),
        }
        self._mask = Mask(self._secrets)
        self._token: Token | None = None
        self._claims: Claims | None = None
        self._addresses: Sequence[online.Address] = ()
        self._answer: Answer | None = None

    async def run(self) -> None:
        """All steps."""
        settings, hop = self._settings, self._way.first_hop
        await self._step("files", self._files())
        await self._step("token", self._fetch_token())
        await self._step("name", self._resolve())
        unresolved = None if self._addresses else f"{hop.host} has no address"
        reached = await self._step("connection", self._connect(), unless=unresolved)
        unreached = None if reached.passed else f"there is no connection with {hop.authority}"
        tls = await self._step("tls", online.handshake(self._way, read_sheet), unless=unreached)
        unsafe = unreached or ("there is no TLS connection" if _has_failed(tls) else None)
        tokenless = "there is no token to send" if settings.owns_token and self._token is None else None
        await self._step("request", self._ask(), unless=unsafe or tokenless)
        await self._step(
            "clock", self._clock(), unless=None if self._answer else "there is no answer to read it in"
        )
        await self._step("traces", export_nothing(self._exporters, settings.tracing, self._environ))
        await self._step("fleet", look_at_store(settings))
        await self._step("listeners", online.look_at_listeners(settings))

    async def _step(self, name: str, work: Work, *, unless: str | None = None) -> Finding:
        self._begin(name)
        started = time.monotonic()
        if unless is not None:
            work.close()
            finding = online.skipped(unless)
        else:
            finding = self._masked(await _guarded(work))
        self._tell(Step(name, finding, time.monotonic() - started))
        return finding

    def _masked(self, finding: Finding) -> Finding:
        """The other side may say again what it was sent."""
        hide = self._mask.hide
        return dataclasses.replace(
            finding,
            message=hide(finding.message),
            details=tuple(map(hide, finding.details)),
            advice=hide(finding.advice),
        )

    async def _files(self) -> Finding:
        return online.look_at_files(self._settings, self._environ, read_sheet, time.time())

    async def _fetch_token(self) -> Finding:
        finding, self._token, self._claims = await fetch_token(self._settings, self._environ)
        if self._token is not None:
            self._mask = Mask({*self._secrets, self._token.value})
        return finding

    async def _resolve(self) -> Finding:
        hop = self._way.first_hop
        finding, self._addresses = await online.resolve(hop.host, hop.port, self._way.connect_timeout)
        return finding

    async def _connect(self) -> Finding:
        hop, proxied = self._way.first_hop, self._way.proxy is not None
        name = f"the proxy {hop.authority}" if proxied else hop.authority
        return await online.connect(name, self._addresses, self._way.connect_timeout, proxy=proxied)

    async def _ask(self) -> Finding:
        try:
            self._answer = await self._asked()
        except online.Unanswered as unanswered:
            return unanswered.finding
        hide = self._mask.hide

        def read_error(answer: Answer) -> tuple[str, str]:
            code, message = _read_error(answer)
            return hide(code), hide(message)

        # Masked before anything is cut: of a secret that is cut, too little may be left to be known again.
        headers = {name: hide(value) for name, value in self._answer.headers.items()}
        finding = online.judge(
            dataclasses.replace(self._answer, headers=headers),
            read_error,
            host=self._way.origin.authority,
            mode=self._settings.auth.mode,
            claims=self._claims,
        )
        return dataclasses.replace(finding, details=tuple(map(redact, finding.details)))

    async def _asked(self) -> Answer:
        """Through the engine that `serve` would use, with its own idea of which certificate is good."""
        upstream = open_upstream(self._settings.upstream, origin=self._way.origin.text, version=__version__)

        async def send(target: bytes, headers: RawHeaders, authorization: str | None) -> Reply:
            return await upstream.round_trip(
                Outbound("GET", target, headers, None, authorization=authorization)
            )

        try:
            return await online.ask(self._way, send, self._token.value if self._token else None)
        finally:
            await upstream.aclose()

    async def _clock(self) -> Finding:
        assert self._answer is not None  # noqa: S101 - the step is skipped without one
        return online.clock(self._answer)


async def _guarded(work: Work) -> Finding:
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - a bug in one step must not hide what the others find
        return online.failed(
            f"this step itself failed with {type(error).__name__}", advice=online.token_advice("Internal", "")
        )


def _has_failed(finding: Finding) -> bool:
    return finding.outcome is online.Outcome.FAILED


def _read_error(answer: Answer) -> tuple[str, str]:
    """Code and message as an app would get them; markup is never repeated."""
    body = answer.body if answer.whole else None
    normal = normalise(
        method="GET", status=answer.status, headers=answer.raw_headers, body=body, owns_token=True
    )
    if normal.body is None:
        return normal.code, "the body is too large to be read"
    return normal.code, str(json.loads(normal.body)["error"]["message"])
