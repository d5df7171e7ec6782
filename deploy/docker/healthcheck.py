"""Whether a URL answers 200: exit 0, else 1. Without an argument: /livez of the gateway in this container.

The admin listener's address comes from the environment, else from /etc/adt-gateway/config.toml, else it is
the default; of an address that means every interface, loopback is asked.
"""

import http.client
import os
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

CONFIG = Path("/etc/adt-gateway/config.toml")
SECONDS = 3


def livez() -> str:
    """The address of the gateway's own /livez."""
    try:
        admin = tomllib.loads(CONFIG.read_text()).get("admin", {})
    except FileNotFoundError:
        admin = {}
    host = os.environ.get("ADT_GATEWAY_ADMIN__HOST") or admin.get("host", "127.0.0.1")
    port = os.environ.get("ADT_GATEWAY_ADMIN__PORT") or admin.get("port", 9464)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked, not bound
    return f"http://[{host}]:{port}/livez" if ":" in host else f"http://{host}:{port}/livez"


def answers(url: str) -> bool:
    """Whether a GET of the URL gets 200 in time."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1] if sys.argv[1:] else livez()) else 1)
