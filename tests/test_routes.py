"""Method and raw path to a route, whose label comes from a closed set; and the deny list."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import UNMATCHED, Route
from gateway.routes import LABELS, TEMPLATES, DenyList, match

# The data plane of the REST reference, api-version 2023-10-31: methods, template, a path.
REFERENCE = (
    ("POST GET", "/models", b"/models"),
    ("GET PATCH DELETE", "/models/{id}", b"/models/dtmi:com:example:Room;1"),
    ("POST", "/query", b"/query"),
    ("GET PUT PATCH DELETE", "/digitaltwins/{id}", b"/digitaltwins/room-1"),
    ("GET", "/digitaltwins/{id}/relationships", b"/digitaltwins/a/relationships"),
    ("GET", "/digitaltwins/{id}/incomingrelationships", b"/digitaltwins/a/incomingrelationships"),
    (
        "GET PUT PATCH DELETE",
        "/digitaltwins/{id}/relationships/{relationshipId}",
        b"/digitaltwins/a/relationships/b",
    ),
    ("POST", "/digitaltwins/{id}/telemetry", b"/digitaltwins/a/telemetry"),
    (
        "POST",
        "/digitaltwins/{id}/components/{componentPath}/telemetry",
        b"/digitaltwins/a/components/b/telemetry",
    ),
    ("GET PATCH", "/digitaltwins/{id}/components/{componentPath}", b"/digitaltwins/a/components/b"),
    ("GET", "/eventroutes", b"/eventroutes"),
    ("GET PUT DELETE", "/eventroutes/{id}", b"/eventroutes/one"),
    ("GET", "/jobs/imports", b"/jobs/imports"),
    ("GET PUT DELETE", "/jobs/imports/{id}", b"/jobs/imports/one"),
    ("POST", "/jobs/imports/{id}/cancel", b"/jobs/imports/one/cancel"),
    ("GET POST", "/jobs/deletions", b"/jobs/deletions"),
    ("GET", "/jobs/deletions/{id}", b"/jobs/deletions/one"),
)
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "PURGE")
ROWS = [(method, template, path) for methods, template, path in REFERENCE for method in methods.split()]
PAGED = {
    "/models",
    "/digitaltwins/{id}/relationships",
    "/digitaltwins/{id}/incomingrelationships",
    "/eventroutes",
    "/jobs/imports",
    "/jobs/deletions",
}


@pytest.mark.parametrize(("method", "template", "path"), ROWS)
def test_every_operation_of_the_reference_matches(method: str, template: str, path: bytes) -> None:
    """Each documented method and path gets its template as label."""
    assert match(method, path).template == template


@pytest.mark.parametrize(("methods", "template", "path"), REFERENCE)
def test_undocumented_methods_are_unmatched(methods: str, template: str, path: bytes) -> None:
    """A known path with any other method is one label, `unmatched`; HEAD goes with GET."""
    known = set(methods.split()) | ({"HEAD"} if "GET" in methods else set())
    for method in METHODS:
        assert match(method, path).template == (template if method in known else "unmatched")


@pytest.mark.parametrize(("method", "template", "path"), [row for row in ROWS if row[0] == "GET"])
def test_head_is_matched_like_get(method: str, template: str, path: bytes) -> None:
    """HEAD has the route of GET in every detail."""
    assert match("HEAD", path) == match("GET", path)


@pytest.mark.parametrize(("method", "template", "path"), ROWS)
def test_pages_are_the_lists(method: str, template: str, path: bytes) -> None:
    """Exactly the list operations may carry `nextLink`."""
    assert match(method, path).pages == (method == "GET" and template in PAGED)


@pytest.mark.parametrize(
    ("method", "path", "kind", "job_id", "operation"),
    [
        ("PUT", b"/jobs/imports/j1", "import", "j1", "add"),
        ("GET", b"/jobs/imports/j1", "import", "j1", "get"),
        ("DELETE", b"/jobs/imports/j1", "import", "j1", "delete"),
        ("POST", b"/jobs/imports/j1/cancel", "import", "j1", "cancel"),
        ("GET", b"/jobs/imports", "import", None, "list"),
        ("GET", b"/jobs/deletions", "deletion", None, "list"),
        ("POST", b"/jobs/deletions", "deletion", None, "add"),
        ("GET", b"/jobs/deletions/d1", "deletion", "d1", "get"),
        ("GET", b"/models", None, None, None),
        ("GET", b"/digitaltwins/j1", None, None, None),
    ],
)
def test_job_operations_are_known(
    method: str, path: bytes, kind: str | None, job_id: str | None, operation: str | None
) -> None:
    """Kind, id and operation are told for the eight job operations and for nothing else."""
    route = match(method, path)
    assert (route.job_kind, route.job_id, route.operation) == (kind, job_id, operation)


@pytest.mark.parametrize(
    ("segment", "job_id"),
    [
        (b"j%201%2F%C3%A9", "j 1/\u00e9"),
        (b"a%2Fcancel", "a/cancel"),
        (b"A", "A"),
        (b"a+b", "a+b"),
        (b"%2541", "%41"),
        (b"%FF", "\ufffd"),
        (b"imports", "imports"),
    ],
)
def test_job_id_is_decoded_once(segment: bytes, job_id: str) -> None:
    """The id is percent-decoded once, as UTF-8, case kept; an encoded slash is part of it."""
    route = match("GET", b"/jobs/imports/" + segment)
    assert (route.template, route.job_id) == ("/jobs/imports/{id}", job_id)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"*",
        b"models",
        b"/Models",
        b"/model%73",
        b"/models/",
        b"/models/a/b",
        b"/digitaltwins//relationships",
        b"/digitaltwins/a/relationships/",
        b"/models/jobs/imports",
        b"/jobsx",
        b"/job/imports",
        b"/%6aobsx/imports",
        b"/job%2Fs/imports",
        b"/livez",
        b"/metrics",
    ],
)
def test_everything_else_is_unmatched(path: bytes) -> None:
    """Other paths share one label; no path is reserved for the gateway itself."""
    assert {match(method, path) for method in METHODS} == {UNMATCHED}
    assert not UNMATCHED.jobs_api


@pytest.mark.parametrize(
    "path",
    [
        b"/jobs",
        b"/jobs/",
        b"/jobs/imports/",
        b"/jobs/exports",
        b"/jobs/imports/a/pause",
        b"/jobs/imports//cancel",
        b"/jobs/imports/a/cancel/",
        b"/Jobs/imports",
        b"/JOBS",
        b"/job%73/imports",
        b"/%6A%4F%62%73/deletions",
        b"/jobs%2Fimports",
        b"/jobs%2fdeletions%2fone",
        b"/%2Fjobs/imports",
        b"/%2f%2Fjobs",
    ],
)
def test_what_may_be_read_as_jobs_keeps_the_rate(path: bytes) -> None:
    """A path that is below /jobs, or that a lenient upstream takes for one, counts, under no label."""
    routes = {match(method, path) for method in METHODS}
    assert routes == {Route("unmatched", jobs_api=True)}


@pytest.mark.parametrize(("methods", "template", "path"), REFERENCE)
def test_jobs_api_is_what_lies_below_jobs(methods: str, template: str, path: bytes) -> None:
    """Every request below /jobs counts against the jobs rate, whatever its method, and no other does."""
    assert {match(method, path).jobs_api for method in METHODS} == {template.startswith("/jobs/")}


def test_labels_are_the_templates_and_unmatched() -> None:
    """The closed set of labels is the reference's templates and `unmatched`, each once."""
    assert {template for _, template, _ in REFERENCE} == TEMPLATES
    assert sorted(LABELS) == sorted(TEMPLATES | {"unmatched"})


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)), st.binary())
def test_any_bytes_get_a_label_of_the_set(method: str, path: bytes) -> None:
    """Matching raises for nothing and never makes a label up."""
    assert match(method, path).template in LABELS
    assert match("GET", b"/jobs/imports/" + path).template in LABELS


SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda char: char,
    lambda char: char.upper(),
    lambda char: f"%{ord(char):02X}",
    lambda char: f"%{ord(char):02x}",
)


@given(st.lists(st.sampled_from(SPELLINGS), min_size=4, max_size=4), st.binary())
def test_every_encoding_of_jobs_keeps_the_rate(spellings: list[Callable[[str], str]], rest: bytes) -> None:
    """Each character of `jobs`, plain or encoded, upper or lower case, and anything below it: it counts."""
    path = "/" + "".join(spell(char) for spell, char in zip(spellings, "jobs", strict=True))
    assert match("GET", path.encode()).jobs_api
    assert match("PUT", path.encode() + b"/" + rest).jobs_api


@given(st.text(min_size=1))
def test_any_id_comes_back_as_it_was(job_id: str) -> None:
    """Whatever an id holds, quoted into the path it is one segment and decodes to itself."""
    route = match("GET", b"/jobs/deletions/" + quote(job_id.encode("utf-8", "replace"), safe="").encode())
    assert route.template == "/jobs/deletions/{id}"
    assert route.job_id == job_id.encode("utf-8", "replace").decode()


DELETIONS = "POST /jobs/deletions"
CANCEL = "POST /jobs/imports/{id}/cancel"


@pytest.mark.parametrize(
    "path",
    [
        b"/jobs/deletions",
        b"/jobs/deletions/",
        b"/jobs/deletions//",
        b"//jobs/deletions",
        b"/Jobs/DELETIONS",
        b"/jobs/deletion%73",
        b"/%6Aobs/%64eletions",
        b"/%6a%4f%62%73/deletions/",
        b"/jobs%2Fdeletions",
        b"/jobs%2fdeletions%2f",
        b"/jobs%2F%2Fdeletions",
        b"/jobs/deletions%2F",
    ],
)
def test_no_spelling_gets_past_the_deny_list(path: bytes) -> None:
    """Case, percent-encoding, encoded slashes and empty segments do not get around a denied pair."""
    assert DenyList([DELETIONS]).refuses("POST", path) == DELETIONS


@pytest.mark.parametrize(
    "path", [b"/jobs/imports/a/cancel", b"/jobs/imports/a%2Fb/%43ancel", b"/jobs/imports/%2F/cancel"]
)
def test_denied_template_covers_every_id(path: bytes) -> None:
    """A parameter of a denied template stands for any id, one with an encoded slash too."""
    assert DenyList([DELETIONS, CANCEL]).refuses("POST", path) == CANCEL


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b"/jobs/deletions"),
        ("HEAD", b"/jobs/deletions"),
        ("POST", b"/jobs/deletions/one"),
        ("POST", b"/jobs/deletionsx"),
        ("POST", b"/jobs"),
        ("POST", b"/a/jobs/deletions"),
        ("POST", b"/query"),
    ],
)
def test_what_is_not_denied_passes(method: str, path: bytes) -> None:
    """The deny list refuses the pairs it names and no others; an empty one refuses nothing."""
    assert DenyList([DELETIONS]).refuses(method, path) is None
    assert DenyList([]).refuses("POST", b"/jobs/deletions") is None


def test_head_is_denied_with_get() -> None:
    """Where GET is denied, HEAD of the same path is too."""
    deny = DenyList(["GET /jobs/imports/{id}"])
    assert deny.refuses("HEAD", b"/jobs/imports/a") == "GET /jobs/imports/{id}"
    assert deny.refuses("PUT", b"/jobs/imports/a") is None


@given(st.text(), st.binary())
def test_deny_list_judges_any_bytes(method: str, path: bytes) -> None:
    """No path makes the deny list raise."""
    assert DenyList([DELETIONS, CANCEL]).refuses(method, path) in (None, DELETIONS, CANCEL)


@given(st.lists(st.sampled_from(SPELLINGS), min_size=15, max_size=15))
def test_every_encoding_of_a_denied_path_is_refused(spellings: list[Callable[[str], str]]) -> None:
    """Each character of a denied path, plain or encoded, upper or lower case: always refused."""
    path = "/" + "".join(spell(char) for spell, char in zip(spellings, "jobs/deletions/", strict=True))
    assert DenyList([DELETIONS]).refuses("POST", path.encode()) == DELETIONS
