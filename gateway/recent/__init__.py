"""The last minutes, kept for the status page: requests, failures and durations in steps, errors by code."""

from gateway.recent.exchanges import Recent, UpstreamHealth
from gateway.recent.steps import WINDOW

__all__ = ["WINDOW", "Recent", "UpstreamHealth"]
