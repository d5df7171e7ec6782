"""How each client is told to trust the CA.

Python, curl, Node.js and Java are tried by the tests; .NET, Go, the Azure CLI and the systems' stores are as
their documentation has them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Way:
    """One kind of client."""

    client: str
    how: str
    """What to set or to run; `{ca}` stands for the CA's file."""
    note: str = ""

    def at(self, authority: Path) -> str:
        """What to set or to run for this CA."""
        return self.how.format(ca=authority)


BUNDLE: Final = 'cat "$(python -m certifi)" "{ca}" > bundle.pem'
"""Public CAs and ours in one file, for variables that replace what a client trusts."""

_WAYS: Final = (
    Way(
        "Azure SDK for Python, sync and aio",
        'DigitalTwinsClient(…, connection_verify="{ca}")',
        "for this client alone",
    ),
    Way(
        "Azure SDK for Python (sync), requests",
        'REQUESTS_CA_BUNDLE="{ca}"',
        "in place of the public CAs; where the app needs both, bundle.pem",
    ),
    Way(
        "Azure SDK for Python (aio), aiohttp, httpx",
        'SSL_CERT_FILE="{ca}"',
        "in place of the public CAs' file; where the app needs both, bundle.pem",
    ),
    Way("Azure CLI", "REQUESTS_CA_BUNDLE=bundle.pem", "it talks to Entra ID too, so it needs both"),
    Way(
        "Azure SDK for JavaScript, Node.js",
        'NODE_EXTRA_CA_CERTS="{ca}"',
        "beside the public CAs; read when the process starts",
    ),
    Way(
        "Azure SDK for .NET, Go: Linux",
        'SSL_CERT_FILE="{ca}"',
        "in place of the public CAs' file; else the system's store, below",
    ),
    Way("Azure SDK for .NET, Go: Windows", 'certutil -user -addstore Root "{ca}"'),
    Way(
        "Azure SDK for .NET, Go: macOS",
        'security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db "{ca}"',
    ),
    Way(
        "Java",
        'keytool -importcert -noprompt -cacerts -storepass changeit -alias adt-gateway -file "{ca}"',
        "as whoever owns the JDK",
    ),
    Way("curl", 'curl --cacert "{ca}" https://localhost:8080/…'),
    Way(
        "The system's store, Debian and Ubuntu",
        'cp "{ca}" /usr/local/share/ca-certificates/adt-gateway.crt && update-ca-certificates',
        "as root; in an image, with ca.pem alone",
    ),
)


def ways() -> tuple[Way, ...]:
    """All of them, in the order in which they are shown."""
    return _WAYS
