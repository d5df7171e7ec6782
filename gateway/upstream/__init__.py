"""One round trip to the upstream: pool, timeouts, streaming, close.

| file | purpose |
|---|---|
| `round_trip.py` | slots and deadlines around an engine, the same for every engine |
| `response.py` | a response whose head has arrived, as every engine gives it |
| `slots.py` | how many round trips are under way, and how many wait |
| `generations.py` | how long connections are used |
| `pyreqwest_engine.py` | the default engine |
| `pyreqwest_client.py` | its client, which is its pool |
| `pyreqwest_response.py` | a response as pyreqwest reads it |
| `pyreqwest_failures.py` | what a failure of pyreqwest means |
| `asyncio_engine.py` | the fast engine |
| `dialling.py`, `trust.py` | the way to one of its connections |
| `connection.py`, `pool.py` | its connections, and which are free |
| `wire_response.py`, `chunked_body.py` | a response as it reads it |
| `httpx_engine.py` | the pure Python engine |
| `httpx_wire.py` | what its connections are read through |
| `closure.py` | whether an end of TLS is one |
| `response_head.py` | a response's head, judged as it comes |
| `open.py` | settings to a ready upstream |
"""

from gateway.upstream.open import open_upstream
from gateway.upstream.response import Response
from gateway.upstream.round_trip import Deadlines, Engine, Outbound, Upstream

__all__ = ["Deadlines", "Engine", "Outbound", "Response", "Upstream", "open_upstream"]
