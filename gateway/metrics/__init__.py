"""What Prometheus sees: every metric of the gateway, with label values from closed sets only.

`Metrics` reads finished exchanges and what other rooms tell it; it decides nothing. Names, units and labels
are a contract with dashboards and alert rules.
"""

from gateway.metrics.job_series import JobState
from gateway.metrics.jobs import JobsView
from gateway.metrics.registry import Metrics

__all__ = ["JobState", "JobsView", "Metrics"]
