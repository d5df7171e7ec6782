"""What to do, in plain words: about a missing token, a connection that cannot be had, a certificate.

Entra's codes: https://learn.microsoft.com/entra/identity-platform/reference-error-codes. Verification codes
are OpenSSL's (x509_vfy.h).
"""

import errno
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TOKEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "IssuerUnreachable": "Check that this machine may reach the issuer: its name, DNS, firewall, and the"
        " CA (auth.oauth2.ca_file). Managed identity answers only on Azure, in a place that has one.",
        "IssuerTimeout": "Check that this machine may reach the issuer, and what stands between. auth.timeout"
        " is how long one request may take.",
        "IssuerStatus": "Try again; if it stays, check auth.oauth2.token_url or auth.entra.authority, and the"
        " issuer's health.",
        "IssuerResponse": "Check auth.oauth2.token_url: what answers there is not a token endpoint.",
        "InvalidClient": "Check client id and secret (its value, not its id), and that the secret or"
        " certificate has not expired.",
        "Refused": "Check scope (auth.scope), client id and what the issuer grants this client.",
        "CredentialUnavailable": "Check auth.entra.credential and what it needs: AZURE_TENANT_ID,"
        " AZURE_CLIENT_ID and a secret, certificate or federated token file; with managed identity that this"
        " place has one; with cli that somebody is logged in.",
        "SecretUnreadable": "Check path, owner and mode of the file: the gateway's user must be able to"
        " read it.",
        "TokenFileUnreadable": "Check auth.file.path and whatever writes that file.",
        "TokenMalformed": "Check what writes the token: it must be the bare token, on one line.",
        "TokenExpired": "Check what renews the token, and this machine's clock.",
        "Internal": "This is a bug of the gateway's: please report it.",
        "Closed": "Try again.",
    }
)
"""By the cause of a missing token, `innererror.code` of `GatewayTokenUnavailable`."""

_ENTRA: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AADSTS7000215": "The client secret is wrong. It must be the secret's value, not its id.",
        "AADSTS7000222": "The client secret has expired: make a new one for the application.",
        "AADSTS700016": "No application with this client id is in the tenant: check AZURE_CLIENT_ID and"
        " AZURE_TENANT_ID.",
        "AADSTS90002": "There is no such tenant: check AZURE_TENANT_ID, and AZURE_AUTHORITY_HOST in"
        " other clouds.",
        "AADSTS700027": "The certificate is not registered with the application, or has expired: upload it.",
        "AADSTS700024": "The client's assertion is expired or not valid yet: check this machine's clock and"
        " that the federated token file is renewed.",
        "AADSTS70021": "No federated credential matches: compare its issuer, subject and audience with those"
        " of the federated token.",
        "AADSTS700211": "No federated credential has this issuer: compare it with the cluster's OIDC"
        " issuer URL.",
        "AADSTS700212": "No federated credential has this audience; it is api://AzureADTokenExchange as"
        " a rule.",
        "AADSTS700213": "No federated credential has this subject: it is"
        " system:serviceaccount:<namespace>:<service account>.",
        "AADSTS500011": "The resource in auth.scope is not known in this tenant: for Azure Digital Twins it"
        " is https://digitaltwins.azure.net/.default.",
        "AADSTS70011": "auth.scope is not valid: for Azure Digital Twins it is"
        " https://digitaltwins.azure.net/.default.",
        "AADSTS1002012": "auth.scope must end in /.default for this kind of credential.",
    }
)
_ENTRA_CODE: Final = re.compile(r"AADSTS\d{4,8}")

_NO_ISSUER: Final = frozenset({2, 18, 19, 20, 21})
"""No issuer that is trusted: not found, self-signed, self-signed in the chain, not found
locally, no signer.
"""
_NOT_YET, _EXPIRED, _HOST, _ADDRESS = 9, 10, 62, 64
_OUTSIDE: Final = 47
_OPENSSL: Final = "httpx"
"""The engine that verifies with OpenSSL."""
_OWN_CA: Final = "CaUsedAsEndEntity"
"""The word of rustls for a server that shows a CA's certificate as its own."""
_ADT: Final = ".digitaltwins.azure.net"


def token_advice(reason: str, message: str) -> str:
    """What to do about a missing token; Entra's own code in the message says more than the reason."""
    for code in _ENTRA_CODE.findall(message):
        if code in _ENTRA:
            return _ENTRA[code]
    return TOKEN.get(reason, "Look at the message above.")


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


def proxy_advice(answer: str) -> str:
    """What to do where the proxy opens no tunnel; `answer` begins with its status."""
    if answer.startswith("407"):
        return "Put the proxy's user and password into upstream.proxy: http://user:password@host:port."
    return "Have the proxy allow CONNECT to this host and port, or check upstream.proxy."


def tls_advice(reason: str) -> str:
    """What to do where there is no TLS; `reason` is OpenSSL's, if it has one."""
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
    if engine == _OPENSSL:
        return "The step tls above got through with the same rules: try again."
    return (
        f"This engine ({engine}) accepts less than OpenSSL, which the step tls above used: have the upstream"
        " show a certificate of today's rules (X.509 v3, its hosts as subject alternative names), or set"
        f" upstream.engine = {_OPENSSL}."
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
        return "The host in upstream.base_url is not one that the certificate is for: use one of those above."
    if code == _OUTSIDE:
        return "The CA may not sign for this host: it needs a certificate of another CA."
    return "The upstream must show a valid certificate; until then nothing is sent to it."
