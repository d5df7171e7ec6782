"""Rules of `fleet`: where its store is, and how it is reached."""

from collections.abc import Iterator

from gateway.config.files import authorities_fault, secret_fault
from gateway.config.fleet_url import FleetUrl, parse_fleet_url
from gateway.config.problem import Problem
from gateway.config.rules.given import Given


def url(given: Given) -> Iterator[Problem]:
    """The store's URL is one of the forms there are."""
    try:
        _parsed(given)
    except ValueError as error:
        yield given.problem("fleet.url", str(error))


def expected_size(given: Given) -> Iterator[Problem]:
    """With a store, how many share the limit is known: without it the rate could not be divided."""
    fleet = given.settings.fleet
    if fleet.url is not None and fleet.expected_size is None:
        yield given.problem("fleet.expected_size", "is required with fleet.url")


def password(given: Given) -> Iterator[Problem]:
    """The password comes from one place, and its file can be read."""
    path = given.settings.fleet.password_file
    if path is None:
        return
    yield from given.fault("fleet.password_file", secret_fault(path))
    try:
        parsed = _parsed(given)
    except ValueError:
        return
    if parsed is not None and parsed.password is not None:
        yield given.problem("fleet.password_file", "must not be set where fleet.url has a password")


def ca_file(given: Given) -> Iterator[Problem]:
    """The store's CA can be loaded."""
    path = given.settings.fleet.ca_file
    if path is not None:
        yield from given.fault("fleet.ca_file", authorities_fault(path))


def _parsed(given: Given) -> FleetUrl | None:
    secret = given.settings.fleet.url
    return None if secret is None else parse_fleet_url(secret.get_secret_value())
