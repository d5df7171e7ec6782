"""When to leave the upstream alone, and when to try once more; pure state machines on injected clocks.

window    two counts over the last seconds, in memory that does not grow
verdict   what an attempt says of the upstream's health
breaker   the circuit: closed, open, half open
retries   how often may be tried again, and after what pause
"""

from gateway.resilience.breaker import STATES, Breaker, CircuitView
from gateway.resilience.retries import Retries

__all__ = ["STATES", "Breaker", "CircuitView", "Retries"]
