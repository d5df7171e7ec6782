"""The checks that stand after every test can fail, each for what it is there for."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import settings_for
from tests.support.standing import PATIENCE_VARIABLE
from tests.support.standing_secrets import Secrets, secrets_of

TOKEN = "canary-token-of-the-gateway"
ISSUED = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0xyz.c2lnbmF0dXJl"
CULPRITS = Path(__file__).parent / "support" / "culprits.py"
CAUGHT = {
    "a_task_that_runs_on": "a task runs on",
    "a_file_that_stays_open": "a file is open",
    "a_connection_that_stays_open": "a file is open",
    "a_thread_that_runs_on": "a thread runs on",
    "memory_that_grows": "memory grew by",
    "a_failure_that_nobody_awaits": "nobody hears this",
    "a_dead_data_listener": "does not answer",
    "a_secret_in_the_log": "the log tells auth.static.token",
    "a_secret_in_a_library_s_log": "what was captured tells auth.static.token",
    "a_secret_on_stdout": "what was captured tells auth.static.token",
    "a_secret_in_an_answer": "an answer tells auth.static.token",
    "a_secret_in_another_header_upstream": "a request upstream tells auth.static.token",
    "a_secret_in_a_span": "a span tells auth.static.token",
    "a_secret_on_the_page": "the admin listener tells auth.static.token",
    "a_secret_in_the_store": "the jobs store jobs.db-note tells auth.static.token",
    "an_issued_token_in_the_log": "the log tells an issued token",
}
"""What each culprit is caught by; those that are not named here are innocent."""


@pytest.fixture(scope="module")
def report() -> str:
    """What pytest says of the culprits, in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(CULPRITS)]
    environ = {**os.environ, PATIENCE_VARIABLE: "1"}
    ended = subprocess.run(  # noqa: S603 - this very interpreter
        command, env=environ, capture_output=True, text=True, check=False, timeout=300
    )
    return ended.stdout


@pytest.mark.parametrize("culprit", CAUGHT)
def test_culprit_is_caught(report: str, culprit: str) -> None:
    """A test that leaves something behind, or tells a secret, fails for that and says what it was."""
    parts = re.split(r"^_+ (?:ERROR at teardown of )?test_(\w+) _+$", report, flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert CAUGHT[culprit] in told.get(culprit, report)


def test_innocent_ones_pass(report: str) -> None:
    """Whatever leaves nothing and tells nothing passes."""
    innocent = {name for name in re.findall(r"def test_(\w+)", CULPRITS.read_text()) if name not in CAUGHT}
    caught = set(re.findall(r"^(?:ERROR|FAILED) \S+::test_(\w+)", report, flags=re.MULTILINE))
    assert innocent
    assert not innocent & caught


def test_every_secret_of_the_settings_is_looked_for() -> None:
    """Whatever the section: tokens, client secrets, shared keys, the admin listener's token."""
    auth = {
        "static": {"token": "static-token"},
        "oauth2": {"client_secret": "oauth2-secret"},
        "entra": {"client_secret": "entra-secret"},
        "inbound": {"keys": {"app": "inbound-key-of-app"}},
    }
    settings = settings_for("http://127.0.0.1:9", auth=auth, admin={"token": "admin-token-0123"})
    assert sorted(value for _, value in secrets_of(settings)) == sorted(
        ["static-token", "oauth2-secret", "entra-secret", "inbound-key-of-app", "admin-token-0123"]
    )


@pytest.mark.parametrize(
    "text",
    [
        "a s3cret/+ of mine",
        "s3cret%2F%2B%20of",
        "s3cret%2F%2B+of",
        "x czNjcmV0Lysgb2Y= x",
        ISSUED,
    ],
)
def test_secret_is_found_however_it_is_written(text: str) -> None:
    """As it is, as part of a URL, in base64; an issued token by its form."""
    secrets = Secrets()
    secrets.add("key", "s3cret/+ of")
    assert secrets.within(f"before {text} after")
    assert not secrets.within("before and after")


def test_token_may_stand_in_the_authorization_alone() -> None:
    """Upstream the token is where it belongs, and nowhere else."""
    secrets = Secrets()
    secrets.add("key", TOKEN)
    secrets.arrived(b"GET / HTTP/1.1\r\nAuthorization: Bearer %b\r\n\r\n" % TOKEN.encode())
    assert secrets.found == []
    secrets.arrived(b"GET /?%b HTTP/1.1\r\n\r\n" % TOKEN.encode())
    assert secrets.found == ["a request upstream tells key"]
