"""Requests of every kind that there is, and of many that there are not; a process of its own.

    python -m tests.stress.variety PORT COUNT SEED CONNECTIONS

Methods, paths, ids, and the upstream's statuses and codes are drawn at random; prints the JSON of how often
each answer came.
"""

import asyncio
import json
import random
import string
import sys
from collections import Counter

import uvloop

from tests.stress.client import App, connect, request_bytes

_METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE")
_PATHS = (
    *("/models", "/models/{}", "/query", "/digitaltwins/{}", "/digitaltwins/{}/relationships"),
    *("/digitaltwins/{}/incomingrelationships", "/digitaltwins/{}/relationships/{}", "/eventroutes/{}"),
    *("/digitaltwins/{}/telemetry", "/digitaltwins/{}/components/{}", "/jobs/imports", "/jobs/imports/{}"),
    *("/jobs/imports/{}/cancel", "/jobs/deletions", "/jobs/deletions/{}", "/{}", "/{}/{}/{}"),
)
_CODES = ("JobLimitReached", "ValidationFailed", "DigitalTwinNotFound", "ImportJobNotFound", "SqlQueryError")
_ALPHABET = string.ascii_letters + string.digits + '-._~%äж"{}\\ \n'


class _Chance(random.Random):
    """Random parts of a request."""

    def word(self, longest: int = 24) -> str:
        """Any text, at times with what does not belong into a request."""
        alphabet = _ALPHABET if self.random() < 0.05 else string.ascii_letters + string.digits
        return "".join(self.choices(alphabet, k=self.randint(1, longest)))

    def request(self, port: int) -> tuple[bytes, str]:
        """A request and its method."""
        method = self.choice(_METHODS) if self.random() < 0.98 else self.word(8)
        path = self.choice(_PATHS)
        while "{}" in path:
            path = path.replace("{}", self.word(), 1)
        query = {"api-version": "2023-10-31"} if self.random() < 0.9 else {self.word(): self.word()}
        if self.random() < 0.6:
            query["status"] = str(
                self.choice((200, 201, 204, 304, 404, 429, 500, 503, self.randint(200, 999)))
            )
        if self.random() < 0.5:
            query["code"] = self.choice(_CODES) if self.random() < 0.5 else self.word()
        target = f"{path}?{'&'.join(f'{name}={value}' for name, value in query.items())}"
        body = None if method in {"GET", "HEAD"} or self.random() < 0.2 else self.word(200).encode()
        request_id = self.word() if self.random() < 0.5 else None
        return request_bytes(port, target, method, body=body, request_id=request_id), method


async def _app(port: int, count: int, seed: int) -> Counter[str]:
    chance, answers = _Chance(seed), Counter[str]()
    app: App | None = None
    for _ in range(count):
        if app is None or not app.usable or app.transport.is_closing():
            app = await connect(port)
        request, method = chance.request(port)
        try:
            answers[str((await app.ask(request, head=method == "HEAD")).status)] += 1
        except ConnectionError:
            answers["none"] += 1
        if not app.usable:
            app.transport.close()
    return answers


async def _run(port: int, count: int, seed: int, connections: int) -> Counter[str]:
    parts = (_app(port, count // connections, seed * 1_000 + each) for each in range(connections))
    return sum(await asyncio.gather(*parts), Counter())


def main() -> None:
    """The command line above."""
    port, count, seed, connections = map(int, sys.argv[1:])
    json.dump(uvloop.run(_run(port, count, seed, connections)), sys.stdout)


if __name__ == "__main__":
    main()
