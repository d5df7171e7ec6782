"""The blob path: `PUT` and `GET /blob/{container}/{name}`, what import jobs read from and write to."""

from dataclasses import dataclass, field
from datetime import UTC
from email.utils import format_datetime
from hashlib import sha256
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.emulator.exchange import Answer, Call, ServiceError
from gateway.emulator.routing import Guard, Route

PREFIX: Final = "/blob/"


class BlobMissing(Exception):
    """No such blob here; the text says which, without its query (a SAS is a secret)."""


@dataclass(slots=True)
class BlobStore:
    """Blobs by `container/name`."""

    _blobs: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, content: bytes) -> None:
        """Store or overwrite."""
        self._blobs[name] = content

    def get(self, name: str) -> bytes | None:
        """The content, None when missing."""
        return self._blobs.get(name)

    def clear(self) -> None:
        """Delete all."""
        self._blobs.clear()


def name_of(uri: str) -> str:
    """`container/name` of a URI on the emulator's blob path; host and SAS query do not matter.

    Raises BlobMissing for any other URI: the emulator never reaches out to real storage.
    """
    path = unquote(urlsplit(uri).path)
    container, _, name = path.removeprefix(PREFIX).partition("/")
    if not (path.startswith(PREFIX) and container and name):
        raise BlobMissing(f"{path or '/'} is not on the emulator's blob path {PREFIX}container/name")
    return f"{container}/{name}"


def put_blob(call: Call) -> Answer:
    """Put Blob: 201 with ETag; no token, a SAS is tolerated, so are `x-ms-blob-type` and the like."""
    call.state.blobs.put(f"{call.parameters['container']}/{call.parameters['name']}", call.body)
    return Answer(201, [("ETag", etag(call.body)), ("Last-Modified", http_date(call))])


def get_blob(call: Call) -> Answer:
    """Get Blob: 200 with the bytes, or 404 `BlobNotFound`."""
    content = call.state.blobs.get(f"{call.parameters['container']}/{call.parameters['name']}")
    if content is None:
        raise ServiceError(404, "BlobNotFound", "The specified blob does not exist.")
    kind = ("Content-Type", "application/octet-stream")
    return Answer(200, [kind, ("ETag", etag(content)), ("x-ms-blob-type", "BlockBlob")], content)


def etag(content: bytes) -> str:
    """A strong validator made from the content (RFC 9110, section 8.8.3)."""
    return f'"{sha256(content).hexdigest()[:16]}"'


def http_date(call: Call) -> str:
    """The emulator's time as an HTTP date."""
    return format_datetime(call.state.clock().astimezone(UTC), usegmt=True)


ROUTES: Final = (
    Route("PUT", "/blob/{container}/{name*}", put_blob, Guard.OPEN),
    Route("GET", "/blob/{container}/{name*}", get_blob, Guard.OPEN),
)
