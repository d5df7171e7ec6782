"""Shared reads: many callers that ask for the same become one request to the upstream.

request       which reads can be shared, and what makes two of them the same
header_digest what a read says to the upstream besides its target
answer        what came back, and how it is given to a caller
shelf         answers kept for a moment, bounded
flight        one read under way, and the callers that wait for it
page          the jobs on a page, as the bytes they came in
gathering     reads that wait, and which of them could fly together
unlisted      what a list did not show
batch         one list request in place of several reads
freshness     for how long an answer may be given again
names         what the gateways of a fleet call a read
telling       an answer as one gateway tells it to the others
heard         an answer that another gateway told
wants         which jobs reads of other gateways wait for
question      which gateway reads, and who waits for it
fleet         reads shared by all gateways of a fleet
tower         a flight's way to its answer
shared        the room's verb
"""

from gateway.jobs.reads.answer import BYPASS, Given, ReadAnswer, Unshared
from gateway.jobs.reads.fleet import FleetReads
from gateway.jobs.reads.request import ReadKey, read_key
from gateway.jobs.reads.shared import Caller, SharedReads

__all__ = [
    "BYPASS",
    "Caller",
    "FleetReads",
    "Given",
    "ReadAnswer",
    "ReadKey",
    "SharedReads",
    "Unshared",
    "read_key",
]
