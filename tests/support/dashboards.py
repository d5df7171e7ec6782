"""The dashboards as they are committed: their panels, and every expression in them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "grafana"
FILES = tuple(sorted((FOLDER / "dashboards").glob("*.json")))

Panel = dict[str, Any]
"""A panel as Grafana's JSON has it."""


def load(path: Path) -> dict[str, Any]:
    """One dashboard."""
    dashboard: dict[str, Any] = json.loads(path.read_text())
    return dashboard


def panels(dashboard: dict[str, Any]) -> Iterator[Panel]:
    """Its panels without the rows; those in a collapsed row too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def expressions() -> list[tuple[str, str, str]]:
    """Dashboard uid, panel title and expression of every query of every panel, Grafana's variables in it.

    The queries of variables and annotations are not among them.
    """
    return [
        (dashboard["uid"], panel["title"], target["expr"])
        for dashboard in map(load, FILES)
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
