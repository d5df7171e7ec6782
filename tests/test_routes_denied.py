"""`routes.deny` in all the spellings that an upstream may read as the denied template."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routes import DenyList, match

DENIED = DenyList(["POST /jobs/deletions", "PUT /jobs/imports/{id}", "GET /models"])


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/deletions",
        "/jobs/deletions/",
        "//jobs///deletions//",
        "/JOBS/Deletions",
        "/jobs/%64eletions",
        "/%6A%6f%62%73/%64%65%6c%65%74%69%6f%6e%73",
        "/jobs%2Fdeletions",
        "/jobs%2fdeletions%2f",
        "/jobs/%44ELETIONS",
        "/jobs/%2564eletions",
        "/jobs%252Fdeletions",
        "/jobs/deletions;",
        "/jobs/deletions;v=1",
        "/jobs/deletions;jsessionid=A/",
        "/jobs;a=b/deletions;c=d",
        "/jobs/;x/deletions",
        "/jobs/deletions%3Bv=1",
        "/jobs/deletions%253Bv=1",
        "/jobs/deletions.",
        "/jobs/deletions%20",
        "/jobs/deletions%2E%20.",
        "/jobs/Deletions.;v=1",
        "/jobs/deletions%3Fx",
        "/jobs/deletions%23",
        "/jobs/deletions%253Fx=/a",
    ],
)
def test_spellings_of_a_denied_route(path: str) -> None:
    """Each of them might be the denied route to a lenient upstream, so each is refused."""
    assert DENIED.refuses("POST", path.encode()) == "POST /jobs/deletions"
    assert DENIED.refuses("GET", path.encode()) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/jobs/imports/a"),
        ("PUT", "/jobs/imports/a%2Fb"),
        ("PUT", "/jobs/imports/;x"),
        ("PUT", "/jobs/imports/a;x"),
        ("PUT", "/jobs/imports/%2E%2E."),
        ("HEAD", "/models"),
        ("HEAD", "/Models;x/"),
    ],
)
def test_parameters_of_a_template_take_any_segment(method: str, path: str) -> None:
    """Whatever stands for `{id}`, however odd, does not get around the list; HEAD goes with GET."""
    assert DENIED.refuses(method, path.encode()) is not None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/jobs/deletions/x"),
        ("POST", "/jobs/deletion"),
        ("POST", "/jobs/deletionss"),
        ("POST", "/x/jobs/deletions"),
        ("POST", "/jobs/x;/deletions"),
        ("POST", "/jobs/.deletions"),
        ("PUT", "/jobs/imports"),
        ("PUT", "/jobs/imports/a/b"),
        ("GET", "/models/dtmi:com:example:Room;1"),
    ],
)
def test_other_routes_pass(method: str, path: str) -> None:
    """What no server would read as the denied route is not refused."""
    assert DENIED.refuses(method, path.encode()) is None


@given(st.lists(st.booleans(), min_size=14, max_size=14), st.sampled_from(["", ";x", "/", ".", "%20", "%3b"]))
def test_any_mixture_of_encodings_is_refused(encoded: list[bool], end: str) -> None:
    """Every character of the path may be percent-encoded or not."""
    spelled = "".join(
        f"%{ord(c):02x}" if hide else c for c, hide in zip("jobs/deletions", encoded, strict=True)
    )
    assert DENIED.refuses("POST", f"/{spelled}{end}".encode()) == "POST /jobs/deletions"


@pytest.mark.parametrize(
    "path",
    [
        b"/jobs;x/deletions", b"/jobs./deletions", b"/%4aobs;x/imports/a", b"/jobs;", b"//jobs/x",
        b"/%256Aobs/imports/a", b"/jobs%252Fdeletions", b"/%252fjobs", b"/;x/jobs/imports", b"/%2e/jobs",
    ],
)  # fmt: skip
def test_the_jobs_api_is_known_in_every_spelling(path: bytes) -> None:
    """A path that a lenient upstream takes for one of the Jobs API waits its turn like one."""
    assert match("POST", path).jobs_api
