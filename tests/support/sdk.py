"""The official SDK for Python as an app behind the gateway uses it: without a credential."""

from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core._generated.models import ImportJob

from tests.support.azure import Azure

APP_TOKEN = "app-token-that-must-go-no-further"
ENDED = frozenset({"succeeded", "failed", "cancelled"})
UNDER_WAY = frozenset({"notstarted", "running", "cancelling"})


class NoCredential:
    """The constructor wants one; it must never be asked."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        raise AssertionError("the SDK asked for a token")


def sdk_options(**more: Any) -> dict[str, Any]:
    """Constructor arguments that send no token and poll without a pause."""
    policy: SansIOHTTPPolicy[Any, Any] = SansIOHTTPPolicy()
    return {
        "credential": NoCredential(),
        "authentication_policy": policy,
        "polling_interval": 0.01,
        **more,
    }


def job_of(azure: Azure, name: str = "campus.ndjson") -> ImportJob:
    """An import of a sample."""
    body = azure.import_body(name)
    return ImportJob(input_blob_uri=body["inputBlobUri"], output_blob_uri=body["outputBlobUri"])


def check_only_the_gateway_arrived(azure: Azure) -> None:
    """Every request came through the gateway, with its token alone, signed by the emulator's issuer."""
    cloud = azure.cloud.emulator.state
    assert azure.arrived
    for entry in azure.arrived:
        lines = [(name.lower(), value) for name, value in entry.headers]
        [authorization] = [value for name, value in lines if name == "authorization"]
        scheme, _, token = authorization.partition(" ")
        assert scheme == "Bearer"
        cloud.issuer.verify(token, cloud.settings.tenant)
        assert ("via", "1.1 adt-gateway") in lines
        assert ("host", urlsplit(azure.cloud.url).netloc) in lines
        assert APP_TOKEN not in str(lines)
