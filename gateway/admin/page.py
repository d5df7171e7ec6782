"""`/`: health and links, for people; no script, no style, nothing from elsewhere."""

from html import escape

from starlette.responses import HTMLResponse, Response

from gateway.admin.health import Health
from gateway.admin.replies import safe

_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_LINKS = ("/metrics", "/livez", "/readyz?verbose", "/api/status", "/api/jobs")


def render(health: Health) -> Response:
    """The page as it is now."""
    checks = "".join(
        f"<li>{escape(check.name)}: {'ok' if check.ok else 'failed'} ({escape(check.detail)})</li>"
        for check in health.report()
    )
    links = "".join(f'<li><a href="{escape(link)}">{escape(link)}</a></li>' for link in _LINKS)
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>adt-gateway</title></head>'
        f"<body><h1>adt-gateway: {'ready' if health.ready else 'not ready'}</h1>"
        f"<ul>{checks}</ul><ul>{links}</ul></body></html>\n"
    )
    headers = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
    return safe(HTMLResponse(body, headers=headers))
