"""The dashboards: made by code, one look, nothing on top of anything else."""

import itertools
import re
from typing import Any

import pytest

from gateway.config.keys import CATALOGUE
from gateway.failures import REGISTRY
from grafana.boards import BOARDS, files
from tests.support import dashboards
from tests.support.dashboards import FILES, panels

ALL = [dashboards.load(path) for path in FILES]
UIDS = {"adt-gateway-overview", "adt-gateway-jobs", "adt-gateway-upstream"}
each = pytest.mark.parametrize("dashboard", ALL, ids=[path.stem for path in FILES])

GRID = 24
HEIGHT = {"stat": {4}, "state-timeline": {9, 12}}
OTHERS = {8}


def _places(dashboard: dict[str, Any]) -> list[tuple[str, range, range]]:
    found = []
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        found.append((panel["title"], across, down))
    return found


def _overlap(one: range, other: range) -> bool:
    return max(one.start, other.start) < min(one.stop, other.stop)


def test_what_is_committed_is_what_the_code_makes() -> None:
    """No dashboard was edited by hand, left behind or forgotten: `python -m grafana` changes nothing."""
    assert {path: path.read_text(encoding="utf-8") for path in FILES} == files()


def test_others_find_the_dashboards_by_their_names() -> None:
    """Uids and file names are those that links, manifests and compose use; titles differ."""
    assert {board.uid for board in BOARDS} == UIDS
    assert [path.stem for path in FILES] == ["credentials-and-upstream", "jobs", "overview"]
    assert len({board.title for board in BOARDS}) == len(BOARDS)


@each
def test_ids_and_titles_are_unique(dashboard: dict[str, Any]) -> None:
    """A panel can be linked by its id and named by its title."""
    found = [(panel["id"], panel["title"]) for panel in dashboard["panels"] if panel["type"] != "row"]
    rows = [panel["id"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert len({title for _, title in found}) == len(found)
    assert len({number for number, _ in found} | set(rows)) == len(dashboard["panels"])


@each
def test_no_panel_lies_on_another(dashboard: dict[str, Any]) -> None:
    """Every panel has a place of its own, within the 24 columns."""
    places = _places(dashboard)
    for _, across, _ in places:
        assert 0 <= across.start < across.stop <= GRID
    for (one, across, down), (other, across2, down2) in itertools.combinations(places, 2):
        assert not (_overlap(across, across2) and _overlap(down, down2)), f"{one} lies on {other}"


@each
def test_no_line_has_a_hole(dashboard: dict[str, Any]) -> None:
    """Each line of the grid is full, so that no panel is moved when Grafana closes gaps."""
    places = _places(dashboard)
    for line in range(max(down.stop for _, _, down in places)):
        filled = sum(len(across) for _, across, down in places if line in down)
        assert filled == GRID, f"line {line}"


@each
def test_panels_of_a_kind_have_one_height(dashboard: dict[str, Any]) -> None:
    """Stats are low, all others have the same height, time lines of many rows are higher."""
    for panel in panels(dashboard):
        assert panel["gridPos"]["h"] in HEIGHT.get(panel["type"], OTHERS), panel["title"]


@each
def test_each_row_has_a_heading_and_panels(dashboard: dict[str, Any]) -> None:
    """A dashboard begins with a row, and no row is empty or folded away."""
    kinds = [panel["type"] for panel in dashboard["panels"]]
    assert kinds[0] == "row"
    assert kinds[-1] != "row"
    assert ("row", "row") not in itertools.pairwise(kinds)
    assert not [panel for panel in dashboard["panels"] if panel.get("collapsed")]


def test_rows_follow_the_request() -> None:
    """The overview goes with a request: what the app sees, errors, ADT, token, jobs, the gateway itself."""
    [overview] = [dashboard for dashboard in ALL if dashboard["uid"] == "adt-gateway-overview"]
    rows = [panel["title"] for panel in overview["panels"] if panel["type"] == "row"]
    assert rows == [
        "At a glance",
        "Requests: rate, errors, duration",
        "Errors by code",
        "Upstream",
        "Token",
        "Jobs",
        "The gateway itself",
    ]


@each
def test_dashboards_lead_to_each_other(dashboard: dict[str, Any]) -> None:
    """The links at the top are those of the tag that every dashboard has; time and variables go along."""
    [link] = dashboard["links"]
    assert link["type"] == "dashboards"
    assert set(link["tags"]) <= set(dashboard["tags"])
    assert link["keepTime"]
    assert link["includeVars"]


@each
def test_starts_of_the_gateway_are_marked(dashboard: dict[str, Any]) -> None:
    """A start stands at its own time, which Grafana wants in milliseconds, with its version."""
    [starts] = dashboard["annotations"]["list"]
    assert starts["enable"]
    assert starts["useValueForTime"]
    assert starts["expr"].startswith("process_start_time_seconds{")
    assert "} * 1000 *" in starts["expr"]
    assert "{{version}}" in starts["textFormat"]
    assert starts["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@each
def test_times_are_in_milliseconds_where_grafana_wants_them(dashboard: dict[str, Any]) -> None:
    """`dateTimeFromNow` reads milliseconds, Prometheus has seconds."""
    for panel in panels(dashboard):
        if panel["fieldConfig"]["defaults"]["unit"] == "dateTimeFromNow":
            assert all("* 1000" in target["expr"] for target in panel["targets"]), panel["title"]


@each
def test_descriptions_say_what_an_empty_panel_means(dashboard: dict[str, Any]) -> None:
    """Where a panel can be without data, its description says so and why."""
    told = re.compile(r"No data:|Empty:|No line:|Gaps:|ithout \w+ it says so|appears with its first")
    always = re.compile(
        r"(?:adt_jobs|adt_job_oldest_active_age_seconds|adt_\w+_(?:up|state)|process_\w+|adt_gateway_build_info|"
        r"http_server_active_requests|adt_jobs_rate_queue_length|adt_\w+_total)\{"
    )
    for panel in panels(dashboard):
        asked = [target["expr"] for target in panel["targets"]]
        from_start = all(always.search(expression) and "> 0" not in expression for expression in asked)
        assert from_start or told.search(panel["description"]), panel["title"]


def test_optional_panels_name_the_key_that_they_need() -> None:
    """Panels of the series of single jobs, which are off by default, say how to have them."""
    found = [
        panel
        for dashboard in ALL
        for panel in panels(dashboard)
        if any(re.search(r"adt_job_(info|status)\{", target["expr"]) for target in panel["targets"])
    ]
    assert len(found) == 2
    assert all("metrics.job_series" in panel["description"] for panel in found)


@each
def test_keys_and_errors_that_are_named_exist(dashboard: dict[str, Any]) -> None:
    """Whatever a description calls a key of the configuration or an error of the gateway's is one."""
    keys = {key.name for key in CATALOGUE.keys.values()}
    sections = {name.partition(".")[0] for name in keys}
    for panel in panels(dashboard):
        named = re.findall(r"\b([a-z]+\.[a-z_]+(?:\.[a-z_]+)*)\b", panel["description"])
        assert {name for name in named if name.partition(".")[0] in sections} <= keys, panel["title"]
        assert set(re.findall(r"\bGateway[A-Z]\w+", panel["description"])) <= REGISTRY.keys(), panel["title"]


@each
def test_panels_that_a_description_points_to_are_there(dashboard: dict[str, Any]) -> None:
    """'Errors by code' in a description is the title of a panel on the same dashboard."""
    titles = {panel["title"] for panel in panels(dashboard)}
    for panel in panels(dashboard):
        named = re.findall(r"'([A-Z][^']+)'", panel["description"])
        assert set(named) <= titles, panel["title"]
