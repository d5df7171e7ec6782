"""Job writes that an SDK repeats: one send, and the answer of that send given again.

fingerprint  what makes two requests one write, and an operation-id made from it
record       what is kept of a write, in memory and in the store
fleet        the same writes at other gateways
shelf        the records: bounded, expiring, in the store
once         claims: who may send a write, and what is known of its earlier sends
reading      what is read where an outcome is unknown, and when a job was created
judge        what that read says about the write
"""

from gateway.jobs.writes.fingerprint import Fingerprint, can_be_told, fingerprint, operation_id
from gateway.jobs.writes.fleet import FleetWrites
from gateway.jobs.writes.judge import Answer, SendAgain, StillUnknown, UnknownWrite, Verdict, judge
from gateway.jobs.writes.once import KEEP, Claim, WritesOnce
from gateway.jobs.writes.reading import DEFAULT_API_VERSION, JobRead, read_target
from gateway.jobs.writes.record import Recorded

__all__ = [
    "DEFAULT_API_VERSION",
    "KEEP",
    "Answer",
    "Claim",
    "Fingerprint",
    "FleetWrites",
    "JobRead",
    "Recorded",
    "SendAgain",
    "StillUnknown",
    "UnknownWrite",
    "Verdict",
    "WritesOnce",
    "can_be_told",
    "fingerprint",
    "judge",
    "operation_id",
    "read_target",
]
