"""The emulator keeps its own house: a true map, no ties to the rest, no Azure behind it."""

import ast
from pathlib import Path

import pytest

import gateway.emulator

HOME = Path(gateway.emulator.__file__).parent
FILES = sorted(path for path in HOME.rglob("*.py") if path != HOME / "__init__.py")


def test_map_names_every_file() -> None:
    """The package's docstring lists each module, and nothing that does not exist."""
    text = gateway.emulator.__doc__ or ""
    listed = {
        name.strip("`/") for line in text.splitlines() if line.startswith("- ") for name in names_of(line)
    }
    assert listed == {"samples" if path.parent.name == "samples" else path.stem for path in FILES}


def names_of(line: str) -> list[str]:
    return [part.strip("`/ ") for part in line[2:].partition(": ")[0].split(",")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imports_stay_inside(path: Path) -> None:
    """No module reaches into the rest of the gateway, or for a library that is another room's."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert top != "gateway" or name.startswith("gateway.emulator")
            assert top not in {"httpx", "starlette", "pydantic", "azure"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_and_functions_are_short(path: Path) -> None:
    """At most 250 lines a file and 40 a function, and every module states its purpose."""
    source = path.read_text()
    tree = ast.parse(source)
    assert len(source.splitlines()) <= 250
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, node.name
