"""Metrics of a fleet's store: there only where there is a fleet, with labels from closed sets."""

from gateway.metrics import Metrics


def scraped(metrics: Metrics) -> list[str]:
    return metrics.render("")[0].decode().splitlines()


def made() -> Metrics:
    return Metrics(
        version="1", engine="httpx", server_address="adt", known_codes=frozenset(), gateway_codes=frozenset()
    )


def test_nothing_without_a_fleet() -> None:
    """A gateway by itself shows no series of a fleet."""
    assert not [line for line in scraped(made()) if "fleet" in line]


def test_what_a_store_is_told_about() -> None:
    """Operations by name and result, their time where they were answered, and whether the store is there."""
    metrics = made()
    fleet = metrics.fleet()
    metrics.watch_fleet(lambda: True)
    fleet.up(usable=True)
    fleet.operation("reserve", "ok", 0.002)
    fleet.operation("reserve", "timeout", 0.1)
    fleet.operation("made-up", "strange", 1.0)
    lines = scraped(metrics)
    assert "adt_gateway_fleet_store_up 1.0" in lines
    assert "adt_gateway_fleet_watching 1.0" in lines
    assert 'adt_gateway_fleet_operations_total{operation="reserve",result="ok"} 1.0' in lines
    assert 'adt_gateway_fleet_operations_total{operation="reserve",result="timeout"} 1.0' in lines
    assert 'adt_gateway_fleet_operations_total{operation="other",result="other"} 1.0' in lines
    assert 'adt_gateway_fleet_operations_total{operation="look",result="ok"} 0.0' in lines
    assert "adt_gateway_fleet_operation_duration_seconds_count 1.0" in lines
    fleet.up(usable=False)
    assert "adt_gateway_fleet_store_up 0.0" in scraped(metrics)
