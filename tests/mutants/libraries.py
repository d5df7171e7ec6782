"""What is imported once, before the processes of a run are forked: libraries, and nothing of the gateway."""

import gc
from importlib import import_module

for _library in (
    "_pytest.runner",
    "hypothesis.strategies",
    "pytest_asyncio.plugin",
    "azure.identity.aio",
    "aiohttp",
    "cryptography.x509",
    "httpx",
    "msgspec",
    "opentelemetry.sdk.trace.export",
    "prometheus_client",
    "pydantic",
    "pyreqwest.client",
    "requests",
    "starlette.applications",
    "structlog",
    "trustme",
    "uvicorn",
):
    import_module(_library)

# What is there before a fork is left alone by the collector, so that memory stays shared.
gc.freeze()
