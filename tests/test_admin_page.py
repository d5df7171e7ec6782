"""The status page as HTML: what it says, what it says when there is nothing, and that it escapes."""

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.requests import Request

from gateway.admin.page import Page
from tests.support import glance

HOSTILE = '"><script>alert(1)</script>\u202e\x1b[31m\x00'
SHOWN = "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\x1b[31m\\x00"


PAGE = Page()
"""It keeps nothing but its templates, which take long to read."""


async def drawn(status: Mapping[str, Any], *jobs: Mapping[str, Any], total: int | None = None) -> str:
    response = await PAGE.render(status, jobs, len(jobs) if total is None else total)
    return bytes(response.body).decode()


class Reader(HTMLParser):
    """The text that is seen, and every element with its attributes; complains of what is not closed."""

    VOID = frozenset({"meta", "link", "path", "rect", "circle", "use"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str, name: str) -> list[str]:
        """The values of an attribute on elements of that name."""
        return [
            value for kind, held in self.elements if kind == tag and (value := held.get(name)) is not None
        ]


async def test_a_gateway_that_has_just_started() -> None:
    """Each section has its empty state, which says what fills it."""
    page = Reader(await drawn(glance.status(token=None)))
    assert "No job seen yet: create one through the gateway ( PUT /jobs/imports/{id}" in page.text
    assert "No error was answered since the start." in page.text
    assert "No request in these 10 minutes: point the app's ADT endpoint at the data listener." in page.text
    assert "Nothing was sent to ADT in these 10 minutes." in page.text
    assert "The gateway adds no token here" in page.text
    assert page.all("table", "class") == []


async def test_essentials() -> None:
    """Health, what it is about, token, figures, errors and jobs are in the HTML itself."""
    busy = glance.recent(app=glance.busy(failed=3), upstream=glance.busy(), errors=[glance.error()])
    page = Reader(await drawn(glance.status(recent=busy), glance.job(), glance.running()))
    for told in (
        "token ok valid",
        "Upstream https://twins.example Engine pyreqwest Up for 1 min 35 s Version 1.2.3",
        "Expires in 1 h 00 min",
        "Source oauth2 Expires at 21:26:40 UTC Last refresh success at 20:26:35 UTC",
        "Next refresh in 30 min 00 s",
        "Requests 200 Failed 3 1.5 % p50 12 ms p95 48 ms",
        "JobLimitReached upstream 400 3 20:26:31",
        "import one succeeded 20:25:58 32 s",
        "import now running 20:25:58 42 s",
    ):
        assert told in page.text, told


async def test_where_it_leads() -> None:
    """It links to the raw data, each job, and the traces; nothing leads or loads from elsewhere but these."""
    errors = glance.recent(errors=[glance.error()])
    page = Reader(await drawn(glance.status(recent=errors), glance.job("a/b c")))
    trace = f"https://traces.example/trace/{glance.TRACE}"
    raw = ["metrics", "readyz?verbose", "api/status", "api/jobs"]
    assert page.all("a", "href") == ["#main", *raw, trace, "api/jobs/import/a%2Fb%20c", trace]
    [style] = [href for href in page.all("link", "href") if not href.startswith("data:")]
    [script] = page.all("script", "src")
    assert style.partition("?")[0] == "static/page.css"
    assert script.partition("?")[0] == "static/page.js"


@pytest.mark.parametrize(
    "place", ["job", "kind", "job error", "error", "check", "token", "store", "given up"]
)
async def test_text_from_outside_stays_text(place: str) -> None:
    """A tag in an id, a code or a message is shown as it is, and so is a control character."""
    changes: dict[str, Any] = {}
    job: dict[str, Any] = {}
    at_a_glance, following = glance.jobs_at_a_glance, glance.jobs_at_a_glance()["watcher"]
    match place:
        case "job":
            job["id"] = HOSTILE
        case "kind":
            job["kind"] = HOSTILE
        case "job error":
            job["errorCode"] = HOSTILE
        case "error":
            changes["recent"] = glance.recent(errors=[glance.error(HOSTILE, origin=HOSTILE)])
        case "check":
            changes = {"ready": False, "checks": [{"name": HOSTILE, "ok": False, "detail": HOSTILE}]}
        case "token":
            changes["token"] = glance.token(valid=False, failures=1, reason=HOSTILE, message=HOSTILE)
        case "store":
            changes["jobs"] = at_a_glance(store={"name": HOSTILE, "problem": HOSTILE})
        case _:
            changes["jobs"] = at_a_glance(watcher={**following, "givenUp": [HOSTILE]})
    html = await drawn(glance.status(**changes), glance.job(**job))
    page = Reader(html)
    assert SHOWN in html
    assert [held for tag, held in page.elements if tag == "script"] == [
        held for tag, held in page.elements if tag == "script" and "src" in held
    ]
    assert not {"\u202e", "\x1b", "\x00"} & set(html)


@pytest.mark.parametrize("sampled", [True, False])
async def test_only_sampled_traces_are_linked(*, sampled: bool) -> None:
    """A trace that was not sampled never reached the UI: its id is there as text."""
    latest = {**glance.error()["latest"][0], "sampled": sampled}
    errors = glance.recent(errors=[glance.error(latest=[latest])])
    page = Reader(await drawn(glance.status(recent=errors), glance.job(traceSampled=sampled)))
    links = [href for href in page.all("a", "href") if glance.TRACE in href]
    whole = page.words.count(glance.TRACE)
    assert (len(links), whole) == ((2, 0) if sampled else (0, 2))


async def test_no_tracing_ui() -> None:
    """Without `tracing.ui_url` trace ids are text."""
    errors = glance.recent(errors=[glance.error()])
    html = await drawn(glance.status(recent=errors, traces={"uiUrl": None}), glance.job())
    assert not [href for href in Reader(html).all("a", "href") if glance.TRACE in href]
    assert html.count(f">{glance.TRACE}</span>") == 2


async def test_no_job_has_no_link_up_the_path() -> None:
    """An id that a browser takes for a step in the path is text."""
    page = Reader(await drawn(glance.status(), glance.job(".."), glance.job("."), glance.job("...")))
    assert [href for href in page.all("a", "href") if href.startswith("api/jobs/")] == ["api/jobs/import/..."]


async def test_a_long_id_is_shortened_and_there_in_full() -> None:
    """The row has the two ends of a long id, and all of it on request."""
    job_id = "a" * 300 + "z" * 200
    page = Reader(await drawn(glance.status(), glance.job(job_id)))
    assert f"{'a' * 20}…{'z' * 20} full id {job_id}" in page.text


async def test_more_jobs_than_are_shown() -> None:
    """Fifty rows at most, and how many more there are."""
    page = Reader(await drawn(glance.status(), *(glance.job(str(n)) for n in range(60)), total=1234))
    assert len([held for tag, held in page.elements if tag == "th" and held.get("scope") == "row"]) == 50
    assert "1,184 more: /api/jobs lists them" in page.text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"valid": False, "expires_on": None, "expires_in": None}, "No valid token"),
        ({"expires_on": None, "expires_in": None}, "Valid, no expiry known"),
        ({"next_try_in": None}, "Next refresh none due"),
        ({"refreshed_on": None, "result": None}, "Last refresh none yet"),
        (
            {"failures": 1, "reason": "InvalidClient", "message": "Not accepted."},
            "InvalidClient Not accepted.",
        ),
        (
            {"result": "failure", "failures": 4, "reason": "InvalidClient", "message": "Not accepted."},
            "Last refresh failure at 20:26:35 UTC (4 failed in a row)",
        ),
    ],
)
async def test_token(changes: dict[str, Any], told: str) -> None:
    """The token's section tells each state, and why a refresh failed."""
    assert told in Reader(await drawn(glance.status(token=glance.token(**changes)))).text


async def test_nothing_inline() -> None:
    """The policy lets in no inline style, script or handler, so there is none."""
    errors = glance.recent(app=glance.busy(), upstream=glance.busy(), errors=[glance.error()])
    page = Reader(await drawn(glance.status(recent=errors), glance.job(), glance.running()))
    attributes = {name for _, held in page.elements for name in held}
    assert not {name for name in attributes if name.startswith("on") or name == "style"}
    assert [tag for tag, held in page.elements if tag == "script" and "src" not in held] == []
    assert "style" not in {tag for tag, _ in page.elements}


async def test_every_reference_has_its_target() -> None:
    """Ids are there once, and each label, description and icon that is named is there."""
    busy = glance.recent(app=glance.busy(), upstream=glance.busy(), errors=[glance.error()])
    page = Reader(await drawn(glance.status(recent=busy), glance.job()))
    ids = [held["id"] for _, held in page.elements if "id" in held]
    assert len(ids) == len(set(ids))
    labels = {each for _, held in page.elements for each in (held.get("aria-labelledby") or "").split()}
    icons = {href.removeprefix("#") for href in page.all("use", "href")}
    assert labels | icons <= set(ids)


async def test_headers() -> None:
    """Nothing but its own style, script and state can be loaded, and nothing is kept."""
    headers = (await PAGE.render(glance.status(), [], 0)).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("page.css", 200, "text/css; charset=utf-8"),
        ("page.js", 200, "text/javascript; charset=utf-8"),
        ("page.html", 404, "application/json"),
        ("../document.py", 404, "application/json"),
    ],
)
async def test_assets(name: str, status: int, kind: str) -> None:
    """Style and script are served as what they are; there is no other file to be had."""
    request = Request({"type": "http", "method": "GET", "headers": [], "path_params": {"name": name}})
    asset = await PAGE.asset(request)
    assert (asset.status_code, asset.headers["content-type"]) == (status, kind)
    assert asset.headers["cache-control"] == "no-store"
