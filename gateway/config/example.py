"""`config.example.toml`, made from the sections: every key, its default and its docstring.

`python -m gateway.config.example > config.example.toml` writes it again.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from gateway.config.keys import CATALOGUE, Key
from gateway.config.problem import dotted

EXAMPLES: Mapping[str, Any] = MappingProxyType(
    {
        "upstream.base_url": "https://example.api.weu.digitaltwins.azure.net",
        "upstream.proxy": "http://proxy.example:3128",
        "upstream.ca_file": "/etc/adt-gateway/upstream-ca.pem",
        "listen.unix_socket": "/run/adt-gateway/gateway.sock",
        "listen.public_base_url": "http://adt-gateway.example:8080",
        "listen.allowed_hosts": ["localhost", "127.0.0.1"],
        "listen.tls.certificate_file": "/etc/adt-gateway/tls.crt",
        "listen.tls.key_file": "/etc/adt-gateway/tls.key",
        "listen.tls.client_ca_file": "/etc/adt-gateway/client-ca.pem",
        "admin.token": "…",
        "auth.entra.tenant_id": "00000000-0000-0000-0000-000000000000",
        "auth.entra.client_id": "00000000-0000-0000-0000-000000000000",
        "auth.entra.client_secret": "…",
        "auth.entra.client_secret_file": "/run/secrets/client-secret",
        "auth.entra.certificate_file": "/run/secrets/client.pem",
        "auth.entra.federated_token_file": "/var/run/secrets/azure/tokens/azure-identity-token",
        "auth.entra.authority": "login.microsoftonline.us",
        "auth.oauth2.token_url": "https://issuer.example/oauth2/token",
        "auth.oauth2.client_id": "adt-gateway",
        "auth.oauth2.client_secret": "…",
        "auth.oauth2.client_secret_file": "/run/secrets/client-secret",
        "auth.oauth2.ca_file": "/etc/adt-gateway/issuer-ca.pem",
        "auth.file.path": "/run/secrets/token",
        "auth.static.token": "…",
        "tracing.endpoint": "http://127.0.0.1:4318/v1/traces",
        "tracing.sample_ratio": 0.1,
        "tracing.ui_url": "http://127.0.0.1:16686/trace/{trace_id}",
        "fleet.url": "rediss://valkey.example:6379",
        "fleet.password_file": "/run/secrets/valkey-password",
        "fleet.ca_file": "/etc/adt-gateway/valkey-ca.pem",
        "fleet.expected_size": 10,
        "limits.request_body": 1_073_741_824,
    }
)
"""A value for each key that has no default."""

_HEAD = """\
# Configuration of adt-gateway: every key with its default. Durations are seconds, sizes are bytes.
# A line that is commented out is a key without a default, with an example of a value.
# Each key can come from the environment instead, as ADT_GATEWAY_<SECTION>__<KEY>, e.g.
# ADT_GATEWAY_UPSTREAM__BASE_URL; that wins over this file. Lists are comma separated, an empty value counts
# as unset.
"""


def render_example() -> str:
    """The file's text."""
    sections = ("\n".join(_section(path)) for path in CATALOGUE.sections)
    return "\n".join((_HEAD, *sections))


def _section(path: tuple[str, ...]) -> Iterator[str]:
    yield f"# {CATALOGUE.sections[path]}"
    yield f"[{dotted(path)}]"
    for key in CATALOGUE.keys.values():
        if key.path[:-1] == path:
            yield f"# {key.doc}"
            yield _assignment(key)
    yield ""


def _assignment(key: Key) -> str:
    unset = key.default is None
    value = json.dumps(EXAMPLES[key.name] if unset else key.default, ensure_ascii=False)
    line = f"{key.path[-1]} = {value}"
    return line if key.required or not unset else f"# {line}"


if __name__ == "__main__":
    sys.stdout.write(render_example())
