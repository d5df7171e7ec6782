"""What to do, in plain words: about a connection that cannot be had, a certificate.

Verification codes are OpenSSL's (x509_vfy.h).
"""

import errno
from typing import Final

_NO_ISSUER: Final = frozenset({2, 18, 19, 20, 21})
"""No issuer that is trusted: not found, self-signed, self-signed in the chain, not found
locally, no signer.
"""
_NOT_YET, _EXPIRED, _HOST, _ADDRESS = 9, 10, 62, 64
_OUTSIDE: Final = 47
_OPENSSL: Final = ("asyncio", "httpx")
"""The engines that verify with OpenSSL, the better one first."""
_OWN_CA: Final = "CaUsedAsEndEntity"
"""The word of rustls for a server that shows a CA's certificate as its own."""
SILENT: Final = "silent"
"""Stands for a handshake that had no answer in time."""
_ADT: Final = ".digitaltwins.azure.net"


def resolution_advice(host: str) -> str:
    """What to do where a name has no address."""
    if host.endswith(_ADT):
        return (
            "Check the instance's host name (Azure portal, Overview) in upstream.base_url, and this machine's"
            " DNS. With a private endpoint, the zone privatelink.digitaltwins.azure.net must be linked to"
            " this network. Where only a proxy may resolve names, set upstream.proxy."
        )
    return "Check the host in upstream.base_url or upstream.proxy, and this machine's DNS."


def connect_advice(number: int, *, proxy: bool) -> str:
    """What to do where TCP fails, by the error's number."""
    key = "upstream.proxy" if proxy else "upstream.base_url"
    if number == errno.ECONNREFUSED:
        return f"Nothing listens there: check host and port in {key}."
    direct = "" if proxy else " Where only a proxy may go out, set upstream.proxy."
    return f"A firewall, network policy or missing route is in the way, or {key} is wrong.{direct}"


def proxy_advice(answer: str, *, authenticated: bool) -> str:
    """What to do where the proxy opens no tunnel; `answer` begins with its status."""
    if answer.startswith("407") and authenticated:
        return (
            "The proxy does not take the user and password in upstream.proxy: check them (in a URL @ is %40,"
            " : is %3A), and that the proxy knows HTTP Basic."
        )
    if answer.startswith("407"):
        return "Put the proxy's user and password into upstream.proxy: http://user:password@host:port."
    return "Have the proxy allow CONNECT to this host and port, or check upstream.proxy."


def silent_proxy_advice() -> str:
    """What to do where the proxy takes the connection and does not answer."""
    return "Check host and port in upstream.proxy: what listens there is no HTTP proxy, or one that hangs."


def tls_advice(reason: str) -> str:
    """What to do where there is no TLS; `reason` is OpenSSL's, if it has one, or `SILENT`."""
    if reason == SILENT:
        return (
            "What takes the connection does not begin TLS: check scheme and port in upstream.base_url (it may"
            " wait for plain http), and what stands between, such as a firewall that filters by host name."
        )
    if reason == "WRONG_VERSION_NUMBER":
        return "What answers does not speak TLS: check scheme and port in upstream.base_url."
    if "CERTIFICATE_REQUIRED" in reason:
        return (
            "What answers wants a client certificate, which Azure Digital Twins does not: check"
            " upstream.base_url."
        )
    return (
        "Something between cuts the connection, as firewalls do that filter by host name, or what answers is"
        " not the upstream."
    )


def engine_advice(engine: str, reason: str) -> str:
    """What to do about a certificate that OpenSSL accepts and the gateway's engine does not, for `reason`."""
    if _OWN_CA in reason:
        return (
            f"A certificate that is its own CA is not accepted as a server's by this engine ({engine}): sign"
            " it with a CA (adt-gateway certs makes one), and put that CA into upstream.ca_file."
        )
    if engine in _OPENSSL:
        return "The step tls above got through with the same rules: try again."
    return (
        f"This engine ({engine}) accepts less than OpenSSL, which the step tls above used: have the upstream"
        " show a certificate of today's rules (X.509 v3, its hosts as subject alternative names), or set"
        f" upstream.engine = {_OPENSSL[0]}."
    )


def certificate_advice(code: int, issuer: str | None, *, has_ca_file: bool) -> str:
    """What to do about a certificate that is not accepted; `code` is OpenSSL's."""
    if code in _NO_ISSUER:
        named = "its CA" if issuer is None else f"the CA {issuer}"
        also = "The CA in upstream.ca_file is another one. " if has_ca_file else ""
        return (
            f"{also}No CA that is trusted here has signed it. If {named} is your own, or that of a proxy that"
            " inspects TLS, put it into upstream.ca_file (PEM); else do not trust it: somebody may be"
            " listening."
        )
    if code in {_NOT_YET, _EXPIRED}:
        return "Check this machine's clock; if it is right, the upstream must renew its certificate."
    if code in {_HOST, _ADDRESS}:
        return (
            "If one of the names above is that of your instance, correct upstream.base_url. Else something"
            " answers in the instance's place (a proxy that inspects TLS, a firewall, a wrong DNS entry): do"
            " not use it, and nothing is sent to it."
        )
    if code == _OUTSIDE:
        return "The CA may not sign for this host: it needs a certificate of another CA."
    return "The upstream must show a valid certificate; until then nothing is sent to it."
