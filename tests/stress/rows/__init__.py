"""The rows, in the order in which they are run: the soak comes last."""

from tests.stress.row import Row
from tests.stress.rows import (
    cardinality,
    exporter,
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
    soak.ROW,
)
