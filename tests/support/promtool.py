"""Expressions that promtool evaluates over series of one's own."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.programs import require_program


def complaint(
    folder: Path, series: Mapping[str, str], expression: str, expected: Mapping[str, float], at: str = "1h"
) -> str:
    """What promtool has to say against the expected value of each label set; empty where it agrees.

    `series` are values in promtool's notation, one every 15 s from the beginning of 1970 on, by name and
    labels. The expression is asked once, `at` a duration after that. Skips the test without promtool.
    """
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    told = {
        "rule_files": [],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [{"expr": expression, "eval_time": at, "exp_samples": samples}],
            }
        ],
    }
    path = folder / "test.yml"
    path.write_text(json.dumps(told))
    program = require_program("promtool", "apt-get install prometheus")
    command = [program, "test", "rules", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    return "" if run.returncode == 0 else run.stdout + run.stderr
