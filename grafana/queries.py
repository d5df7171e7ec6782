"""PromQL over the gateway's metrics, always for the chosen jobs and instances."""

STEP = "$__rate_interval"
"""The shortest window in which a rate can be told, never shorter than the distance of two points."""
RANGE = "$__range"
"""The whole time range of the dashboard."""

UNFINISHED = 'status=~"notstarted|running|cancelling"'
_OF_THE_APP = "GatewayRequest(Invalid|TooLarge|Timeout)"
BAD_ATTEMPT = f'error_type!~"|4..|{_OF_THE_APP}"'
"""Attempts at ADT that got 5xx or no whole answer.

4xx is an answer, a cancelled attempt has no type, and what the app's own request broke says nothing of ADT.
"""
NO_WHOLE_ANSWER = f'error_type!~"|[45]..|{_OF_THE_APP}"'
"""Of these, the attempts without a whole answer."""

_TARGET = 'job=~"$job", instance=~"$instance"'


def select(metric: str, matchers: str = "") -> str:
    """The series of a metric."""
    return f"{metric}{{{_TARGET}, {matchers}}}" if matchers else f"{metric}{{{_TARGET}}}"


def rate(metric: str, matchers: str = "") -> str:
    """A counter's increase per second."""
    return f"rate({select(metric, matchers)}[{STEP}])"


def increase(metric: str, matchers: str = "") -> str:
    """A counter's increase in the window that ends at each point."""
    return f"increase({select(metric, matchers)}[{STEP}])"


def events(metric: str, matchers: str = "", *, over: str = STEP) -> str:
    """How much a counter grew, for one whose series are born with their first event.

    `increase()` compares samples, so it misses the event that gave birth to a series. The value of a series
    that was not there before the window is therefore added; but only of a gateway that was watched before the
    window or began in it, else a gateway that Prometheus meets late would bring its whole past as new.
    Of a series that was born and also restarted in the window the least value is taken, which is too little
    where several events gave birth to it between two scrapes.
    """
    series = select(metric, matchers)
    watched = select("adt_gateway_build_info") + f" offset {over}"
    if over == RANGE:
        watched = f"({watched} or {select('process_start_time_seconds')} > time() - $__range_s)"
    grown = f"increase({series}[{over}])"
    born = f"min_over_time({series}[{over}]) unless {series} offset {over}"
    return f"(\n  {grown}\n  + (({born}) and on (job, instance) {watched})\n  or {grown}\n)"


def counted(metric: str, matchers: str = "", *by: str) -> str:
    """Events of the whole time range, in whole numbers.

    By labels: of those that have any. Without: 0 where there were none, as long as a gateway is scraped.
    """
    found = total(events(metric, matchers, over=RANGE), *by)
    return f"round({found}) > 0" if by else f"round({found} or 0 * {total(select('adt_gateway_build_info'))})"


def named(text: str, expression: str, label: str) -> str:
    """The sum by a label, with a text in place of the empty value."""
    return f'label_replace({total(expression, label)}, "{label}", "{text}", "{label}", "")'


def total(expression: str, *by: str) -> str:
    """The sum, by labels where there are any."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum ({expression})"


def share(part: str, whole: str, *by: str) -> str:
    """A part of a whole, both sums of rates; 0 where the part has no series yet, NaN where the whole is 0."""
    whole = total(whole, *by)
    return f"({total(part, *by)} or 0 * {whole}) / {whole}"


def quantile(q: float, buckets: str, *by: str) -> str:
    """A quantile of a histogram, from the growth of its buckets."""
    return f"histogram_quantile({q}, {total(buckets, 'le', *by)})"
