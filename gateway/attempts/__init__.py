"""The attempts of one exchange: token, headers, client span, round trip; once more where that is safe.

attempts    makes them, until one has the answer
round_trip  one of them, while it lasts
again       which failures are tried again
app_side    for whom they are made
"""

from gateway.attempts.again import SAFE
from gateway.attempts.app_side import AppSide, Turn
from gateway.attempts.attempts import Attempts
from gateway.attempts.round_trip import RoundTrip, Told

__all__ = ["SAFE", "AppSide", "Attempts", "RoundTrip", "Told", "Turn"]
