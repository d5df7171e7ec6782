"""Who may see the page and `/api`: this machine, or whoever holds `admin.token`.

The peer is the socket's, never a header's. A browser on this machine is a loopback peer too, and a web page
can make it ask here under a name of its own (DNS rebinding), so without the token the Host must be ours.

The token comes as bearer token, or as the password of any user: that is how a browser can be asked for it.
"""

import base64
import hmac
import ipaddress

from starlette.requests import Request

from gateway.admin.logins import Logins
from gateway.config import Admin
from gateway.failures import Forbidden, GatewayError, Misdirected, Unauthorized

_LOOPBACK_NAME = "localhost"
_OWN_SITES = frozenset({None, "same-origin", "none"})
"""Who the browser says made it ask: no browser, a page of ours, or the user."""


class Access:
    """The rules of one admin listener."""

    def __init__(self, settings: Admin) -> None:
        self._bound = settings.host
        self._token = settings.token.get_secret_value().encode() if settings.token else None
        self._logins = Logins()

    def refusal(self, request: Request) -> GatewayError | None:
        """Why this request must not see anything, or None."""
        if foreign := self.foreign(request):
            return foreign
        if self._holds_token(request):
            return None
        peer = request.client.host if request.client else ""
        if not is_loopback(peer):
            if self._token is None:
                return Forbidden("Only this machine may see this; set admin.token to open it to others.")
            if "authorization" in request.headers:  # without it a browser has yet to ask for the password
                self._logins.refused(peer)
            return Unauthorized("Only this machine or a holder of admin.token may see this.")
        if not self._knows_host(request.headers.getlist("host")):
            return Misdirected("This Host is not the admin listener's.")
        return None

    def foreign(self, request: Request) -> GatewayError | None:
        """Why a web page of another origin must not make a browser ask here, or None (Fetch Metadata).

        A link may lead here from anywhere: that is a navigation, which shows nothing to where it came from.
        """
        site, mode = request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-mode")
        if site not in _OWN_SITES and mode != "navigate":
            return Forbidden("Web pages of other origins may not ask here.")
        origin = request.headers.get("origin")
        if origin is not None and origin.rpartition("/")[2] != request.headers.get("host"):
            return Forbidden("Web pages of other origins may not ask here.")
        return None

    def _holds_token(self, request: Request) -> bool:
        given = _token_of(request.headers.get("authorization", ""))
        return self._token is not None and given is not None and hmac.compare_digest(given, self._token)

    def _knows_host(self, values: list[str]) -> bool:
        if len(values) != 1:
            return False
        name = host_name(values[0])
        return name == _LOOPBACK_NAME or is_loopback(name) or (name == self._bound and not _is_any(name))


def _token_of(authorization: str) -> bytes | None:
    """The bearer token (RFC 6750) or the password (RFC 7617), in UTF-8; None where there is neither."""
    scheme, _, credential = authorization.partition(" ")
    credential = credential.strip()
    if scheme.lower() == "bearer":
        return credential.encode("latin-1")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credential, validate=True).partition(b":")[2]
    except ValueError:
        return None


def is_loopback(address: str) -> bool:
    """Whether an IP address, mapped ones included, is this machine's loopback; False for anything else."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def host_name(value: str) -> str:
    """A Host header less its port and brackets, in lower case (RFC 9110, section 7.2)."""
    if value.startswith("["):
        return value[1:].partition("]")[0].lower()
    return value.partition(":")[0].lower()


def _is_any(address: str) -> bool:
    """A wildcard address names every interface, so as a Host it names nothing."""
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False
