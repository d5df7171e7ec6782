"""Import and deletion jobs, as their answers pass by.

instants   times on the wire to nanoseconds, and back
model      kinds, statuses, and the small records that pass between these files
wire       a response body to job states
record     what is known of one job, and what a further sighting may change
ledger     every known job: counted once, bounded, cheap to read
shown      what one body says, and the records that say the same
observer   an exchange of the jobs routes to the ledger
patience   how long a caller waits for its turn
line       who has the next turn
pace       when the next turn is, for a gateway that decides alone
fleet_pace the same, for one of many
governor   turns, handed out: the pace of jobs requests
reads/     shared reads: kept, joined, batched
writes/    a repeated write is sent once
schedule   which unfinished job is to be read next
watcher    unfinished jobs followed to their end
rest       a sleep that can be ended
duty       which gateway of a fleet follows jobs
roster     the jobs there are, by id and by status
departed   those that left
takeover   what a gateway knows from the one before it
peers      what the other gateways of a fleet are to this room
shared     what a ledger has to do with theirs
fleet_ledger  the jobs that they know
ends       job ends, each told by one gateway
stored     a record to bytes for a store, and back
stores/    where the ledger and the writes outlive the process
view       a record as JSON
"""

from gateway.jobs.governor import Governor, Priority
from gateway.jobs.ledger import Ledger
from gateway.jobs.model import STATUSES, FinishedJob, LedgerSnapshot, SpanContext
from gateway.jobs.observer import JobObserver
from gateway.jobs.record import JobRecord
from gateway.jobs.schedule import WatchRead
from gateway.jobs.view import job_view
from gateway.jobs.watcher import ReadOutcome, Watcher

__all__ = [
    "STATUSES",
    "FinishedJob",
    "Governor",
    "JobObserver",
    "JobRecord",
    "Ledger",
    "LedgerSnapshot",
    "Priority",
    "ReadOutcome",
    "SpanContext",
    "WatchRead",
    "Watcher",
    "job_view",
]
