"""What a request of the Jobs API goes through before the attempts: shared, paced, sent once.

turns      the governor's turns, as an exchange takes them
fetching   a read whose answer several may get
answers    an answer that is at hand, for the rest of the story
reading    an app's read: kept, shared, or by itself
writing    an app's write: once
repeats    a write that was sent before, or may have been
watching   the watcher's reads
fleet      the same for all gateways of a fleet
open       all of it, made when the gateway starts
"""

from gateway.job_requests.answers import AnswerAtHand
from gateway.job_requests.fleet import Company
from gateway.job_requests.open import JobsSide, open_jobs
from gateway.job_requests.reading import JobReads
from gateway.job_requests.writing import JobWrites

__all__ = ["AnswerAtHand", "Company", "JobReads", "JobWrites", "JobsSide", "open_jobs"]
