"""The admin listener's application: metrics, health, status and jobs.

app       the routes, and what each needs to read
access    who may see the page and `/api`
logins    refused logins, told in the log
health    readiness: named checks
api       `/api/…` as JSON
page/     `/` for people
replies   the headers and the error shape of every answer
"""

from gateway.admin.api import JobsView
from gateway.admin.app import MetricsView, create_admin
from gateway.admin.health import Health
from gateway.admin.page import brief

__all__ = ["Health", "JobsView", "MetricsView", "brief", "create_admin"]
