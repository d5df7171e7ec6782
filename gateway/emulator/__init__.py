"""An emulator of the Azure Digital Twins data plane, Jobs API first, with a token issuer and fault control.

It stands for Azure: it imports nothing else of this project, keeps everything in memory and needs no
account. The files, in the order in which a request meets them:

- `server`: a real listener around the app; start, stop, cut connections
- `settings`, `clock`: what can be chosen, and the time everything is reckoned by
- `app`, `arrival`: one request from its first byte to its answer; a request as it came
- `journal`: what arrived, for `/_emulator/requests`
- `faults`, `strange`, `delivery`: which request goes wrong, how, and how an answer is put on the wire
- `exchange`, `routing`: the request and the answer as values; paths to operations
- `guards`: token, api-version and rate of a request
- `issuer`: OAuth2 client credentials, signed tokens, keys
- `jobs`, `jobs_api`: job records that advance with the clock; the eight operations
- `importer`: an NDJSON file becomes models, twins and relationships
- `graph`, `dtdl`, `json_patch`: the twin graph and what may enter it
- `models_api`, `twins_api`, `relationships_api`, `event_routes_api`: the rest of the data plane
- `query`, `query_api`: a small part of the query language
- `blobs`: the blob path that import jobs read and write
- `control`: `/_emulator/...`
- `state`: everything that lives longer than a request
- `samples/`: NDJSON files to import, one good and one with a broken model
"""

from gateway.emulator.app import Emulator, create_emulator
from gateway.emulator.clock import Clock, utc_now
from gateway.emulator.samples import sample
from gateway.emulator.server import RunningEmulator, running_emulator, serve
from gateway.emulator.settings import EmulatorSettings

__all__ = [
    "Clock",
    "Emulator",
    "EmulatorSettings",
    "RunningEmulator",
    "create_emulator",
    "running_emulator",
    "sample",
    "serve",
    "utc_now",
]
