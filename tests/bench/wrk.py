"""wrk, the load generator: a script for each workload, and what it tells at its end.

Its latencies are those after its correction for coordinated omission, in which a slow answer weighs more.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import processes
from tests.bench.programs import path_of

HEADERS = {
    "User-Agent": "azsdk-python-digitaltwins-core/1.3.0 Python/3.11",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "x-ms-client-request-id": "6f9f0f5a-1df6-11f1-b7a5-0242ac120002",
}
"""What the Azure SDK sends."""
_OF_A_BODY = {"Content-Type": "application/json"}
_MICRO = 1_000_000
_WITHIN = 30.0
"""Seconds over those of the load after which it is given up."""
_SCRIPT = """
wrk.method = "{method}"
wrk.body = {body}
{headers}
{request}
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{{"requests":%d,"microseconds":%d,"received":%d,"not_ok":%d,"broken":%d,'
    .. '"p50":%.1f,"p99":%.1f}}\\n', summary.requests, summary.duration, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50),
    latency:percentile(99)))
end
"""
# A job write that is repeated with the same id is sent once; each of these is another.
_NEW_IDS = """
local sent = 0
function request()
  sent = sent + 1
  wrk.headers["x-ms-client-request-id"] = string.format("6f9f0f5a-1df6-11f1-%04x-%012x",
    os.time() % 65536, sent)
  return wrk.format()
end
"""


class LoadError(Exception):
    """The load generator did not do its work."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was asked and came; times in seconds, `received` in bytes."""

    requests: int
    seconds: float
    received: int
    not_ok: int = 0
    """Answers whose status is 400 or more."""
    broken: int = 0
    """Connections refused, broken, or without an answer in time."""
    p50: float = 0.0
    p99: float = 0.0


def script(method: str, body: int, *, new_ids: bool = False) -> str:
    """A script for requests with that many bytes of body."""
    headers = HEADERS | (_OF_A_BODY if body else {})
    return _SCRIPT.format(
        method=method,
        body=_json_of(body) if body else "nil",
        headers="\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()),
        request=_NEW_IDS if new_ids else "",
    )


def run(path: Path, url: str, connections: int, seconds: int, cores: set[int]) -> Load:
    """Load for whole `seconds` by the script at `path`; raises LoadError and MissingProgramError."""
    options = ("-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(path))
    with processes.program(path_of("wrk"), *options, url, cores=cores, stdout=subprocess.PIPE) as process:
        try:
            printed = process.communicate(timeout=seconds + _WITHIN)[0]
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"wrk {url} did not end") from error
    try:
        return read(json.loads(printed.splitlines()[-1]))
    except (IndexError, ValueError) as error:
        raise LoadError(f"wrk {url}: {printed[-200:]!r}") from error


def read(told: Mapping[str, float]) -> Load:
    """What the script tells."""
    return Load(
        requests=int(told["requests"]),
        seconds=told["microseconds"] / _MICRO,
        received=int(told["received"]),
        not_ok=int(told["not_ok"]),
        broken=int(told["broken"]),
        p50=told["p50"] / _MICRO,
        p99=told["p99"] / _MICRO,
    )


def _json_of(size: int) -> str:
    """A Lua expression for a JSON object of some `size` bytes."""
    job = (
        '{"inputBlobUri":"https://bench.blob.core.windows.net/in/graph.ndjson",'
        '"outputBlobUri":"https://bench.blob.core.windows.net/out/log.ndjson","note":"'
    )
    return f"""'{job}' .. string.rep("x", {max(0, size - len(job) - 2)}) .. '"}}'"""
