"""One round trip to the upstream: pool, timeouts, streaming, close.

| file | purpose |
|---|---|
| `round_trip.py` | slots and deadlines around an engine, the same for every engine |
| `pyreqwest_engine.py` | the default engine |
| `httpx_engine.py` | the pure Python engine |
| `open.py` | settings to a ready upstream |
"""

from gateway.upstream.open import open_upstream
from gateway.upstream.round_trip import Deadlines, Engine, Outbound, Response, Upstream

__all__ = ["Deadlines", "Engine", "Outbound", "Response", "Upstream", "open_upstream"]
