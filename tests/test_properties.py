"""Every pure function on the path has properties that hold for any input: the list, kept honest."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GATEWAY = ROOT / "gateway"

PROPERTIES = {
    "access_log/redaction": "access_log_properties",
    "admission": "admission_properties",
    "attempts/again": "attempts_properties",
    "bodies": "bodies",
    "callers": "callers",
    "config/origin": "config_origin_properties",
    "errors/body": "errors_text_properties",
    "errors/codes": "errors_text_properties",
    "errors/normalise": "errors_properties",
    "errors/render": "errors_text_properties",
    "headers": "headers_properties",
    "jobs/governor": "jobs_governor_properties",
    "jobs/instants": "jobs_instants",
    "jobs/ledger": "jobs_properties",
    "jobs/patience": "jobs_wire_properties",
    "jobs/wire": "jobs_wire_properties",
    "jobs/writes/fingerprint": "jobs_writes_fingerprint_properties",
    "links": "links_properties",
    "metrics/labels": "metrics_labels_properties",
    "resilience/retries": "resilience_model",
    "resilience/verdict": "resilience_properties",
    "resilience/window": "resilience_model",
    "retry_after": "retry_after_properties",
    "routes": "routes_properties",
    "spans/attributes": "spans_attributes_properties",
    "tokens/challenge": "tokens_properties",
    "tokens/claims": "tokens_properties",
    "tokens/pace": "tokens_properties",
    "tokens/unreachable": "tokens_properties",
    "trace_context": "trace_context_properties",
}
"""Modules that read what peers wrote, by name below `gateway/`, and the test file of their properties."""


@pytest.mark.parametrize("module", PROPERTIES)
def test_each_module_has_its_properties(module: str) -> None:
    """The test file generates its input, and imports from the module itself or from its room."""
    assert (GATEWAY / f"{module}.py").is_file()
    tree = ast.parse((ROOT / "tests" / f"test_{PROPERTIES[module]}.py").read_text())
    name = f"gateway.{module.replace('/', '.')}"
    rooms = {name, name.rpartition(".")[0]} - {"gateway"}
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert rooms & imported
    assert any(_is_generated(node) for node in ast.walk(tree))


def _is_generated(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
        isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "given"
        for decorator in node.decorator_list
    )


def test_what_calls_itself_pure_is_listed() -> None:
    """A module whose docstring promises pure functions has its place in the list."""
    promised = {
        str(path.relative_to(GATEWAY).with_suffix(""))
        for path in GATEWAY.rglob("*.py")
        if path.name != "__init__.py"
        and "pure function" in (ast.get_docstring(ast.parse(path.read_text())) or "").lower()
    }
    assert promised <= set(PROPERTIES)
