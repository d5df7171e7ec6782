"""What to do about a missing token, in plain words.

Entra's codes: https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_CHECK_ENDPOINT: Final = (
    "Check auth.oauth2.token_url: what answers there is not a token endpoint of this client's."
)
_CHECK_AUTHORITY: Final = (
    "Check auth.entra.authority or AZURE_AUTHORITY_HOST: what answers there is not Entra. Behind a proxy or"
    " firewall, something may have answered in its place."
)
_NETWORK: Final = "this machine's DNS, and what stands between (firewall, network policy)."
_DISTRUST: Final = "else do not trust it: somebody may be listening."

TOKEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "IssuerUnreachable": f"Check that this machine may reach the issuer: its name, {_NETWORK}",
        "IssuerTimeout": "Check that this machine may reach the issuer, and what stands between. auth.timeout"
        " is how long one request may take.",
        "IssuerStatus": "Try again; if it stays, look at the issuer's health.",
        "IssuerResponse": "What answers is not the issuer: check where it is asked for.",
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

_OAUTH2: Final[Mapping[str, str]] = MappingProxyType(
    {
        "IssuerUnreachable": f"Check the issuer's host and port in auth.oauth2.token_url, {_NETWORK}",
        "IssuerResponse": _CHECK_ENDPOINT,
        "InvalidClient": "Check auth.oauth2.client_id and the client's secret (its value, not its id), and"
        " that the secret has not expired.",
        "TokenMalformed": _CHECK_ENDPOINT,
    }
)
_ENTRA: Final[Mapping[str, str]] = MappingProxyType(
    {
        "IssuerUnreachable": f"Check auth.entra.authority or AZURE_AUTHORITY_HOST where one is set,"
        f" {_NETWORK} Proxies of the environment are not used.",
        "IssuerResponse": _CHECK_AUTHORITY,
        "TokenMalformed": _CHECK_AUTHORITY,
    }
)
_METADATA: Final = (
    "Managed identity answers only on Azure, in a place that has one: check that it is assigned here, with"
    " AZURE_CLIENT_ID (or auth.entra.client_id) where it is a user-assigned one, or choose another"
    " auth.entra.credential."
)
_TENANT_AND_CLIENT: Final = "Check tenant id and client id (auth.entra or AZURE_TENANT_ID, AZURE_CLIENT_ID)"
_CREDENTIALS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "client_secret": {"CredentialUnavailable": f"{_TENANT_AND_CLIENT} and the client secret."},
        "certificate": {
            "CredentialUnavailable": f"{_TENANT_AND_CLIENT} and auth.entra.certificate_file: certificate and"
            " private key in PEM."
        },
        "workload_identity": {
            "CredentialUnavailable": f"{_TENANT_AND_CLIENT} and the federated token file"
            " (AZURE_FEDERATED_TOKEN_FILE), which the cluster's webhook sets as a rule."
        },
        "managed_identity": dict.fromkeys(("CredentialUnavailable", "IssuerUnreachable"), _METADATA),
        "cli": {
            "CredentialUnavailable": "Log in with az login, as the user that the gateway runs as, and have az"
            " in its PATH."
        },
        "default": {},
    }
)
"""By `auth.entra.credential`, what differs from the other ones."""

_CODES: Final[Mapping[str, str]] = MappingProxyType(
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
_CODE: Final = re.compile(r"AADSTS\d{4,8}")
_STATUS: Final = re.compile(r"\banswered ([1-4]\d\d)\b")
_BUSY: Final = frozenset({"408", "425", "429"})
_CERTIFICATE: Final = "certificate is not accepted"


def token_advice(reason: str, message: str, way: str = "") -> str:
    """What to do about a missing token.

    `way` is `auth.mode`, or for Entra the name of the credential. Entra's own code in the message says more
    than the reason.
    """
    for code in _CODE.findall(message):
        if code in _CODES:
            return _CODES[code]
    if _CERTIFICATE in message and way in {"oauth2", *_CREDENTIALS}:
        return _certificate_advice(way)
    status = _STATUS.search(message)
    if reason == "IssuerStatus" and status is not None and status[1] not in _BUSY:
        return _CHECK_ENDPOINT if way == "oauth2" else _CHECK_AUTHORITY
    return {**TOKEN, **_special(way)}.get(reason, "Look at the message above.")


def _special(way: str) -> Mapping[str, str]:
    if way == "oauth2":
        return _OAUTH2
    return {**_ENTRA, **_CREDENTIALS[way]} if way in _CREDENTIALS else {}


def _certificate_advice(way: str) -> str:
    if way == "oauth2":
        return (
            "If its CA is your own, or that of a proxy that inspects TLS, put it into auth.oauth2.ca_file"
            f" (PEM); {_DISTRUST}"
        )
    return (
        "Entra's certificates are of public CAs. If this one is of a proxy that inspects TLS, put the proxy's"
        " CA into this system's store, or name in SSL_CERT_FILE a file with the public CAs and this one;"
        f" {_DISTRUST}"
    )
