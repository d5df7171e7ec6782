"""The plot of the README: requests per second of all candidates as SVG, light or dark as the reader likes."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from tests.bench.report import Report, number
from tests.bench.samples import Sample, Samples, median

WORKLOAD = "job-32"
LIMITS = ("direct", "nginx")
"""Candidates that neither trace nor count; their bars would leave no room for the others'."""
_WIDTH, _NAMES, _ROW, _TOP, _MARGIN, _FIGURES = 900, 180, 30, 58, 16, 190
_STYLE = """
.back { fill: #fff; } .text { fill: #1c2128; } .quiet { fill: #59636e; }
.own { fill: #0a66d0; } .other { fill: #8c959f; } .reach { stroke: #1c2128; }
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.small { font-size: 11px; } .title { font-size: 15px; font-weight: 600; }
@media (prefers-color-scheme: dark) {
.back { fill: #161b22; } .text { fill: #e3e8ee; } .quiet { fill: #9aa5b1; }
.own { fill: #5aa2ff; } .other { fill: #6e7781; } .reach { stroke: #e3e8ee; } }
"""


def plot(report: Report) -> str:
    """Bars of medians, slowest last; a line over each bar from its slowest round to its fastest."""
    measured = _values(report.samples)
    values = {name: rates for name, rates in measured.items() if name not in LIMITS}
    most = max((max(rates) for rates in values.values()), default=1.0)
    scale = (_WIDTH - _NAMES - _MARGIN - _FIGURES) / most
    height = _TOP + _ROW * len(values) + 40
    told = "; ".join(f"{name} {number(median(rates) or 0.0)}" for name, rates in measured.items())
    space = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
    drawing = [
        f'<svg {space} role="img" aria-labelledby="t d">',
        '<title id="t">Requests per second side by side</title>',
        f'<desc id="d">{escape(told)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{height}" rx="10"/>',
        _text(_MARGIN, 28, "GETs of a job per second, one core, 32 connections", "text title"),
    ]
    for row, (name, rates) in enumerate(values.items()):
        drawing += _bar(name, rates, _TOP + _ROW * row, scale)
    limits = "".join(
        f"; {name} {number(median(measured[name]) or 0.0)}" for name in LIMITS if name in measured
    )
    caption = (
        f"{report.started[:10]}: medians of the rounds, and lines from the slowest to the fastest{limits}."
    )
    drawing += [_text(_MARGIN, height - 14, caption, "quiet small"), "</svg>\n"]
    return "\n".join(drawing)


def _values(samples: Samples) -> dict[str, list[float]]:
    """Rates by candidate, fastest first; those without a round that counts are left out."""
    names = dict.fromkeys(each.candidate for each in samples.every)
    found = {name: samples.values(WORKLOAD, name, _rate) for name in names}
    kept = {name: rates for name, rates in found.items() if rates}
    return dict(sorted(kept.items(), key=lambda item: -(median(item[1]) or 0.0)))


def _bar(name: str, rates: list[float], y: int, scale: float) -> Iterator[str]:
    value = median(rates) or 0.0
    style = "own" if name.startswith("gateway") else "other"
    low, high = (_NAMES + each * scale for each in (min(rates), max(rates)))
    yield _text(_MARGIN, y + 15, name, "text")
    width = max(1.0, value * scale)
    yield f'<rect class="{style}" x="{_NAMES}" y="{y}" width="{width:.1f}" height="20" rx="2"/>'
    yield f'<path class="reach" d="M{low:.1f} {y + 10}H{high:.1f}"/>'
    figures = (
        f"{number(value)} ({number(min(rates))} to {number(max(rates))})" if low < high else number(value)
    )
    yield _text(high + 8, y + 15, figures, "quiet small")


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y}">{escape(text)}</text>'


def _rate(sample: Sample) -> float:
    return sample.rate
