"""Panels over time, and tables."""

from collections.abc import Mapping, Sequence

from grafana.panels import OK, PLAIN, Json, Panel, Query, Steps, thresholds, value_texts

_TOOLTIP: Json = {"mode": "multi", "sort": "desc", "hideZeros": False}
_SEEN: Json = {"tooltip": False, "viz": False, "legend": False}


_LEGEND: Json = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
_WINDOW = "Each bar counts the window that ends there, a minute or more."


def _drawn(*, bars: bool, stacked: bool, lines: Steps) -> Json:
    return {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 70 if bars else 20 if stacked else 5,
        "gradientMode": "none",
        "showPoints": "never" if bars else "auto",
        "pointSize": 4,
        "spanNulls": False,
        "insertNulls": False,
        "barAlignment": 0,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "axisPlacement": "auto",
        "axisLabel": "",
        "axisColorMode": "text",
        "axisBorderShow": False,
        "axisCenteredZero": False,
        "axisSoftMin": 0,
        "scaleDistribution": {"type": "linear"},
        "thresholdsStyle": {"mode": "off" if lines == PLAIN else "dashed"},
        "hideFrom": _SEEN,
    }


def lines(
    title: str,
    description: str,
    queries: Query | Sequence[Query],
    unit: str,
    *,
    width: int = 8,
    stacked: bool = False,
    steps: Steps = PLAIN,
    overrides: Sequence[Json] = (),
) -> Panel:
    """Lines over time; `steps` are drawn as dashed lines."""
    return Panel(
        kind="timeseries",
        title=title,
        description=description,
        queries=[queries] if isinstance(queries, Query) else queries,
        unit=unit,
        width=width,
        height=8,
        custom=_drawn(bars=False, stacked=stacked, lines=steps),
        defaults={"color": {"mode": "palette-classic"}, "thresholds": thresholds(steps)},
        overrides=overrides,
        options={"legend": _LEGEND, "tooltip": _TOOLTIP},
    )


def bars(
    title: str,
    description: str,
    queries: Query | Sequence[Query],
    *,
    width: int = 8,
    overrides: Sequence[Json] = (),
) -> Panel:
    """Counts of rare events: a point at most every minute, so that windows hardly overlap."""
    return Panel(
        kind="timeseries",
        title=title,
        description=f"{description} {_WINDOW}",
        queries=[queries] if isinstance(queries, Query) else queries,
        unit="short",
        width=width,
        height=8,
        interval="1m",
        custom=_drawn(bars=True, stacked=True, lines=PLAIN),
        defaults={
            "color": {"mode": "palette-classic"},
            "decimals": 0,
            "thresholds": thresholds(PLAIN),
            "noValue": "none",
        },
        overrides=overrides,
        options={"legend": _LEGEND, "tooltip": _TOOLTIP},
    )


def heatmap(title: str, description: str, buckets: Query, *, width: int = 8, interval: str = "") -> Panel:
    """How many fell into which bucket of a histogram of seconds, over time."""
    return Panel(
        kind="heatmap",
        title=title,
        description=description,
        queries=[buckets],
        unit="short",
        width=width,
        height=8,
        interval=interval or None,
        shape="heatmap",
        custom={"scaleDistribution": {"type": "linear"}, "hideFrom": _SEEN},
        options={
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": "short", "decimals": 1},
            "color": {
                "mode": "scheme",
                "scheme": "Blues",
                "fill": "dark-blue",
                "scale": "exponential",
                "exponent": 0.5,
                "steps": 64,
                "reverse": False,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
            "yAxis": {"unit": "s", "axisPlacement": "left", "reverse": False},
        },
    )


def timeline(
    title: str,
    description: str,
    query: Query,
    texts: Mapping[str, tuple[str, str]],
    *,
    steps: Steps = ((None, OK),),
    overrides: Sequence[Json] = (),
    height: int = 8,
    width: int = 24,
) -> Panel:
    """A band for each series, coloured by its value: by `texts` where it is named there, else by `steps`."""
    return Panel(
        kind="state-timeline",
        title=title,
        description=description,
        queries=[query],
        unit="short",
        width=width,
        height=height,
        custom={"fillOpacity": 80, "lineWidth": 0, "hideFrom": _SEEN},
        defaults={
            "color": {"mode": "thresholds"},
            "thresholds": thresholds(steps),
            "mappings": value_texts(texts),
        },
        overrides=overrides,
        options={
            "mergeValues": True,
            "showValue": "auto",
            "alignValue": "left",
            "rowHeight": 0.85,
            "perPage": 20,
            "legend": _LEGEND,
            "tooltip": {"mode": "single", "sort": "none", "hideZeros": False},
        },
    )


def table(
    title: str,
    description: str,
    queries: Query | Sequence[Query],
    unit: str,
    columns: Mapping[str, str],
    *,
    units: Mapping[str, str] | None = None,
    sort: str = "",
    empty: str = "none",
) -> Panel:
    """The values of now, a row for each label set.

    `columns` are the fields in their order, with their titles: labels, and `Value`, or `Value #A`, `Value #B`
    where there are several queries. `units` are those of columns that differ from `unit`, by title.
    """
    return Panel(
        kind="table",
        title=title,
        description=description,
        queries=[queries] if isinstance(queries, Query) else queries,
        unit=unit,
        width=12,
        height=8,
        instant=True,
        shape="table",
        custom={"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False},
        defaults={"color": {"mode": "thresholds"}, "thresholds": thresholds(PLAIN), "noValue": empty},
        overrides=[_in_unit(name, other) for name, other in (units or {}).items()],
        transformations=[{"id": "merge", "options": {}}, _organized(columns)],
        options={
            "frameIndex": 0,
            "cellHeight": "sm",
            "showHeader": True,
            "sortBy": [{"displayName": sort, "desc": True}] if sort else [],
        },
    )


def _organized(columns: Mapping[str, str]) -> Json:
    return {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True},
            "indexByName": {name: index for index, name in enumerate(columns)},
            "renameByName": dict(columns),
        },
    }


def _in_unit(column: str, unit: str) -> Json:
    return {"matcher": {"id": "byName", "options": column}, "properties": [{"id": "unit", "value": unit}]}
