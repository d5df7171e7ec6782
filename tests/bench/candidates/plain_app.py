"""The gateway one would write in an afternoon: Starlette, httpx, stock instrumentation, prometheus_client.

Runs under uvicorn in the benchmark's own environment; UPSTREAM and TOKEN are environment variables.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import (  # type: ignore[import-not-found]  # not in this environment
    OpenTelemetryMiddleware,
)
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Counter, Histogram, make_asgi_app
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Mount, Route

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}
REQUESTS = Counter("requests", "Requests.", ["method", "status"])
SECONDS = Histogram("request_seconds", "Time to the response head.", ["method"])

trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # type: ignore[attr-defined]
HTTPXClientInstrumentor().instrument()
client = httpx.AsyncClient(
    base_url=os.environ["UPSTREAM"],
    timeout=60.0,
    limits=httpx.Limits(max_connections=600, max_keepalive_connections=600),
)


async def forward(request: Request) -> StreamingResponse:
    """Pass a request on with a token, and stream the answer."""
    headers = [(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP]
    headers.append(("authorization", f"Bearer {os.environ['TOKEN']}"))
    target = httpx.URL(path=request.url.path, query=request.url.query.encode())
    body = request.stream() if request.method in {"PUT", "POST", "PATCH"} else None
    with SECONDS.labels(request.method).time():
        answer = await client.send(
            client.build_request(request.method, target, headers=headers, content=body), stream=True
        )
    REQUESTS.labels(request.method, answer.status_code).inc()
    kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
    return StreamingResponse(
        answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose)
    )


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Close the client at the end."""
    async with client:
        yield


METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]
app = Starlette(
    routes=[Mount("/metrics", make_asgi_app()), Route("/{path:path}", forward, methods=METHODS)],
    middleware=[Middleware(OpenTelemetryMiddleware, excluded_urls="metrics")],
    lifespan=lifespan,
)
