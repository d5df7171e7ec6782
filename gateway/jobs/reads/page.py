"""The jobs on a page of a list, as the bytes they came in."""

from collections.abc import Collection

from gateway.exchange import RawHeaders
from gateway.jobs.reads.answer import ReadAnswer
from gateway.jobs.wire import MAX_ITEMS, Unreadable, read_job, read_page

_OK = 200
_OF_THE_LIST = frozenset({b"etag", b"last-modified", b"content-length", b"link"})


def jobs_on(kind: str, answer: ReadAnswer, wanted: Collection[str] | None) -> dict[str, ReadAnswer] | None:
    """An answer for each wanted job on the page, its body the exact bytes of the item; None where it is none.

    `wanted` None is all of them. An id that stands there twice is left out: nobody knows which is meant.
    Read as far as the ledger reads.
    """
    coded = any(name == b"content-encoding" and value != b"identity" for name, value in answer.headers)
    if answer.status != _OK or answer.rest is not None or coded:
        return None
    try:
        items = read_page(answer.body)
    except Unreadable:
        return None
    shared = [pair for pair in answer.headers if pair[0] not in _OF_THE_LIST]
    found: dict[str, ReadAnswer | None] = {}
    for item in items[:MAX_ITEMS]:
        try:
            job = read_job(kind, item)
        except Unreadable:
            continue
        if wanted is not None and job.id not in wanted:
            continue
        found[job.id] = (
            None if job.id in found else _alone(answer, shared, bytes(item), job.id, job.status_text)
        )
    return {job_id: job for job_id, job in found.items() if job is not None}


def _alone(
    page: ReadAnswer, headers: RawHeaders, body: bytes, job_id: str, job_status: str | None
) -> ReadAnswer:
    return ReadAnswer(
        page.status,
        [*headers, (b"content-length", b"%d" % len(body))],
        body,
        page.sent_at,
        page.came_at,
        page.trace,
        page.attempts,
        job_id,
        job_status,
        batched=True,
        elsewhere=page.elsewhere,
    )
