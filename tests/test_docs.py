"""README and docs against the code: what they name exists, and what exists is named."""

import asyncio
import io
import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway import routes
from gateway.access_log import AccessLog, configure_logging
from gateway.cli.commands import app
from gateway.config import Log, Settings, load
from gateway.config.keys import CATALOGUE
from gateway.errors import REASONS
from gateway.failures import REGISTRY
from gateway.tokens import Reason
from tests.support import docs
from tests.support.azure import running_azure
from tests.support.certificates import write_certificates
from tests.support.exchanges import finished

README = docs.README.read_text()
TEXTS = {path: path.read_text() for path in docs.ALL}
KEYS = {key.name: key for key in CATALOGUE.keys.values()}
SECTIONS = {".".join(path) for path in CATALOGUE.sections}
KEY = re.compile(rf"(?:{'|'.join({name.partition('.')[0] for name in KEYS})})(?:\.[a-z_0-9]+)+")
FILE_NAMES = (".py", ".toml", ".md", ".lock", ".ndjson", ".log")


@pytest.mark.parametrize("name", sorted(docs.MADE))
def test_tables_that_the_code_has_too(name: str) -> None:
    """The README's table of errors is the registry, that of trust what `certs` prints, as
    `python -m tests.support.docs` writes them.
    """
    assert docs.written(name) == docs.MADE[name]()


def test_errors_that_are_named_exist() -> None:
    """A code that begins with Gateway is one of the registry's, wherever it is named."""
    for path, text in TEXTS.items():
        assert set(re.findall(r"`(Gateway[A-Za-z]+)`", text)) <= REGISTRY.keys(), path


def test_every_cause_of_a_missing_token_is_named() -> None:
    """The finer causes in the README are those that a token source can have."""
    told = re.search(
        r"`GatewayTokenUnavailable`: ([^\n]*)", docs.section(README, "Errors that the gateway makes")
    )
    assert told is not None
    assert set(re.findall(r"`(\w+)`", told[1])) == {str(reason) for reason in Reason}


def test_every_normalisation_is_explained() -> None:
    """The reasons in the table are those that the header and the metric can have."""
    told = docs.rows(README, "ADT, or something before it, sends")
    assert {name for row in told for name in row.names(2)} == REASONS


async def _exposition() -> dict[str, Metric]:
    """What a gateway exposes that has seen a job end and an error, with a series for that job."""
    async with running_azure(metrics={"job_series": 1}) as azure, azure.app() as app:
        created = await app.put("/jobs/imports/one", json=azure.import_body())
        assert created.status_code == 201
        while (await app.get("/jobs/imports/one")).json()["status"] != "succeeded":
            continue
        assert (await app.get("/jobs/imports/two")).status_code == 404
        alone = await azure.metrics()
    # Its store is away, in which a job's end would wait to be claimed.
    fleet = {"url": "unix:///nowhere/valkey.sock", "expected_size": 2}
    async with running_azure(fleet=fleet) as azure:
        among_others = await azure.metrics()
    exposed = {metric.name: metric for metric in text_string_to_metric_families(among_others)}
    return exposed | {metric.name: metric for metric in text_string_to_metric_families(alone)}


async def test_every_metric_is_in_the_table_with_its_labels() -> None:
    """The table of metrics equals the exposition of a gateway: names, types, labels."""
    told = {row.names(0)[0]: (row.cells[1], set(row.names(2))) for row in docs.rows(README, "metric")}
    exposed = {
        metric.name + ("_total" if metric.type == "counter" else ""): (
            metric.type,
            {label for sample in metric.samples for label in sample.labels} - {"le"},
        )
        for metric in (await _exposition()).values()
        if not metric.name.startswith(("process_", "python_"))
    }
    assert told == exposed


def test_metrics_that_are_named_exist() -> None:
    """Whatever looks like a metric's name anywhere in the texts is in the table."""
    known = {row.names(0)[0] for row in docs.rows(README, "metric")}
    labels = {name for row in docs.rows(README, "metric") for name in row.names(2)}
    for path, text in TEXTS.items():
        # Not the names of recording rules, which have colons; of a histogram's series its own name.
        series = re.findall(r"(?<![:\w])((?:adt|http)_[a-z_]+?)(?:_(?:bucket|count|sum))?\b(?!:)", text)
        named = set(series)
        assert named - labels <= known | {"adt_gateway"}, path


def test_the_table_of_routes_is_the_routes() -> None:
    """Every template is there with the methods that it has."""
    told = {row.names(1)[0]: row.cells[0].split(", ") for row in docs.rows(README, "methods")}
    assert told.keys() == routes.TEMPLATES
    for template, methods in told.items():
        path = re.sub(r"\{\w+\}", "x", template).encode()
        known = [
            method
            for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
            if routes.match(method, path).template == template
        ]
        assert methods == known


def test_keys_that_are_named_exist() -> None:
    """Whatever looks like a key of the configuration is one, or a section."""
    for path, text in TEXTS.items():
        spans = re.findall(r"`([^`\n]+)`", text)
        named = {match[0] for span in spans for match in [KEY.match(span)] if match}
        named = {name for name in named if not name.endswith(FILE_NAMES)}
        assert named <= KEYS.keys() | SECTIONS, path


def test_limits_have_their_defaults() -> None:
    """The table of limits and timers has every limit and timer, and says what holds when nothing is set."""
    told = {row.names(0)[0]: row.cells[1] for row in docs.rows(README, "key")}
    timers = {name for name in KEYS if name.startswith(("limits.", "upstream.timeout."))}
    assert told.keys() >= timers
    defaults = {name: KEYS[name].default for name in told}
    assert told == {name: "unset" if value is None else str(value) for name, value in defaults.items()}


def test_variables_that_are_named_exist() -> None:
    """Each of our variables in the texts sets a key."""
    known = {key.variable for key in KEYS.values()}
    for path, text in TEXTS.items():
        named = {name for name in re.findall(r"\bADT_GATEWAY_[A-Z0-9_]+[A-Z0-9]\b", text) if "__" in name}
        assert named <= known, path


def test_verbs_of_make_exist() -> None:
    """Every `make` verb in the texts is a target, and the README names every target."""
    targets = re.search(r"^\.PHONY: (.*)$", (docs.ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    verbs = set(targets[1].split())
    for path, text in TEXTS.items():
        named = {name for body in docs.code(text) for name in re.findall(r"\bmake ([a-z]+)", body)}
        assert named <= verbs, path
    assert {name for row in docs.rows(README, "verb") for name in row.names(0)} == {
        f"make {verb}" for verb in verbs - {"help"}
    }


def _options(command: Any, name: str = "") -> dict[str, set[str]]:
    """The options of a command, and of those below it, by name."""
    own = {name: {option for parameter in command.params for option in parameter.opts}}
    for below, found in getattr(command, "commands", {}).items():
        own |= _options(found, f"{name} {below}".strip())
    return own


def test_commands_exist() -> None:
    """Every command and option of the program in the texts is one, and the README names every command."""
    options = _options(typer.main.get_command(app))
    for path, text in TEXTS.items():
        for body in docs.code(text):
            for name, rest in re.findall(r"\badt-gateway ((?:jobs )?[a-z]+)([^\n`&|]*)", body):
                assert name in options, path
                assert set(re.findall(r"--[a-z-]+", rest)) <= options[name], path
    assert {row.names(0)[0].split()[1] for row in docs.rows(README, "command")} == {
        name for name in options if name and " " not in name
    }


@pytest.mark.parametrize("path", docs.ALL, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """A link to a file leads to one that is there, a link to a heading to one of the text."""
    for target in docs.links(TEXTS[path]):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = path.parent / file if file else path
        assert found.is_file(), target
        assert not anchor or anchor in docs.anchors(found.read_text()), target


def test_files_that_are_named_exist() -> None:
    """A path into the package or the tests leads to something."""
    for path, text in TEXTS.items():
        for name in re.findall(r"`((?:gateway|tests|docs|\.ci)/[\w/.]*)`", text):
            assert (docs.ROOT / name).exists(), f"{path}: {name}"


SNIPPETS = [
    pytest.param(body, id=f"{path.name}-{number}")
    for path, text in TEXTS.items()
    for number, body in enumerate(docs.blocks(text, "toml"))
]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_configurations_load(snippet: str, tmp_path: Path) -> None:
    """Every configuration in the texts is valid, its files and the platform's variables given."""
    secret = tmp_path / "secret"
    secret.write_text("a-key-of-16-chars-or-more")
    tls = write_certificates(tmp_path)
    files = {"secret": secret, "tls.crt": tls.certificate, "tls.key": tls.key}
    text = snippet
    for found in re.findall(r'"(/[^"]+)"', snippet):
        text = text.replace(found, str(files.get(Path(found).name, secret)))
    path = tmp_path / "config.toml"
    path.write_text(text)
    platform = {"TENANT_ID": "tenant", "CLIENT_ID": "client", "FEDERATED_TOKEN_FILE": str(secret)}
    environ = {f"AZURE_{name}": value for name, value in platform.items()}
    assert isinstance(load(path, environ, routes.TEMPLATES), Settings)


def _run(snippet: str, url: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(re.sub(r"http://127\.0\.0\.1:\d+", url, snippet), names)  # noqa: S102 - the README's own code
    return names


async def test_the_app_of_the_readme_runs() -> None:
    """The README's Python, but for the address, reads twins and jobs through the gateway."""
    [snippet] = docs.blocks(docs.section(README, "Point your app at it"), "python")
    async with running_azure() as azure:
        names = await asyncio.to_thread(_run, snippet, azure.gateway.data)
        assert (names["twins"], names["jobs"]) == ([], [])
        assert {entry.route for entry in azure.arrived} == {"POST /query", "GET /jobs/imports"}


def test_every_field_of_the_log_is_in_the_table() -> None:
    """The table of log fields has those of an exchange that has everything, and no other."""
    exchange = finished(status=500)
    exchange.error_code, exchange.error_origin, exchange.normalised = "Other", "upstream", "empty"
    exchange.request_id = exchange.client_request_id = exchange.caller = "x"
    exchange.job_id, exchange.job_status, exchange.active_job = "one", "failed", "import/one"
    exchange.read_result, exchange.replayed, exchange.rate_wait = "hit", "read", 1.0
    exchange.cut = exchange.client_left = True
    stream = io.StringIO()
    with closing(configure_logging(Log(), stream)) as output:
        AccessLog(output).write(exchange)
    [line] = stream.getvalue().splitlines()
    told = {name for row in docs.rows(README, "field") for name in row.names(0)}
    assert told == set(json.loads(line))


def test_span_attributes_exist() -> None:
    """Every attribute in the table of spans is one that the code sets."""
    source = "".join(path.read_text() for path in sorted((docs.ROOT / "gateway").rglob("*.py")))
    told = {name for row in docs.rows(README, "span") for name in row.names(2)}
    assert told
    assert not [name for name in told if f'"{name}"' not in source]
