"""The fleet's store: the forms of its URL, what is wrong with others, and what may not show."""

from pathlib import Path

import pytest

from gateway.config import parse_fleet_url, warnings
from tests.support.certificates import write_certificates
from tests.support.configuration import problems, settings

FORMS = ", ".join(
    f"{scheme}://"
    for scheme in (
        "redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix",
    )
)  # fmt: skip
SIZE = "fleet.expected_size = 3\n"
NO_QUERY = "must have no query and no fragment; in a password ? is %3F and # is %23"
NO_USER_THERE = "must have nothing with @ behind its first /; in a password / is %2F and @ is %40"


def test_without_a_url_there_is_no_fleet(tmp_path: Path) -> None:
    """Unset, nothing is shared."""
    assert settings(tmp_path).fleet.url is None
    assert problems(tmp_path, SIZE) == []


@pytest.mark.parametrize(
    ("url", "hosts", "shown"),
    [
        ("redis://valkey.example", (("valkey.example", 6379),), "redis://valkey.example:6379"),
        ("REDISS://Valkey.Example:7000/2", (("valkey.example", 7000),), "rediss://valkey.example:7000/2"),
        ("redis://user:p@[::1]:7000/0", (("::1", 7000),), "redis://[::1]:7000"),
        (
            "redis+sentinel://:p@a.example,b.example:1/main/3",
            (("a.example", 26379), ("b.example", 1)),
            "redis+sentinel://a.example:26379,b.example:1/main/3",
        ),
        (
            "rediss+sentinel://a.example/main",
            (("a.example", 26379),),
            "rediss+sentinel://a.example:26379/main",
        ),
        (
            "rediss+cluster://u:p@a.example,10.0.0.1:7001",
            (("a.example", 6379), ("10.0.0.1", 7001)),
            "rediss+cluster://a.example:6379,10.0.0.1:7001",
        ),
        ("unix:///run/valkey.sock", (), "unix:///run/valkey.sock"),
        ("unix://u:p@/run/a%20b.sock", (), "unix:///run/a b.sock"),
    ],
)
def test_forms(url: str, hosts: tuple[tuple[str, int], ...], shown: str, tmp_path: Path) -> None:
    """Each form is taken as it is meant, and shown without who asks."""
    assert problems(tmp_path, f'{SIZE}fleet.url = "{url}"') == []
    parsed = parse_fleet_url(url)
    assert parsed.hosts == hosts
    assert parsed.shown == shown


def test_user_and_password() -> None:
    """User name and password are taken with their escapes off, and are in no repr."""
    parsed = parse_fleet_url("redis://al%3Aice:p%40ss%2F@valkey.example/1")
    assert (parsed.username, parsed.password, parsed.database) == ("al:ice", "p@ss/", 1)
    assert "p@ss" not in repr(parsed)
    assert "al:ice" not in repr(parsed)
    assert parse_fleet_url("redis://:p@valkey.example").username is None
    assert parse_fleet_url("redis://alice@valkey.example").password is None


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("valkey.example:6379", f"must begin with one of {FORMS}"),
        ("http://valkey.example", f"must begin with one of {FORMS}"),
        ("valkey://valkey.example", f"must begin with one of {FORMS}"),
        ("redis://valkey.example?db=1", NO_QUERY),
        ("redis://valkey.example#1", NO_QUERY),
        ("redis://:p#ss@valkey.example", NO_QUERY),
        ("redis://:p/ss@valkey.example/1", NO_USER_THERE),
        ("redis+cluster://al/ice:p@valkey.example", NO_USER_THERE),
        ("redis://välkey.example", "must be ASCII without spaces, other characters as %XX"),
        ("redis://:p%zz@valkey.example", "must be ASCII without spaces, other characters as %XX"),
        ("redis://", "must have valid hosts, each with a port or none, and commas between them"),
        ("redis://a.example,", "must have valid hosts, each with a port or none, and commas between them"),
        ("redis://a_.-", "must have valid hosts, each with a port or none, and commas between them"),
        ("redis://127.1", "must have valid hosts, each with a port or none, and commas between them"),
        ("redis://a.example:0", "must have a port from 1 to 65535"),
        ("redis://a.example:70000", "must have a port from 1 to 65535"),
        ("redis://a.example,b.example", "must have one host; several need +sentinel or +cluster"),
        ("redis://a.example/one", "must have a database from 0 to 9999 as its path, or none"),
        ("redis://a.example/10000", "must have a database from 0 to 9999 as its path, or none"),
        ("redis://p@ss@a.example", "must have @ in a user name or password as %40"),
        (
            "redis+sentinel://a.example",
            "must name the service that the Sentinels watch, as in redis+sentinel://host/mymaster",
        ),
        ("redis+sentinel://a.example/main/", "must have a database from 0 to 9999 as its path, or none"),
        ("redis+cluster://a.example/1", "must have no path: a Cluster has one database"),
        ("unix://run/valkey.sock", "must have the absolute path of a socket, as in unix:///run/valkey.sock"),
        ("unix://", "must have the absolute path of a socket, as in unix:///run/valkey.sock"),
    ],
)
def test_faults(url: str, fault: str, tmp_path: Path) -> None:
    """What is wrong with a URL is said in one line that does not repeat it."""
    assert problems(tmp_path, f'{SIZE}fleet.url = "{url}"') == [f"fleet.url: {fault} (config.toml)"]


def test_how_many_there_are_is_known(tmp_path: Path) -> None:
    """A fleet says how many it is: by that the rate is divided where they cannot meet."""
    assert problems(tmp_path, 'fleet.url = "redis://127.0.0.1"') == [
        "fleet.expected_size: is required with fleet.url"
    ]


def test_a_password_has_one_place(tmp_path: Path) -> None:
    """A password in the URL and one in a file are one too many; a file that is no secret is told."""
    file = tmp_path / "password"
    file.write_text("secret")
    text = f'{SIZE}fleet.password_file = "{file}"\nfleet.url = "redis://'
    assert problems(tmp_path, f'{text}alice@127.0.0.1"') == []
    assert problems(tmp_path, f'{text}:p@127.0.0.1"') == [
        "fleet.password_file: must not be set where fleet.url has a password (config.toml)"
    ]
    file.write_text("")
    assert problems(tmp_path, f'{text}127.0.0.1"') == ["fleet.password_file: the file is empty (config.toml)"]


def test_ca_file(tmp_path: Path) -> None:
    """The CA is one that can be loaded."""
    files = write_certificates(tmp_path)
    assert problems(tmp_path, f'fleet.ca_file = "{files.ca}"') == []
    assert problems(tmp_path, f'fleet.ca_file = "{files.key}"') == [
        "fleet.ca_file: the file holds no valid certificate in PEM (config.toml)"
    ]


def test_what_should_be_known(tmp_path: Path) -> None:
    """A password in the file, and a store to which everything goes in clear, are told."""
    clear = "fleet.url: without TLS (rediss://), answers of the Jobs API travel in clear"
    secret = "fleet.url: a secret in clear in the file; use a file of its own or the environment"
    told = {
        "redis://127.0.0.1": (),
        "unix:///run/valkey.sock": (),
        "rediss://valkey.example": (),
        "redis://valkey.example": (clear,),
        "redis+cluster://127.0.0.1,valkey.example": (clear,),
        "redis://:p@valkey.example": (secret, clear),
    }
    for url, expected in told.items():
        assert warnings(settings(tmp_path, f'{SIZE}fleet.url = "{url}"'), {}) == expected


def test_nothing_secret_shows(tmp_path: Path) -> None:
    """The URL, which may hold a password, is in no repr."""
    loaded = settings(tmp_path, f'{SIZE}fleet.url = "redis://:s5f9c@valkey.example"')
    assert "s5f9c" not in f"{loaded!r} {loaded.fleet} {loaded.model_dump()}"
