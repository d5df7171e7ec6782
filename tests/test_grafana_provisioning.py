"""What Grafana reads at its start: data sources and dashboards, where compose puts them."""

from pathlib import PurePosixPath
from typing import Any

import yaml

from tests.support import dashboards
from tests.support.dashboards import FILES, FOLDER
from tests.support.promql import labels_by_metric

DEPLOY = FOLDER.parent / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "provisioning" / name).read_text())
    return found


SOURCES = {each["uid"]: each for each in _read("datasources/datasources.yml")["datasources"]}
[PROVIDER] = _read("dashboards/dashboards.yml")["providers"]
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]


def test_both_files_have_the_version_that_grafana_reads() -> None:
    """Without `apiVersion: 1` Grafana takes a file for one of its first format."""
    assert _read("datasources/datasources.yml")["apiVersion"] == 1
    assert _read("dashboards/dashboards.yml")["apiVersion"] == 1


def test_data_sources_are_the_services_of_compose() -> None:
    """Each data source has its fixed uid, and its address names a service that there is."""
    assert {(uid, each["type"]) for uid, each in SOURCES.items()} == {
        ("prometheus", "prometheus"),
        ("jaeger", "jaeger"),
    }
    for uid, source in SOURCES.items():
        assert source["url"].startswith(f"http://{uid}:")
        assert uid in SERVICES
    assert [uid for uid, each in SOURCES.items() if each.get("isDefault")] == ["prometheus"]


def test_exemplars_lead_to_jaeger() -> None:
    """A trace id in an exemplar, under the label that it has there, opens in the data source for traces."""
    [destination] = SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] == "trace_id"
    assert SOURCES[destination["datasourceUid"]]["type"] == "jaeger"
    assert destination["urlDisplayLabel"]


def test_the_interval_is_that_of_the_scrapes() -> None:
    """Grafana makes `$__rate_interval` from it: shorter than the scrapes, rates would have holes."""
    deployed = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    scrapes = deployed["global"]["scrape_interval"]
    assert SOURCES["prometheus"]["jsonData"]["timeInterval"] == scrapes


def test_spans_lead_to_the_metrics_of_their_route() -> None:
    """The queries behind a span are PromQL once Grafana has put the labels of its route in."""
    linked = SOURCES["jaeger"]["jsonData"]["tracesToMetrics"]
    assert linked["datasourceUid"] in SOURCES
    [tag] = linked["tags"]
    for query in linked["queries"]:
        assert "$$__tags" in query["query"], "a single $ would be taken for a variable of the environment"
        used = labels_by_metric(query["query"].replace("$$__tags", f'{tag["value"]}="/query"'))
        assert all(labels >= {"http_route"} for labels in used.values())


def test_the_provider_reads_what_compose_mounts() -> None:
    """The folder in the provider's path is that of the dashboards, and the files are read, not edited."""
    path = PROVIDER["options"]["path"]
    mounts = dict(mount.split(":")[:2][::-1] for mount in SERVICES["grafana"]["volumes"])
    assert (COMPOSE.parent / mounts[path]).resolve() == FOLDER / "dashboards"
    assert (COMPOSE.parent / mounts["/etc/grafana/provisioning"]).resolve() == FOLDER / "provisioning"
    assert PROVIDER["type"] == "file"
    assert PROVIDER["allowUiUpdates"] is False
    assert PurePosixPath(path).is_absolute()


def test_the_configmaps_are_the_dashboards() -> None:
    """In Kubernetes each dashboard is a ConfigMap, named like its uid, that Grafana's sidecar finds."""
    made = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    named = {each["name"]: each["files"][0].partition("=")[2] for each in made["configMapGenerator"]}
    assert named == {dashboards.load(path)["uid"]: f"dashboards/{path.name}" for path in FILES}
    assert made["generatorOptions"]["labels"] == {"grafana_dashboard": "1"}
