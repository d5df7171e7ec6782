"""An ASGI application on a real socket, served by uvicorn in the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


@asynccontextmanager
async def served(app: Application, host: str = "127.0.0.1", *, http: Any = "auto") -> AsyncIterator[int]:
    """The port of the application while the block runs; `http` is uvicorn's protocol.

    Forwarded headers are not trusted.
    """
    listener = socket.create_server((host, 0))
    config = uvicorn.Config(
        app, http=http, lifespan="off", ws="none", log_config=None, access_log=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield int(listener.getsockname()[1])
    finally:
        await server.shutdown(sockets=[listener])
        listener.close()
        await asyncio.sleep(0)
