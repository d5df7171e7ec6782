"""What the panels of the token say, evaluated by promtool."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.dashboards import expressions
from tests.support.promql import without_variables
from tests.support.promtool import complaint

VALUES = {"job": "adt-gateway", "instance": ".+"}
EXPIRY = 'adt_gateway_token_expiry_timestamp_seconds{{job="adt-gateway", instance="{}", source="{}"}}'
HOURLY, ENDLESS = EXPIRY.format("one", "entra"), EXPIRY.format("two", "static")
SECONDS = "7200x240"
"""At one hour, the time that the expressions are asked at, an hour is left."""
NEVER = "Inf+0x240"
ONE = '{instance="one", source="entra"}'
PANELS = {
    "Token ends in": {"{}": 3_600.0},
    "Time until the token ends": {ONE: 3_600.0},
    "Tokens": {ONE: 7_200_000.0},
}


def _asked(title: str) -> str:
    [expression] = {expression for _, named, expression in expressions() if named == title}
    return without_variables(expression, VALUES)


@pytest.mark.parametrize(("title", "shown"), PANELS.items(), ids=PANELS)
def test_a_token_that_never_ends_hides_no_other(
    tmp_path: Path, title: str, shown: Mapping[str, float]
) -> None:
    """Beside a token that never ends the end of the other one is shown, and nothing infinite."""
    assert not complaint(tmp_path, {HOURLY: SECONDS, ENDLESS: NEVER}, _asked(title), shown)


@pytest.mark.parametrize("title", PANELS)
def test_a_token_that_never_ends_has_no_end_to_show(tmp_path: Path, title: str) -> None:
    """Where no token ends there is no data: an infinite time is no length and no date."""
    assert not complaint(tmp_path, {ENDLESS: NEVER}, f"count({ENDLESS} == Inf)", {"{}": 1})
    assert not complaint(tmp_path, {ENDLESS: NEVER}, _asked(title), {})
