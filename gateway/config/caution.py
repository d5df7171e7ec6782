"""What is allowed, but should be known: one line each, for the log at start and for `check`."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.config.fleet_url import parse_fleet_url
from gateway.config.keys import CATALOGUE, Key
from gateway.config.origin import Origin, is_loopback, parse_origin
from gateway.config.problem import dotted
from gateway.config.sections import Settings
from gateway.config.sources import Environment, read_environment

_SHORTEST_TOKEN = 16
_NOBODY = 65_534
"""What Linux says of users that have no number here (user_namespaces(7))."""


def warnings(settings: Settings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Warnings about settings that `load` made; `environ` tells which secrets came from the file."""
    return (
        *_clear_secrets(settings, environ),
        *_clear_transport(settings),
        *_guessable(settings),
        *_not_there_yet(settings),
    )


def _clear_secrets(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    environment = read_environment(environ)
    for key in CATALOGUE.keys.values():
        value = _value(settings, key)
        if value and _is_secret(key, value):
            yield from _from_file(key, value, environment)


def _is_secret(key: Key, value: Any) -> bool:
    """Whether the value is one; a URL only where it has a password."""
    if key.name == "upstream.proxy":
        return "@" in value
    if key.name == "fleet.url":
        return parse_fleet_url(value.get_secret_value()).password is not None
    return key.secret


def _from_file(key: Key, value: Any, environment: Environment) -> Iterator[str]:
    paths = [(*key.path, name) for name in value] if isinstance(value, dict) else [key.path]
    for path in paths:
        if environment.source(path) is None:
            yield f"{dotted(path)}: a secret in clear in the file; use a file of its own or the environment"


def _clear_transport(settings: Settings) -> Iterator[str]:
    origin: Origin = parse_origin(settings.upstream.base_url)
    if not origin.is_private:
        yield "upstream.allow_plain_http: the token travels in clear"
    if settings.auth.mode == "static" and not is_loopback(origin.host):
        yield "auth.mode: a static token is never renewed; static is meant for tests"
    listen = settings.listen
    if listen.unix_socket is None and not is_loopback(listen.host) and listen.tls.certificate_file is None:
        yield "listen.host: without listen.tls, requests and shared keys travel in clear"
    store = settings.fleet.url
    if store is not None and not parse_fleet_url(store.get_secret_value()).is_private:
        yield "fleet.url: without TLS (rediss://), answers of the Jobs API travel in clear"


def _guessable(settings: Settings) -> Iterator[str]:
    token = settings.admin.token
    if token is not None and len(token.get_secret_value()) < _SHORTEST_TOKEN:
        yield f"admin.token: fewer than {_SHORTEST_TOKEN} characters can be guessed"
    if _NOBODY in settings.auth.inbound.peer_uids:
        yield f"auth.inbound.peer_uids: {_NOBODY} is also every user of another user namespace"


def _not_there_yet(settings: Settings) -> Iterator[str]:
    path = settings.auth.file.path
    if settings.auth.mode != "file" or path is None:
        return
    try:
        path.stat()
    except FileNotFoundError:
        yield "auth.file.path: there is no such file yet; the gateway is not ready until there is"
    except OSError as error:
        fault = f"the file cannot be read: {error.strerror}"
        yield f"auth.file.path: {fault}; the gateway is not ready until it can"


def _value(settings: Settings, key: Key) -> Any:
    value: Any = settings
    for part in key.path:
        value = getattr(value, part)
    return value
