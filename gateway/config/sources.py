"""Where values come from: the TOML file, the environment over it, and which of the two set a key.

pydantic-settings is not used: it reads the process environment by itself, stops at the first value that it
cannot decode, lets unknown variables pass, and does not tell which source a value came from, all of which a
complete list of mistakes needs.

Environment: `ADT_GATEWAY_<SECTION>__<KEY>`. Names without `__` after the prefix are not ours (Kubernetes
injects `ADT_GATEWAY_PORT` for a Service of that name). Names are read in lower case, those of table entries
too. An empty value counts as unset, as the OpenTelemetry specification has it for its variables. Scalars are
text; a list is comma separated or a JSON array; a table is a JSON object, or one variable per entry
(`ADT_GATEWAY_AUTH__INBOUND__KEYS__ALICE`).
"""

import copy
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.keys import CATALOGUE, DELIMITER, PREFIX
from gateway.config.problem import DEFAULT, ConfigurationError, KeyPath, Problem, dotted

Tree = dict[str, Any]

_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True} | dict.fromkeys(
    ("false", "0", "no", "off"), False
)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment sets: values and variable names by key, and what could not be read."""

    values: Mapping[KeyPath, Any]
    variables: Mapping[KeyPath, str]
    problems: tuple[Problem, ...]

    def source(self, path: KeyPath) -> str | None:
        """The variable that set this key or a table around it."""
        parents = (path[:length] for length in range(len(path), 0, -1))
        return next((self.variables[parent] for parent in parents if parent in self.variables), None)


@dataclass(frozen=True, slots=True)
class Values:
    """The file's values with the environment's put over them."""

    file: str
    file_tree: Tree
    environment: Environment

    def merged(self) -> Tree:
        """A new tree of both."""
        tree = copy.deepcopy(self.file_tree)
        for path, value in self.environment.values.items():
            _put(tree, path, value)
        return tree

    def source(self, path: KeyPath) -> str:
        """Path of the file, name of the variable, or `default`."""
        return self.environment.source(path) or (self.file if _has(self.file_tree, path) else DEFAULT)


def read_file(path: Path) -> Tree:
    """The file's tables. Raises ConfigurationError where it cannot be read or is not TOML 1.0."""
    try:
        return tomllib.loads(path.read_bytes().decode())
    except (OSError, RecursionError, ValueError) as error:
        raise ConfigurationError([Problem("", _file_message(error), str(path))]) from None


def read_environment(environ: Mapping[str, str]) -> Environment:
    """What the variables of our prefix set; shallow names first, so that a table's entries win over it."""
    values: dict[KeyPath, Any] = {}
    variables: dict[KeyPath, str] = {}
    problems: list[Problem] = []
    for name in sorted(environ, key=lambda name: (name.count(DELIMITER), name)):
        if not name.startswith(PREFIX) or DELIMITER not in (rest := name.removeprefix(PREFIX)):
            continue
        path = tuple(rest.lower().split(DELIMITER))
        try:
            for leaf, value in _decode(path, environ[name]):
                values[leaf] = value
                variables[leaf] = name
        except ValueError as error:
            problems.append(Problem(dotted(path), str(error), name))
    return Environment(values, variables, tuple(problems))


def _file_message(error: Exception) -> str:
    match error:
        case OSError():
            return f"cannot be read: {error.strerror}"
        case UnicodeDecodeError():
            return f"is not UTF-8 text (byte {error.start + 1})"
        case tomllib.TOMLDecodeError():
            return f"is not valid TOML: {error}"
        case RecursionError():
            return "is nested too deeply"
        case _:
            return "cannot be read: the path is not valid"


def _decode(path: KeyPath, text: str) -> Iterator[tuple[KeyPath, Any]]:
    key = CATALOGUE.holder(path)
    if key is None and path not in CATALOGUE.sections:
        raise ValueError(_unknown(path))
    if not text:
        return
    if not _is_unicode(text):
        raise ValueError("must be UTF-8 text")
    if key is None or (key.kind == "object" and path == key.path):
        yield from _leaves(path, _table(text))
    elif key.kind == "array":
        yield path, _list(str(key.item["type"]), text)
    else:
        yield path, _scalar(key.kind, text)


def _unknown(path: KeyPath) -> str:
    near = CATALOGUE.nearest(path)
    if near is None:
        return "is not a known key; config.example.toml names them all"
    return f"is not a known key; did you mean {PREFIX}{near.replace('.', DELIMITER).upper()}?"


def _table(text: str) -> Tree:
    table = _json(text, "must be a JSON object, or one variable per entry")
    if not isinstance(table, dict):
        raise ValueError("must be a JSON object, or one variable per entry")  # noqa: TRY004 - bad input
    return table


def _list(kind: str, text: str) -> Any:
    if text.lstrip().startswith("["):
        return _json(text, "must be a comma-separated list or a JSON array")
    return [_scalar(kind, item.strip()) for item in text.split(",") if item.strip()]


def _json(text: str, message: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(message) from None
    if not _is_unicode(json.dumps(value, ensure_ascii=False)):
        raise ValueError(message)
    return value


def _scalar(kind: str, text: str) -> Any:
    """The typed value; text that is none stays text, which the settings then refuse in their own words."""
    try:
        match kind:
            case "boolean":
                return _BOOLEANS.get(text.lower(), text)
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case _:
                return text
    except ValueError:
        return text


def _leaves(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _leaves((*path, name), below)
    else:
        yield path, value


def _put(tree: Tree, path: KeyPath, value: Any) -> None:
    table: Any = tree
    for part in path[:-1]:
        table = table.setdefault(part, {})
        # The file has a value where a table belongs: it stays, so that validation can say so.
        if not isinstance(table, dict):
            return
    table[path[-1]] = value


def _has(tree: Tree, path: KeyPath) -> bool:
    """Whether the tree holds the path, or a value on the way to it."""
    value: Any = tree
    for part in path:
        if not isinstance(value, dict):
            return True
        if part not in value:
            return False
        value = value[part]
    return True


def _is_unicode(text: str) -> bool:
    """False for the lone surrogates that stand for undecodable bytes of a variable."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
