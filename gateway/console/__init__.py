"""The jobs as people see them in a terminal: what the gateway knows, asked for over its listeners.

reach      where the gateway listens, and what opens it
client     one question each, and one clear line for whatever goes wrong
trust      trust in the gateway's certificate
job        a job as the gateway tells it
text       values as text that cannot take hold of a terminal
tables     list, sheet of one job, progress
progress   rate of polls, and the expected end
watch      following jobs to their end
display    live, line by line, or as JSON lines
"""

from gateway.console.client import Admin, Failure, Refused, cancel
from gateway.console.display import JsonLines, Lines, Live
from gateway.console.job import as_json
from gateway.console.reach import BadUsage, admin_reach, data_reach
from gateway.console.tables import cancelled_sheet, job_sheet, jobs_table
from gateway.console.text import printable
from gateway.console.watch import Watch, follow

__all__ = [
    "Admin",
    "BadUsage",
    "Failure",
    "JsonLines",
    "Lines",
    "Live",
    "Refused",
    "Watch",
    "admin_reach",
    "as_json",
    "cancel",
    "cancelled_sheet",
    "data_reach",
    "follow",
    "job_sheet",
    "jobs_table",
    "printable",
]
