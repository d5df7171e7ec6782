"""A connection's transport of the gateway's, by itself."""

import asyncio
from collections.abc import Collection

from gateway.lingering import Lingering


def lingering_on(
    inner: asyncio.Transport,
    *,
    patience: float = 1.0,
    under_way: Collection[object] = (),
    later: list[Lingering] | None = None,
) -> Lingering:
    """One on which the app is not sending; `later` gets it when it is to send what it has kept."""
    return Lingering(
        inner,
        unread=lambda: False,
        drop=lambda: None,
        patience=patience,
        under_way=under_way,
        later=(later if later is not None else []).append,
    )
