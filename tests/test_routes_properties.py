"""Routes for any path at all: labels of a closed set, ids that come back, and no way around a refusal."""

from urllib.parse import quote, unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.exchange import UNMATCHED, Route
from gateway.routes import LABELS, TEMPLATES, DenyList, job_path, match

# The data plane's reference, api-version 2023-10-31.
TABLE = {
    "/models": "POST GET",
    "/models/{id}": "GET PATCH DELETE",
    "/query": "POST",
    "/digitaltwins/{id}": "GET PUT PATCH DELETE",
    "/digitaltwins/{id}/relationships": "GET",
    "/digitaltwins/{id}/incomingrelationships": "GET",
    "/digitaltwins/{id}/relationships/{relationshipId}": "GET PUT PATCH DELETE",
    "/digitaltwins/{id}/telemetry": "POST",
    "/digitaltwins/{id}/components/{componentPath}/telemetry": "POST",
    "/digitaltwins/{id}/components/{componentPath}": "GET PATCH",
    "/eventroutes": "GET",
    "/eventroutes/{id}": "GET PUT DELETE",
    "/jobs/imports": "GET",
    "/jobs/imports/{id}": "GET PUT DELETE",
    "/jobs/imports/{id}/cancel": "POST",
    "/jobs/deletions": "GET POST",
    "/jobs/deletions/{id}": "GET",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "")
JOBS = {
    ("/jobs/imports", "GET"): "list",
    ("/jobs/imports/{id}", "GET"): "get",
    ("/jobs/imports/{id}", "PUT"): "add",
    ("/jobs/imports/{id}", "DELETE"): "delete",
    ("/jobs/imports/{id}/cancel", "POST"): "cancel",
    ("/jobs/deletions", "GET"): "list",
    ("/jobs/deletions", "POST"): "add",
    ("/jobs/deletions/{id}", "GET"): "get",
}
PAGED = {"/models", "/eventroutes", "/jobs/imports", "/jobs/deletions"} | {
    f"/digitaltwins/{{id}}/{name}" for name in ("relationships", "incomingrelationships")
}
TEMPLATE = st.sampled_from(sorted(TABLE))
METHOD = st.sampled_from(METHODS)
IDS = st.text(min_size=1, max_size=9)
PARTS = st.sampled_from(
    [b"jobs", b"imports", b"deletions", b"models", b"cancel", b"%2F", b"%4Aobs", b"", b"a", b".", b";x"]
)
PATHS = st.binary(max_size=30) | st.lists(PARTS, max_size=6).map(lambda parts: b"/" + b"/".join(parts))


def filled(template: str, job_id: str) -> bytes:
    parts = [quote(job_id, safe="") if part.startswith("{") else part for part in template.split("/")]
    return "/".join(parts).encode()


@given(TEMPLATE, METHOD, st.integers(200, 300))
def test_a_long_path_has_the_route_of_a_short_one(template: str, method: str, length: int) -> None:
    """Whether a path is short enough to be remembered changes nothing, the first time and the second."""
    short, long = match(method, filled(template, "a")), match(method, filled(template, "a" * length))
    assert long == match(method, filled(template, "a" * length))
    assert long == (short if short.job_id is None else short._replace(job_id="a" * length))


@given(TEMPLATE, METHOD, IDS)
@example("/jobs/imports/{id}", "PUT", "a/b%2F é")
def test_every_route_of_the_reference(template: str, method: str, job_id: str) -> None:
    """Each method and template has its own route, with what the Jobs API means by it; a HEAD is its GET."""
    route = match(method, filled(template, job_id))
    meant = "GET" if method == "HEAD" else method
    if meant not in TABLE[template].split():
        assert route == Route("unmatched", jobs_api=template.startswith("/jobs/"))
        return
    operation = JOBS.get((template, meant))
    assert (route.template, route.operation) == (template, operation)
    assert route.job_kind == (
        None if operation is None else "import" if "imports" in template else "deletion"
    )
    assert route.job_id == (job_id if operation and "{id}" in template else None)
    assert route.jobs_api == (operation is not None)
    assert route.pages == (meant == "GET" and template in PAGED)


@given(METHOD, PATHS)
def test_any_path_has_a_label(method: str, path: bytes) -> None:
    """Nothing raises, and no label is made up; what is labelled has the segments of its template."""
    route = match(method, path)
    assert {route.template} <= set(LABELS) == TEMPLATES | {"unmatched"} == set(TABLE) | {"unmatched"}
    if route.template != "unmatched":
        want, have = route.template.split("/"), path.decode("ascii", "replace").split("/")
        assert len(want) == len(have)
        assert all(
            part == wanted or (wanted.startswith("{") and part)
            for wanted, part in zip(want, have, strict=True)
        )


@given(PATHS)
def test_whatever_may_be_a_job_counts_for_the_rate(path: bytes) -> None:
    """A path whose first segment decodes to `jobs`, once or twice, in any case, is one of the Jobs API."""
    once = unquote_to_bytes(path).lower()
    readings = [
        [part for part in text.split(b"/") if part] for text in (once, unquote_to_bytes(once).lower())
    ]
    if any(parts[:1] == [b"jobs"] for parts in readings):
        assert match("GET", path).jobs_api
    elif not any(part.startswith(b"jobs") for parts in readings for part in parts):
        assert not match("GET", path).jobs_api


@given(st.sampled_from(["import", "deletion"]), IDS)
def test_job_paths_lead_to_their_job(kind: str, job_id: str) -> None:
    """The path made for an id is the route of that id, for any id."""
    route = match("GET", job_path(kind, job_id))
    assert (route.job_kind, route.job_id, route.operation) == (kind, job_id, "get")
    assert match("GET", job_path(kind)).operation == "list"


SPELLINGS = st.sampled_from(
    [
        lambda char: char,
        str.upper,
        lambda char: f"%{ord(char):02x}",
        lambda char: f"%{ord(char):02X}",
        lambda char: f"%25{ord(char):02x}",
    ]
)
ENDS = st.sampled_from(["", ";v=1", ".", "%20", "%3bx", "%2e", "/", "//", "%2f"])


@given(TEMPLATE, st.data())
def test_no_spelling_of_a_refused_path_gets_by(template: str, data: st.DataObject) -> None:
    """Case, encoding, parameters, dots and slashes more: what a lenient upstream would take is refused."""
    methods = TABLE[template].split()
    denied = data.draw(st.sampled_from(methods))
    pair = f"{denied} {template}"
    path = ""
    for part in template.split("/")[1:]:
        plain = "some" if part.startswith("{") else part
        path += "/" + "".join(data.draw(SPELLINGS)(char) for char in plain) + data.draw(ENDS)
    refused = DenyList([pair]).refuses(denied, path.encode())
    twice = "%25" in path
    if refused is None:
        assert twice  # mixed with the rest, a double encoding may also hide what only one reading takes off
    else:
        assert refused == pair
    if denied == "GET":
        assert DenyList([pair]).refuses("HEAD", path.encode()) == refused
    assert DenyList([pair]).refuses("OPTIONS", path.encode()) is None


def test_encodings_are_taken_off_one_at_a_time() -> None:
    """A path whose slash shows after one decoding is refused, though a second would make another of it."""
    pair = "POST /jobs/imports/{id}/cancel"
    for path in (
        b"/jobs/imports%2Fx%252Fy/cancel",
        b"/jobs/imports%252Fx/cancel",
        b"/jobs/imports/x%2Fy/cancel",
    ):
        assert DenyList([pair]).refuses("POST", path) == pair


@given(TEMPLATE, METHOD, IDS)
def test_only_what_is_listed_is_refused(template: str, method: str, job_id: str) -> None:
    """An empty list refuses nothing, and one pair only what fits it."""
    path = filled(template, job_id)
    assert DenyList([]).refuses(method, path) is None
    assert DenyList(["PUT /nowhere/{id}"]).refuses(method, path) is None
    if method != "HEAD" and match(method, path) is not UNMATCHED and "%" not in path.decode():
        assert DenyList([f"{method} {template}"]).refuses(method, path) == f"{method} {template}"
