"""Notice a client's retry: the same `x-ms-client-request-id` again, after an answer that failed.

Azure SDKs keep that id over retries and polls, while each attempt has its own span and so its own
`traceparent`. Only the last failures are remembered, a fixed number of them.
"""

from collections import OrderedDict

from gateway.exchange import Exchange

MAX_REMEMBERED = 1024
MAX_ID_LENGTH = 128
"""Longer ids are not an SDK's; they are ignored rather than kept."""
CLIENT_ERROR = 400

Key = tuple[str, int]
"""The client's request id, and a hash of method and path: a retry sends the same request."""


class ClientRetries:
    """The failed requests of late, oldest first."""

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._failed: OrderedDict[Key, bytes | None] = OrderedDict()

    def is_retry(self, exchange: Exchange) -> bool:
        """Whether this finished exchange repeated a failed one; remembers how it ended itself.

        It failed where the app saw an error, or no whole answer at all.
        """
        status, failures = exchange.status, self._failed
        failed = status is None or status >= CLIENT_ERROR or exchange.client_left or exchange.cut
        request_id = exchange.client_request_id
        if not request_id or not (failed or failures) or len(request_id) > MAX_ID_LENGTH:
            return False
        key = (request_id, hash((exchange.method, exchange.raw_path)))
        if not failed and key not in failures:
            return False
        parent = _parent(exchange)
        again = key in failures and _differs(parent, failures[key])
        failures.pop(key, None)
        if failed:
            failures[key] = parent
            if len(failures) > self._limit:
                failures.popitem(last=False)
        return again


def _parent(exchange: Exchange) -> bytes | None:
    """The caller's span as it was sent; cut, because any caller can send any length."""
    value = exchange.header(b"traceparent")
    return None if value is None else value[:64]


def _differs(parent: bytes | None, earlier: bytes | None) -> bool:
    """Whether the two came from different spans; a client that does not trace cannot tell them apart."""
    return parent is None or earlier is None or parent != earlier
