"""Finished exchanges, as the rooms that tell the story get them."""

from gateway.exchange import Attempt, Exchange, Route, TraceIds

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"


def trace(*, sampled: bool = True) -> TraceIds:
    """The exchange's place in a trace."""
    return TraceIds(TRACE_ID, SPAN_ID, sampled=sampled, response_header=b"")


def finished(
    method: str = "GET",
    path: bytes = b"/jobs/imports/one",
    template: str = "/jobs/imports/{id}",
    status: int | None = 200,
) -> Exchange:
    """An exchange of 0.5 s with one attempt of 0.3 s and 0.1 s of waiting for the app."""
    failed = str(status) if status is not None and status >= 400 else None
    return Exchange(
        method,
        path,
        b"api-version=2023-10-31",
        [],
        client="127.0.0.1",
        started=10.0,
        route=Route(template),
        trace=trace(),
        attempts=[Attempt(0, started=10.1, finished=10.4, status=status, error_type=failed)],
        status=status,
        error_type=failed if status is not None and status >= 500 else None,
        app_wait=0.1,
        upstream_wait=0.3,
        finished=10.5,
    )
