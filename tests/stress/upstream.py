"""The upstream: each request's query says what comes of it; a process of its own.

delay=S            wait so many seconds before the answer
status=N&code=C    that status; with a code an error as Azure writes it
size=N             a large body; an upload is answered with its SHA-256
pieces=N&pause=S   a body in so many chunks
cut=head, body     close before the head, or within the body
garbage=1          no HTTP

Any other path is answered like a twin, those of import jobs by a service whose jobs run for some seconds.
`/_seen` tells the counts, and when each token was first and last seen (seconds since the epoch).
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from tests.bench.server import serve
from tests.bench.upstream import LARGE, Seen, UpstreamConnection

JOBS = 20
"""Imports `i0` and on, which are there from the start, and alone are listed and remembered."""
_IMPORTS = "/jobs/imports"
_STARTS_AFTER = 1.0
_RUNS_FOR = 8.0
_TWIN = json.dumps({"$dtId": "twin", "$etag": 'W/"1"', "temperature": 21.5, "note": "n" * 200}).encode()


@dataclass(slots=True)
class Journal(Seen):
    """What arrived on all connections."""

    asked: dict[str, int] = field(default_factory=dict)
    """Requests by their fault; `` for those without."""
    tokens: dict[str, tuple[float, float]] = field(default_factory=dict)
    jobs: dict[str, float] = field(
        default_factory=lambda: {f"i{number}": time.time() for number in range(JOBS)}
    )
    """When each import was created."""

    def take(self, fault: str, authorization: bytes) -> None:
        """Count a request."""
        self.requests += 1
        self.with_token += authorization.startswith(b"Bearer ")
        self.asked[fault] = self.asked.get(fault, 0) + 1
        now, token = time.time(), authorization.decode("latin-1").removeprefix("Bearer ")
        self.tokens[token] = (self.tokens.get(token, (now, now))[0], now)


class Shaped(UpstreamConnection):
    """One connection."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._journal = journal
        self._working: asyncio.Task[None] | None = None

    def answer(self) -> None:
        """Do what the query says."""
        path, _, query = self.target.decode("latin-1").partition("?")
        if path == "/_seen":
            journal = self._journal
            self.reply_json(
                {"requests": journal.requests, "with_token": journal.with_token}
                | {"asked": journal.asked, "tokens": journal.tokens}
            )
        elif self.target.startswith(LARGE):
            super().answer()
        else:
            asked = dict(parse_qsl(query))
            fault = next((name for name in ("cut", "garbage", "delay", "status") if name in asked), "")
            self._journal.take(fault, self.authorization)
            method = self._parser.get_method()
            self._working = asyncio.ensure_future(self._work(method, path, asked))

    async def _work(self, method: bytes, path: str, asked: dict[str, str]) -> None:
        if "delay" in asked:
            await asyncio.sleep(float(asked["delay"]))
        if self.transport.is_closing():
            return
        if "cut" in asked:
            begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf" if asked["cut"] == "body" else b""
            self.transport.write(begun)
            self.transport.close()
        elif "garbage" in asked:
            self.transport.write(b"this is not HTTP\r\n\r\n")
            self.transport.close()
        elif "pieces" in asked:
            await self._pieces(int(asked["pieces"]), float(asked["pause"]))
        else:
            created = method == b"PUT" and path.startswith(_IMPORTS)
            status = int(asked.get("status", "201" if created else "200"))
            self._say(status, self._body(method, path, asked), method)

    def _body(self, method: bytes, path: str, asked: dict[str, str]) -> bytes:
        if "code" in asked:
            return json.dumps({"error": {"code": asked["code"], "message": "as asked"}}).encode()
        if not path.startswith(_IMPORTS):
            return _TWIN
        jobs, job_id = self._journal.jobs, path.removeprefix(_IMPORTS).strip("/")
        if not job_id:
            return json.dumps({"value": [_job(each, created) for each, created in jobs.items()]}).encode()
        known = jobs.get(job_id)
        created = time.time() if known is None or method == b"PUT" else known
        if known is not None:
            jobs[job_id] = created
        return json.dumps(_job(job_id, created)).encode()

    def _say(self, status: int, body: bytes, method: bytes) -> None:
        more = b"Retry-After: 1\r\n" if status == 429 else b""
        length = b"" if status in {204, 304} else b"Content-Length: %d\r\n" % len(body)
        head = b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\n%b%b\r\n" % (status, length, more)
        bodiless = method == b"HEAD" or status in {204, 304}
        self.transport.write(head + (b"" if bodiless else body))

    async def _pieces(self, count: int, pause: float) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(count):
            self.transport.write(b"5\r\npiece\r\n")
            await asyncio.sleep(pause)
        self.transport.write(b"0\r\n\r\n")


def _job(job_id: str, created: float) -> dict[str, str]:
    age = time.time() - created
    status = "notstarted" if age < _STARTS_AFTER else "running" if age < _RUNS_FOR else "succeeded"
    blob = "https://stress.blob.core.windows.net/in/graph.ndjson"
    job = {"id": job_id, "inputBlobUri": blob, "outputBlobUri": blob, "status": status}
    job |= {"createdDateTime": _at(created), "lastActionDateTime": _at(created)}
    return job if status != "succeeded" else job | {"finishedDateTime": _at(created + _RUNS_FOR)}


def _at(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat()


def main() -> None:
    """Serve until the process is ended."""
    journal = Journal()
    serve(lambda: Shaped(journal))


if __name__ == "__main__":
    main()
