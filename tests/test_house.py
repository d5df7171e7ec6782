"""The rules of the house, kept by looking at the source."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "gateway"
SOURCES = sorted(HOUSE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}

VOCABULARY = {"exchange", "failures", "config", "trace_context", "_version"}
CORRIDOR = {
    "cli", "__main__", "app", "serve", "protocol", "proxy", "attempts", "answer", "status", "demo",
    "downstream", "listeners", "job_requests", "crowd", "server", "awaiting",
}  # fmt: skip
PURE = {
    "field_lines": {"reader", "request_line"},
    "request_line": {"arrival", "reader"},
    "headers": {"admission", "field_lines", "jobs", "reader", "upstream"},
    "deadline": {"upstream"},
    "scheduling": {"upstream"},
    "bodies": {"errors"},
    "chunks": {"reader"},
    "retry_after": {"jobs", "tokens"},
}
"""Pure functions that a room may use: which room, and why not more."""

OUTSIDE = {
    "access_log": {"msgspec", "structlog"},
    "admin": {"jinja2", "starlette"},
    "app": {"starlette"},
    "awaiting": {"uvicorn"},
    "certificates": {"cryptography"},
    "cli": {"typer", "rich", "uvloop"},
    "config": {"pydantic"},
    "console": {"httpx", "rich"},
    "cycle": {"uvicorn"},
    "demo": {"httpx", "rich"},
    "emulator": {"joserfc", "msgspec", "uvicorn"},
    "errors": {"msgspec"},
    "fleet": {"redis"},
    "flow": {"uvicorn"},
    "jobs": {"msgspec"},
    "links": {"msgspec"},
    "metrics": {"prometheus_client"},
    "online": {"httpx"},
    "protocol": {"uvicorn"},
    "serve": {"uvicorn"},
    "server": {"uvicorn"},
    "spans": {"opentelemetry", "httpx", "requests"},
    "tokens": {"azure", "httpx", "pydantic", "structlog"},
    "upstream": {"aiohappyeyeballs", "httpcore", "pyreqwest"},
}
"""Libraries by room: what is not listed uses the standard library only."""

STANDARD = __import__("sys").stdlib_module_names


def room_of(path: Path) -> str:
    """The first part of the module's name below `gateway`."""
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module a file imports, names of `from gateway import x` included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.module == "gateway":
                yield from (f"gateway.{alias.name}" for alias in node.names)
            else:
                yield node.module


def identified(path: Path) -> str:
    return str(path.relative_to(HOUSE))


def test_the_map_equals_the_files() -> None:
    """The package's docstring names every room, and nothing else."""
    named = set(re.findall(r"^(\w+)/? {2,}\S", gateway.__doc__ or "", re.MULTILINE))
    there = {room_of(path) for path in SOURCES} - {"__init__", "__main__", "_version"}
    assert named == there


@pytest.mark.parametrize("path", SOURCES, ids=identified)
def test_rooms_import_no_other_room(path: Path) -> None:
    """A room imports the vocabulary and itself; only the corridor opens doors."""
    room = room_of(path)
    if room in CORRIDOR:
        return
    allowed = VOCABULARY | {room} | {pure for pure, users in PURE.items() if room in users}
    rooms = {name.split(".")[1] for name in imported(TREES[path]) if name.startswith("gateway.")}
    assert rooms <= allowed


@pytest.mark.parametrize("path", SOURCES, ids=identified)
def test_outside_libraries_stay_in_their_room(path: Path) -> None:
    """A library is used in the room that is its place."""
    outside = {name.split(".")[0] for name in imported(TREES[path])} - STANDARD - {"gateway"}
    assert outside <= OUTSIDE.get(room_of(path), set())


def test_no_library_is_allowed_for_nothing() -> None:
    """A room that no longer uses a library loses its place in the table."""
    used: dict[str, set[str]] = {}
    for path in SOURCES:
        outside = {name.split(".")[0] for name in imported(TREES[path])} - STANDARD - {"gateway"}
        used.setdefault(room_of(path), set()).update(outside)
    assert {room: names for room, names in used.items() if names} == OUTSIDE


@pytest.mark.parametrize("path", SOURCES, ids=identified)
def test_every_module_states_its_purpose(path: Path) -> None:
    """The first thing in a file is what it is for."""
    assert ast.get_docstring(TREES[path])


@pytest.mark.parametrize("path", SOURCES, ids=identified)
def test_rooms_are_small(path: Path) -> None:
    """At most 250 lines a file and 50 a function."""
    assert path.read_text().count("\n") <= 250
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 50, node.name


def test_every_room_has_its_test() -> None:
    """Each room is named by a test file of its own, or by the folder of its tests."""
    tests = {path.name for path in (ROOT / "tests").iterdir()}
    untold = {
        "__init__",
        "__main__",
        "_version",
        "app",
        "serve",
        "server",
        "protocol",
        "proxy",
        "attempts",
        "answer",
    }
    untold |= {
        "arrival",
        "crowd",
        "downstream",
        "listeners",
        "cli",
        "demo",
        "job_requests",
        "status",
        "exchange",
    }
    for room in {room_of(path) for path in SOURCES} - untold:
        assert any(name == room or name.startswith(f"test_{room}") for name in tests), room


def test_no_middleware_of_the_slow_kind() -> None:
    """`BaseHTTPMiddleware` costs some 400 µs each and hides a client that left."""
    assert not [path for path in SOURCES if "BaseHTTPMiddleware" in path.read_text()]


def test_every_dependency_has_a_floor() -> None:
    """A dependency without a floor can resolve to a version that was never tried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert not [name for name in wanted if ">=" not in name]
