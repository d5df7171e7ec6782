"""Numbers by time step to the shapes of an SVG, one unit wide for each step and 100 high; 0 is at the bottom.

A step without a value is a gap. The SVG is stretched to its place, so it holds no text.
"""

from collections.abc import Sequence
from itertools import groupby

HEIGHT = 100
_LEAST = 2.0
"""Height of the smallest bar that is not nothing."""
_NICE = (1.0, 2.0, 5.0, 10.0)

Values = Sequence[float | None]


def ceiling(highest: float, least: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … times `least` that is not below `highest`."""
    scale = least
    while True:
        for factor in _NICE:
            if highest <= scale * factor:
                return scale * factor
        scale *= 10


def steps(values: Values, top: float) -> str:
    """A line that holds each value for its step, broken where there is none."""
    path = []
    for run in _runs(values):
        first, value = run[0]
        path.append(f"M{first} {_y(value, top)}H{first + 1}")
        path += [f"V{_y(value, top)}H{index + 1}" for index, value in run[1:]]
    return "".join(path)


def area(values: Values, top: float) -> str:
    """What is below the line of `steps`."""
    path = []
    for run in _runs(values):
        path.append(f"M{run[0][0]} {HEIGHT}")
        path += [f"V{_y(value, top)}H{index + 1}" for index, value in run]
        path.append(f"V{HEIGHT}Z")
    return "".join(path)


def bars(values: Values, top: float) -> str:
    """A bar for each value above 0."""
    shown = [(index, min(_y(value, top), HEIGHT - _LEAST)) for index, value in enumerate(values) if value]
    return "".join(f"M{index + 0.12:g} {HEIGHT}V{y:g}H{index + 0.88:g}V{HEIGHT}Z" for index, y in shown)


def _runs(values: Values) -> list[list[tuple[int, float]]]:
    """The values with their places, in groups without a gap."""
    placed = groupby(enumerate(values), key=lambda pair: pair[1] is None)
    return [[(i, v) for i, v in group if v is not None] for is_gap, group in placed if not is_gap]


def _y(value: float, top: float) -> float:
    return round(HEIGHT * (1 - min(value / top, 1.0)), 1)
