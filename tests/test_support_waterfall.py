"""The picture of a trace: what is written in it can be read."""

import re
from xml.etree import ElementTree as ET

import pytest

from tests.support.otlp import ReceivedLink, ReceivedSpan
from tests.support.waterfall import drawn, tree

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MILLISECOND = 1_000_000
SVG = "{http://www.w3.org/2000/svg}"


def span(span_id: str, start: int, end: int, *, parent: str = "", links: bool = False) -> ReceivedSpan:
    """A span of so many milliseconds; its link is to the root."""
    return ReceivedSpan(
        name="watch jobs",
        kind="INTERNAL",
        trace_id=TRACE,
        span_id=span_id,
        parent_id=parent,
        trace_state="",
        attributes={"http.response.status_code": 200},
        status="UNSET",
        status_message="",
        start=start * MILLISECOND,
        end=end * MILLISECOND,
        links=(ReceivedLink(TRACE, "root"),) if links else (),
        events=(),
        flags=1,
        scope=("gateway", "1"),
        resource={"service.name": "adt-gateway"},
    )


@pytest.mark.parametrize("last", [(20, 25), (4_000, 6_320), (6_310, 6_320)])
def test_no_line_crosses_a_bars_figures(last: tuple[int, int]) -> None:
    """Each bar's figures are inside the picture, to the right of the bar; its link leaves to the left."""
    spans = [span("root", 0, 10), span("job", 1, 5, parent="root"), span("watch", *last, links=True)]
    picture = ET.fromstring(drawn(list(tree(spans))))  # noqa: S314 - written here
    bars = [bar for bar in picture.iter(f"{SVG}rect") if bar.get("height") == "12"]
    figures = [text for text in picture.iter(f"{SVG}text") if "halo" in text.get("class", "")]
    assert len(bars) == len(figures) == len(spans)
    for bar, text in zip(bars, figures, strict=True):
        left = float(text.get("x", ""))
        assert left > float(bar.get("x", "")) + float(bar.get("width", ""))
        assert left + 7 * len(text.text or "") <= 1000
        assert text.get("text-anchor") is None
    [link] = [path for path in picture.iter(f"{SVG}path") if path.get("class") == "link"]
    begins = re.match(r"M([\d.]+) \d+H(\d+)", link.get("d", ""))
    assert begins is not None
    assert float(begins[2]) < float(begins[1]) <= float(bars[-1].get("x", ""))
