"""Kinds of panels. A panel gets its id and its place from the board it stands on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

Json = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

OK, NOTE, WARN, BAD, MUTED = "green", "blue", "orange", "red", "#808080"
Steps = Sequence[tuple[float | None, str]]
PLAIN: Steps = ((None, "text"),)
NONE_IS_GOOD: Steps = ((None, OK), (1, BAD))

STATUS_COLOURS: Mapping[str, str] = {
    "notstarted": "purple",
    "running": NOTE,
    "cancelling": "yellow",
    "cancelled": WARN,
    "succeeded": OK,
    "failed": BAD,
    "unknown": MUTED,
}
"""Of jobs, in the order in which a job goes through them."""

_REF_IDS = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and how its series are named; `exemplar` where the metric carries them."""

    expr: str
    legend: str = "__auto"
    exemplar: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What a panel shows; width and height in units of Grafana's grid, 24 units to a line."""

    kind: str
    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    width: int
    height: int
    options: Json
    custom: Json = field(default_factory=dict)
    defaults: Json = field(default_factory=dict)
    overrides: Sequence[Json] = ()
    transformations: Sequence[Json] = ()
    interval: str | None = None
    shape: str = "time_series"
    instant: bool = False

    def wide(self, width: int) -> Self:
        """The same panel in another width."""
        return replace(self, width=width)

    def json(self, number: int, x: int, y: int) -> Json:
        """The panel in Grafana's schema, with its id and its place."""
        panel: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "fieldConfig": {
                "defaults": {"unit": self.unit, "custom": self.custom, "mappings": []} | self.defaults,
                "overrides": list(self.overrides),
            },
            "options": self.options,
            "targets": [self._target(*named) for named in zip(_REF_IDS, self.queries, strict=False)],
        }
        if self.transformations:
            panel["transformations"] = list(self.transformations)
        if self.interval:
            panel["interval"] = self.interval
        return panel

    def _target(self, name: str, query: Query) -> Json:
        return {
            "refId": name,
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend,
            "format": self.shape,
            "instant": self.instant,
            "range": not self.instant,
            "exemplar": query.exemplar,
        }


def thresholds(steps: Steps) -> Json:
    """Colours by value, each from its value on; the first has none."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


def value_texts(texts: Mapping[str, tuple[str, str]]) -> list[Json]:
    """A text and a colour for each value."""
    options = {
        value: {"text": text, "color": colour, "index": index}
        for index, (value, (text, colour)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


def coloured(pattern: str, colour: str) -> Json:
    """A colour for the series whose names match a regular expression."""
    return {
        "matcher": {"id": "byRegexp", "options": f"/{pattern}/"},
        "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
    }


def stat(
    title: str,
    description: str,
    queries: Query | Sequence[Query],
    unit: str,
    *,
    steps: Steps = PLAIN,
    width: int = 4,
    empty: str = "no data",
    mappings: Sequence[Json] = (),
) -> Panel:
    """One number for each query, of now. NaN, which a share of nothing is, reads like no data."""
    nothing = {"type": "special", "options": {"match": "null+nan", "result": {"text": empty, "index": 9}}}
    return Panel(
        kind="stat",
        title=title,
        description=description,
        queries=[queries] if isinstance(queries, Query) else queries,
        unit=unit,
        width=width,
        height=4,
        instant=True,
        defaults={
            "color": {"mode": "thresholds"},
            "thresholds": thresholds(steps),
            "mappings": [*mappings, nothing],
            "noValue": empty,
        },
        options={
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "percentChangeColorMode": "standard",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "showPercentChange": False,
            "textMode": "auto",
            "wideLayout": True,
        },
    )
