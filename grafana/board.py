"""A dashboard: rows of panels on a grid, and what all dashboards of the gateway share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana.panels import SOURCE, Json, Panel
from grafana.queries import select

SCHEMA_VERSION = 39
"""Of Grafana 11.0; later versions migrate it when they load it."""
TAG = "adt-gateway"
LINE = 24
"""Units of the grid to a line."""

_ALL: Json = {"selected": True, "text": ["All"], "value": ["$__all"]}


@dataclass(frozen=True, slots=True)
class Row:
    """A heading with its panels, which fill lines from left to right."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard. `uid` and `name` (of its file) are what others refer to it by."""

    uid: str
    name: str
    title: str
    description: str
    since: str
    rows: Sequence[Row]

    def json(self) -> Json:
        """The dashboard in Grafana's schema."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": self.since, "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "annotations": {"list": [_starts()]},
            "templating": {"list": list(_variables())},
            "links": [_links()],
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[Json]:
        number, y = 0, 0
        for row in self.rows:
            number += 1
            yield _heading(row.title, number, y)
            y, x, height = y + 1, 0, 0
            for panel in row.panels:
                number += 1
                if x + panel.width > LINE:
                    y, x, height = y + height, 0, 0
                yield panel.json(number, x, y)
                x, height = x + panel.width, max(height, panel.height)
            y += height


def _heading(title: str, number: int, y: int) -> Json:
    place = {"h": 1, "w": LINE, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _links() -> Json:
    return {
        "title": "ADT gateway",
        "type": "dashboards",
        "tags": [TAG],
        "icon": "external link",
        "tooltip": "The other dashboards of the gateway",
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "url": "",
    }


def _starts() -> Json:
    """A mark where a gateway started, at the second it did; the series' value is its time."""
    started = select("process_start_time_seconds")
    build = select("adt_gateway_build_info")
    return {
        "name": "Starts",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "expr": f"{started} * 1000 * on (job, instance) group_left (version, engine) {build}",
        "step": "1m",
        "titleFormat": "Gateway started",
        "textFormat": "{{instance}}, version {{version}}, engine {{engine}}",
        "tagKeys": "instance,version",
        "useValueForTime": True,
    }


def _variables() -> Iterator[Json]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "description": "The Prometheus that scrapes the gateways.",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "current": {"selected": True, "text": "default", "value": "default"},
        "options": [],
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "refresh": 1,
        "skipUrlSync": False,
    }
    yield _labels("job", "adt_gateway_build_info", "The scrape jobs of gateways.")
    yield _labels("instance", 'adt_gateway_build_info{job=~"$job"}', "The gateways, by the target's address.")


def _labels(name: str, series: str, description: str) -> Json:
    return {
        "name": name,
        "label": name.title(),
        "description": description,
        "type": "query",
        "datasource": SOURCE,
        "definition": f"label_values({series}, {name})",
        "query": f"label_values({series}, {name})",
        "regex": "",
        "current": _ALL,
        "options": [],
        "allValue": ".+",
        "includeAll": True,
        "multi": True,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "skipUrlSync": False,
    }
