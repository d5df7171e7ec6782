"""The upstream: a job of 0.2 KB at every path, large bodies at `/digitaltwins/large`, counts at `/_seen`.

`/jobs/imports?page=<n>` answers with the n-th hundred of as many finished jobs as are asked for.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass

from tests.bench import pattern
from tests.bench.server import Connection, head, serve

LARGE = b"/digitaltwins/large"
LIST = b"/jobs/imports?page="
PAGE_SIZE = 100
_JOB = json.dumps(
    {
        "id": "bench",
        "inputBlobUri": "https://bench.blob.core.windows.net/in/graph.ndjson",
        "outputBlobUri": "https://bench.blob.core.windows.net/out/log.ndjson",
        "createdDateTime": "2026-01-01T00:00:00.0000000Z",
        "status": "running",
    }
).encode()


@dataclass(slots=True)
class Seen:
    """What arrived on all connections."""

    requests: int = 0
    with_token: int = 0


class UpstreamConnection(Connection):
    """One connection of the upstream."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen
        self._received = hashlib.sha256()
        self._sending: asyncio.Task[None] | None = None

    def on_body(self, piece: bytes) -> None:
        """Hash an upload."""
        self._received.update(piece)

    def answer(self) -> None:
        """A job, the digest of an upload, a large body, or the counts."""
        if self.target == b"/_seen":
            self.reply_json({"requests": self._seen.requests, "with_token": self._seen.with_token})
            return
        self._seen.requests += 1
        self._seen.with_token += self.authorization.startswith(b"Bearer ")
        if self.target.startswith(LIST):
            self.reply(page(int(self.target.removeprefix(LIST))))
        elif not self.target.startswith(LARGE):
            self.reply(_JOB)
        elif size := int(self.target.partition(b"size=")[2] or b"0"):
            self._sending = asyncio.ensure_future(self._send(size))
        else:
            self.reply_json({"sha256": self._received.hexdigest()})
            self._received = hashlib.sha256()

    async def _send(self, size: int) -> None:
        self.transport.write(head(size))
        for block in pattern.blocks(size):
            if self.transport.is_closing():
                return
            self.transport.write(block)
            await self.taken.wait()


def page(number: int) -> bytes:
    """A page of import jobs that have ended, as the service writes them."""
    return json.dumps({"value": [job(number * PAGE_SIZE + at) for at in range(PAGE_SIZE)]}).encode()


def job(number: int) -> dict[str, str]:
    """One of them."""
    return {
        "id": f"nightly-import-{number:06d}",
        "inputBlobUri": "https://bench.blob.core.windows.net/in/graph.ndjson",
        "outputBlobUri": "https://bench.blob.core.windows.net/out/log.ndjson",
        "status": "succeeded",
        "createdDateTime": f"2026-01-01T00:00:00.{number:07d}+00:00",
        "lastActionDateTime": "2026-01-01T01:00:00.0000000+00:00",
        "finishedDateTime": "2026-01-01T01:00:00.0000000+00:00",
        "purgeDateTime": "2199-01-01T00:00:00.0000000+00:00",
    }


def main() -> None:
    """Serve until the process is ended."""
    seen = Seen()
    serve(lambda: UpstreamConnection(seen))


if __name__ == "__main__":
    main()
