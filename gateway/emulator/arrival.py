"""A request as it came: read from the ASGI scope, with the wire's own spelling where the listener kept it."""

from dataclasses import dataclass

from gateway.emulator.delivery import Gone, Receive, Scope


@dataclass(frozen=True, slots=True)
class Arrival:
    """A whole request; `body` is None when it was larger than allowed."""

    method: str
    path: str
    query_string: str
    target: str
    headers: tuple[tuple[str, str], ...]
    http_version: str
    scheme: str
    peer: str | None
    body: bytes | None

    @property
    def origin_form(self) -> str:
        """Path and query as they came, which faults are matched against."""
        return f"{self.path}?{self.query_string}" if self.query_string else self.path

    @property
    def base_url(self) -> str:
        """Scheme and host the client used."""
        host = next((value for name, value in self.headers if name.lower() == "host"), "localhost")
        return f"{self.scheme}://{host}"


async def arrived(scope: Scope, receive: Receive, largest: int) -> Arrival:
    """Read the request; at most `largest` bytes of body are held. Raises Gone when the client leaves
    meanwhile.
    """
    kept = scope.get("state", {})
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    client = scope.get("client")
    arrival_headers = kept.get("headers", scope["headers"])
    return Arrival(
        method=scope["method"],
        path=path,
        query_string=query,
        target=kept["target"].decode("latin-1")
        if "target" in kept
        else path + (f"?{query}" if query else ""),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in arrival_headers),
        http_version=scope["http_version"],
        scheme=scope["scheme"],
        peer=f"{client[0]}:{client[1]}" if client else None,
        body=await body_of(receive, largest),
    )


async def body_of(receive: Receive, largest: int) -> bytes | None:
    """The body, None when it is larger than allowed. Raises Gone."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        size += len(message.get("body", b""))
        if size > largest:
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
