"""Where a trace and a job are shown."""

import re
from urllib.parse import quote

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SCHEMES = ("http://", "https://")
_DOTS = frozenset({"", ".", ".."})


def trace_link(ui_url: str | None, trace_id: str | None, *, sampled: bool) -> str | None:
    """The trace in the tracing UI; None where no UI is set, or where it never got the trace."""
    if not sampled or ui_url is None or trace_id is None or not _TRACE_ID.fullmatch(trace_id):
        return None
    # The configuration allows no other scheme; this keeps a script's URL out whatever becomes of that rule.
    return ui_url.replace("{trace_id}", trace_id) if ui_url.lower().startswith(_SCHEMES) else None


def job_link(kind: str, job_id: str) -> str | None:
    """All that is known of a job, as JSON; None for an id that a browser or the router takes for none."""
    if job_id in _DOTS or "\n" in job_id:
        return None
    return f"api/jobs/{quote(kind, safe='')}/{quote(job_id, safe='')}"
