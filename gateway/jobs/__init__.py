"""Import and deletion jobs, as their answers pass by.

instants   times on the wire to nanoseconds, and back
model      kinds, statuses, and the small records that pass between these files
wire       a response body to job states
record     what is known of one job, and what a further sighting may change
ledger     every known job: counted once, bounded, cheap to read
observer   an exchange of the jobs routes to the ledger
view       a record as JSON
"""

from gateway.jobs.ledger import Ledger
from gateway.jobs.model import STATUSES, FinishedJob, LedgerSnapshot, SpanContext
from gateway.jobs.observer import JobObserver
from gateway.jobs.record import JobRecord
from gateway.jobs.view import job_view

__all__ = [
    "STATUSES",
    "FinishedJob",
    "JobObserver",
    "JobRecord",
    "Ledger",
    "LedgerSnapshot",
    "SpanContext",
    "job_view",
]
