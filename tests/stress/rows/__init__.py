"""The rows, in the order in which they are run: the soak comes last."""

from tests.stress.row import Row
from tests.stress.rows import (
    cardinality,
    exporter,
    fleet,
    fleet_chaos,
    fleet_failover,
    idle,
    memory,
    outage,
    overload,
    rotation,
    shutdown,
    slow,
    soak,
)

ROWS: tuple[Row, ...] = (
    memory.ROW,
    slow.ROW,
    idle.ROW,
    overload.ROW,
    rotation.ROW,
    outage.ROW,
    shutdown.ROW,
    exporter.ROW,
    cardinality.ROW,
    fleet.ROW,
    fleet_failover.SENTINEL,
    fleet_failover.CLUSTER,
    fleet_chaos.ROW,
    soak.ROW,
)
