"""TOML and environment to one frozen, validated `Settings`, or every problem at once.

sections.py   every key: type, bounds, default, text
keys.py       the same as a catalogue: names, variables, what is allowed
sources.py    the TOML file and the environment over it
load.py       the verb: `load`
rules/        checks across keys, and of files, URLs and OTEL_* variables
caution.py    what is allowed, but should be known
example.py    `config.example.toml`
origin.py     the origin of a URL, strictly
fleet_url.py  the URL of a fleet's store
files.py      secrets and certificates in files
followed.py   files that are looked at again while the gateway runs
identities.py what tells callers apart: shared keys, names in certificates
problem.py    one mistake, one line
"""

from gateway.config.auth_sections import Auth, Entra, Inbound, OAuth2, StaticToken, TokenFile
from gateway.config.caution import warnings
from gateway.config.files import read_secret
from gateway.config.fleet_section import Fleet
from gateway.config.fleet_url import FleetUrl, parse_fleet_url
from gateway.config.identities import read_key
from gateway.config.load import load
from gateway.config.origin import Origin, is_loopback, parse_origin
from gateway.config.problem import ConfigurationError, Problem
from gateway.config.resilience_sections import Circuit, Retry
from gateway.config.sections import (
    Admin,
    Jobs,
    Limits,
    Listen,
    ListenTls,
    Log,
    Metrics,
    Routes,
    Settings,
    Tracing,
    Upstream,
)

__all__ = [
    "Admin",
    "Auth",
    "Circuit",
    "ConfigurationError",
    "Entra",
    "Fleet",
    "FleetUrl",
    "Inbound",
    "Jobs",
    "Limits",
    "Listen",
    "ListenTls",
    "Log",
    "Metrics",
    "OAuth2",
    "Origin",
    "Problem",
    "Retry",
    "Routes",
    "Settings",
    "StaticToken",
    "TokenFile",
    "Tracing",
    "Upstream",
    "is_loopback",
    "load",
    "parse_fleet_url",
    "parse_origin",
    "read_key",
    "read_secret",
    "warnings",
]
