"""All candidates beside each other: a table for the terminal, the same and the reach as Markdown."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench.report import Figure, Report, limit, number, spread
from tests.bench.samples import Samples, median
from tests.bench.workloads import WORKLOADS, Workload

_MILLI = 1_000
_MICRO = 1_000_000
_MIB = 1 << 20
_MANY = "job-32"


def columns() -> list[str]:
    """Heads of the table."""
    heads = ["", "CPU, µs a request"]
    for workload in WORKLOADS:
        unit = "ms" if workload.connections == 1 and not workload.large else ""
        heads.append(f"{workload.name}{', MiB/s' * workload.large}{unit and ', p50 ms'}")
    return heads


def rows(samples: Samples) -> Iterator[list[str]]:
    """One for each candidate, in the order in which they came: medians of the rounds that count."""
    for name in dict.fromkeys(each.candidate for each in samples.every):
        cpu = median(samples.values(_MANY, name, lambda each: each.cpu_per_request))
        yield [
            name,
            number(cpu * _MICRO) if cpu else "",
            *(_cell(samples, workload, name) for workload in WORKLOADS),
        ]


def show(report: Report, console: Console) -> None:
    """The table, and what was disqualified."""
    heads = columns()
    table = Table(*heads, title="requests/s, medians of the rounds")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows(report.samples):
        table.add_row(*row)
    console.print(table)
    for workload in WORKLOADS:
        console.print(f"{workload.name}: {_told(workload)}", style="dim")
    for line in report.samples.disqualified():
        console.print(f"[red]disqualified:[/] {escape(line)}")


def markdown(report: Report) -> str:
    """What the README shows: the reach, then the candidates."""
    lines = ["| measure | must | goal | reached | rounds |", "|---|---|---|---|---|"]
    lines += [_reach_row(figure) for figure in report.figures if figure.goal is not None]
    heads = columns()
    lines += ["", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows(report.samples)]
    return "\n".join([*lines, "", report.machine()])


def _reach_row(figure: Figure) -> str:
    reached = f"{number(figure.value)} {figure.unit}"
    if figure.holds is False:
        reached = f"**{reached}**"
    cells = (
        figure.measure,
        limit(figure, figure.must) or "none",
        limit(figure, figure.goal),
        reached,
        spread(figure),
    )
    return f"| {' | '.join(cells)} |"


def _cell(samples: Samples, workload: Workload, name: str) -> str:
    if workload.large:
        return _shown(samples.values(workload.name, name, lambda each: each.received / _MIB))
    if workload.connections == 1:
        return _shown(samples.values(workload.name, name, lambda each: each.p50 * _MILLI))
    return _shown(samples.values(workload.name, name, lambda each: each.rate))


def _shown(values: Sequence[float]) -> str:
    value = median(values)
    return "" if value is None else number(value)


def _told(workload: Workload) -> str:
    many = "1 connection" if workload.connections == 1 else f"{workload.connections} connections"
    return f"{workload.shown}, {many}"
