"""The last minutes, kept for the status page: requests, failures and durations in steps, errors by code."""

from gateway.recent.errors import CODES, LATEST
from gateway.recent.exchanges import Recent, UpstreamHealth
from gateway.recent.steps import STEP, WINDOW

__all__ = ["CODES", "LATEST", "STEP", "WINDOW", "Recent", "UpstreamHealth"]
