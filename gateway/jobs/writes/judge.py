"""What a read of the job says about a write of unknown outcome: done, not done, or still unknown.

A wrong "done" hides a write that never happened; a wrong "not done" deletes or imports twice. Where a read
proves neither, the write stays unknown, and the app is told so.
"""

from dataclasses import dataclass, field
from typing import Final

from gateway.exchange import RawHeaders
from gateway.jobs.model import JobState
from gateway.jobs.wire import MAX_ITEMS, Unreadable, read_job
from gateway.jobs.writes.fingerprint import Fingerprint, is_plain_id
from gateway.jobs.writes.reading import Created, JobRead, blob_uris, created, deletion_path, whole_list
from gateway.jobs.writes.record import Recorded

_OK: Final = 200
_CANCEL_TAKEN: Final = frozenset({"cancelling", "cancelled"})
_TAKEN_OVER: Final = (b"date", b"retry-after", b"x-ms-request-id")


@dataclass(frozen=True, slots=True)
class UnknownWrite:
    """A write that was sent, and what came of it is not known."""

    fingerprint: Fingerprint
    body: bytes | None = field(repr=False)
    query: bytes
    """That of `read_target`: `api-version` and nothing else."""
    sent: float
    """`Claim.unknown_since`, taken together with `JobRead.at`."""
    done: bool = False
    """It succeeded, only its answer is gone: it is never sent again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The write was carried out; this is what it is answered with, its links not yet rewritten."""

    recorded: Recorded
    job_id: str | None


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The write was not carried out, or a repeat of it is refused or does no harm."""


@dataclass(frozen=True, slots=True)
class StillUnknown:
    """The read proves nothing."""

    why: str
    """For the log and the app; from a closed set."""


Verdict = Answer | SendAgain | StillUnknown


def judge(write: UnknownWrite, read: JobRead) -> Verdict:
    """The verdict on a write, from the answer to its `read_target`. Never raises, whatever the answer."""
    target = write.fingerprint
    if target.kind == "deletion" and target.job_id is None:
        verdict = _listed(write, read)
    elif read.says_not_found(target.kind):
        verdict = _gone(write, read)
    else:
        verdict = _shown(write, read)
    if write.done and isinstance(verdict, SendAgain):
        return StillUnknown("the write was done, but what it made is no longer there")
    return verdict


def _gone(write: UnknownWrite, read: JobRead) -> Verdict:
    if write.fingerprint.operation == "delete":
        return Answer(Recorded(204, _headers(read), b""), write.fingerprint.job_id)
    return SendAgain()


def _shown(write: UnknownWrite, read: JobRead) -> Verdict:
    target = write.fingerprint
    if read.status != _OK or read.body is None:
        return StillUnknown("the job could not be read")
    try:
        job = read_job(target.kind, read.body, target.job_id)
    except Unreadable:
        return StillUnknown("the answer to the read is not a job")
    when = created(job.created, read, write.sent)
    if target.operation == "add":
        return _added(write, read, job, when)
    if target.operation == "cancel":
        return _cancelled(read, job, when)
    return _deleted(write, read, when)


def _added(write: UnknownWrite, read: JobRead, job: JobState, when: Created | None) -> Verdict:
    """The id is unique at the service, which refuses a repeat where it is taken."""
    if when is None:
        return StillUnknown("the job's creation cannot be set against the send")
    if when is Created.BEFORE:
        return SendAgain()
    body = read.body or b""
    if write.fingerprint.kind == "deletion":
        if job.id != write.fingerprint.job_id:
            return StillUnknown("the answer to the read is another job")
        return _deletion_added(write, read, job.id, body)
    wanted, there = blob_uris(write.body or b""), blob_uris(body)
    if wanted is None or there is None:
        return StillUnknown("the blob URIs cannot be compared")
    return Answer(Recorded(201, _headers(read, body), body), job.id) if wanted == there else SendAgain()


def _cancelled(read: JobRead, job: JobState, when: Created | None) -> Verdict:
    if when is Created.AFTER:
        return StillUnknown("the id has been used again since")
    if job.status in _CANCEL_TAKEN:
        body = read.body or b""
        return Answer(Recorded(200, _headers(read, body), body), job.id)
    return StillUnknown("the job has no status") if job.status_text is None else SendAgain()


def _deleted(write: UnknownWrite, read: JobRead, when: Created | None) -> Verdict:
    if when is Created.AFTER:
        return _gone(write, read)
    if when is Created.BEFORE:
        return SendAgain()
    return StillUnknown("it cannot be told whether the job is the one to delete")


def _listed(write: UnknownWrite, read: JobRead) -> Verdict:
    """A deletion without an id: one sent twice deletes twice, so that nothing here lets it go again."""
    items = whole_list(read.body) if read.status == _OK and read.body is not None else None
    if items is None or len(items) > MAX_ITEMS:
        return StillUnknown("the deletions could not be read in one page")
    since: list[tuple[str, bytes]] = []
    for item in items:
        try:
            job = read_job("deletion", item)
        except Unreadable:
            return StillUnknown("a deletion in the list cannot be read")
        when = created(job.created, read, write.sent)
        if when is None:
            return StillUnknown("a deletion's creation cannot be set against the send")
        if when is not Created.BEFORE:
            since.append((job.id, bytes(item)))
    if len(since) != 1 or not is_plain_id(since[0][0]):
        return StillUnknown("no single deletion was created since")
    return _deletion_added(write, read, *since[0])


def _deletion_added(write: UnknownWrite, read: JobRead, job_id: str, body: bytes) -> Answer:
    headers = _headers(read, body)
    headers.append((b"operation-location", deletion_path(job_id) + b"?" + write.query))
    headers.append((b"operation-id", job_id.encode()))
    return Answer(Recorded(202, headers, body), job_id)


def _headers(read: JobRead, body: bytes | None = None) -> RawHeaders:
    """What of the read's headers is true of the write's answer too."""
    headers = [pair for pair in read.headers if pair[0] in _TAKEN_OVER]
    if body is not None:
        kind = next((value for name, value in read.headers if name == b"content-type"), b"application/json")
        headers += [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    return headers
