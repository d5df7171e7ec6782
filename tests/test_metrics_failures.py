"""Which attempts at ADT failed: rules, dashboards and runbook say the same as the status page.

The status page looks at the attempt itself, Prometheus only at the label `error_type`, which is folded into a
closed set, and coarser still once a gateway has all the label sets that it keeps.
"""

import re

import promql_parser as promql
import pytest
import yaml

from gateway.exchange import Attempt, Exchange
from gateway.failures import REGISTRY
from gateway.metrics import Metrics
from gateway.metrics.exchanges import MAX_DURATION_SETS
from gateway.recent.exchanges import Recent
from grafana.queries import BAD_ATTEMPT, NO_WHOLE_ANSWER
from tests.support import dashboards, docs
from tests.support.exchanges import finished
from tests.support.exposition import REFERENCE, build, families, value
from tests.support.promql import matchers_in, without_variables

COUNT = "http_client_request_duration_seconds_count"
RULES = sorted((docs.ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
RUNBOOKS = (docs.ROOT / "docs" / "runbooks.md").read_text()

ANSWERS = [(status, None if status < 400 else str(status)) for status in (*range(200, 600), 799)]
BROKEN = [(status, code) for status in (None, 200, 404, 503) for code in (*REGISTRY, "RuntimeError")]
ATTEMPTS = [*ANSWERS, *BROKEN, (None, None)]
"""Status and error type of any attempt that can be: answered, broken before or after the head, given up."""


def _pattern(matcher: str) -> re.Pattern[str]:
    [pattern] = re.findall(r'^error_type!~"([^"]*)"$', matcher)
    return re.compile(pattern)


def _attempt(status: int | None, error_type: str | None) -> tuple[Exchange, Attempt]:
    exchange = finished("GET", b"/models", "/models", 200)
    attempt = Attempt(0, started=10.1, finished=10.2, status=status, error_type=error_type)
    attempt.cancelled = status is None and error_type is None
    return exchange, attempt


def _on_the_page(attempt: Attempt) -> bool:
    recent = Recent(REFERENCE, clock=lambda: 10.2, wall=lambda: 1_000.0)
    recent.attempt_finished(attempt)
    return recent.upstream_health().failed == 1


def _in_prometheus(metrics: Metrics, matcher: str) -> float:
    """How many attempts the matcher counts."""
    excluded = _pattern(matcher)
    [family] = [each for each in families(metrics).values() if each.name + "_count" == COUNT]
    return sum(
        sample.value
        for sample in family.samples
        if sample.name == COUNT and not excluded.fullmatch(sample.labels["error_type"])
    )


def _full() -> Metrics:
    """A gateway that has all the label sets that it keeps, of attempts that went well."""
    metrics = build()
    for number in range(MAX_DURATION_SETS):
        exchange = finished("GET", b"/", f"/{number}", 200)
        metrics.attempt_finished(exchange, exchange.attempts[0])
    return metrics


@pytest.mark.parametrize(
    ("error_type", "label"),
    [
        ("404", "404"),
        ("430", "4xx"),
        ("499", "4xx"),
        ("503", "503"),
        ("599", "5xx"),
        ("799", "_OTHER"),
        ("4\u0660\u0660", "_OTHER"),
        ("4000", "_OTHER"),
        ("RuntimeError", "_OTHER"),
        ("GatewayRequestTimeout", "GatewayRequestTimeout"),
    ],
)
def test_error_types(error_type: str, label: str) -> None:
    """A status that nobody registered counts as one of its class: an odd 4xx is no failure of ADT's."""
    metrics = build()
    metrics.attempt_finished(*_attempt(404, error_type))
    assert value(metrics, COUNT, error_type=label) == 1


@pytest.mark.parametrize("full", [False, True], ids=["roomy", "full"])
def test_a_failed_attempt_is_one_everywhere(full: bool) -> None:
    """What the status page counts as failed, rule and dashboards count, and nothing else."""
    for failed in (True, False):
        metrics, told = _full() if full else build(), 0
        for exchange, attempt in (_attempt(*each) for each in ATTEMPTS):
            if _on_the_page(attempt) == failed:
                metrics.attempt_finished(exchange, attempt)
                told += 1
        assert told
        assert _in_prometheus(metrics, BAD_ATTEMPT) == (told if failed else 0)


@pytest.mark.parametrize("full", [False, True], ids=["roomy", "full"])
def test_an_answer_is_a_whole_one(full: bool) -> None:
    """An attempt that ADT answered, with whatever status, is none that could not be sent or answered."""
    metrics = _full() if full else build()
    for status, error_type in ANSWERS:
        if status < 600:
            metrics.attempt_finished(*_attempt(status, error_type))
    assert _in_prometheus(metrics, NO_WHOLE_ANSWER) == 0
    metrics.attempt_finished(*_attempt(None, "GatewayUpstreamTimeout"))
    assert _in_prometheus(metrics, NO_WHOLE_ANSWER) == 1


def test_every_query_for_failed_attempts_asks_for_the_same() -> None:
    """Rules, runbooks and dashboards have no further idea of which attempts failed."""
    rules = [
        rule["expr"]
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    runbooks = docs.blocks(RUNBOOKS, "promql")
    panels = [without_variables(expression) for _, _, expression in dashboards.expressions()]
    for known, expressions in (
        ({BAD_ATTEMPT}, rules),
        ({BAD_ATTEMPT}, runbooks),
        ({BAD_ATTEMPT, NO_WHOLE_ANSWER}, panels),
    ):
        asked = {
            f'error_type!~"{matcher.value}"'
            for expression in expressions
            for metric, matcher in matchers_in(expression)
            if metric == COUNT and matcher.name == "error_type" and matcher.op != promql.MatchOp.Equal
        }
        assert asked == known
