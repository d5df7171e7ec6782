"""Every key that can be set, read from the sections: name, variable, default, text, and what is allowed.

The JSON schema of `Settings` is the one description that environment, messages and `config.example.toml`
are made from.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gateway.config.problem import KeyPath, dotted
from gateway.config.sections import Settings

PREFIX = "ADT_GATEWAY_"
DELIMITER = "__"

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One leaf of the settings."""

    path: KeyPath
    doc: str
    schema: Schema
    """JSON schema of the value; None, where it is allowed, left out."""
    default: Any
    """As JSON; None where the key is unset or required."""
    required: bool

    @property
    def name(self) -> str:
        """`auth.oauth2.token_url`."""
        return dotted(self.path)

    @property
    def variable(self) -> str:
        """`ADT_GATEWAY_AUTH__OAUTH2__TOKEN_URL`."""
        return PREFIX + DELIMITER.join(self.path).upper()

    @property
    def kind(self) -> str:
        """`string`, `integer`, `number`, `boolean`, `array` or `object` (a table)."""
        return str(self.schema["type"])

    @property
    def secret(self) -> bool:
        """Whether the value, or each value of the table, is a secret."""
        return bool(self.schema.get("writeOnly") or self.item.get("writeOnly"))

    @property
    def item(self) -> Schema:
        """Schema of one item of the list or one value of the table; empty for other kinds."""
        found = self.schema.get("items") or self.schema.get("additionalProperties") or {}
        return dict(found)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All keys and sections, in the order of the sections' source."""

    keys: Mapping[KeyPath, Key]
    sections: Mapping[KeyPath, str]
    """Docstrings by path."""

    def holder(self, path: KeyPath) -> Key | None:
        """The key at this path, or the table key that the path leads into."""
        for length in range(len(path), 0, -1):
            key = self.keys.get(path[:length])
            if key and (length == len(path) or key.kind == "object"):
                return key
        return None

    def nearest(self, path: KeyPath) -> str | None:
        """The name that was probably meant, or None."""
        known = (*self.sections, *self.keys)
        siblings = [name[-1] for name in known if name[:-1] == path[:-1]]
        others = [dotted(name) for name in known if name != path[: len(name)]]
        found = (
            *(dotted((*path[:-1], name)) for name in difflib.get_close_matches(path[-1], siblings, n=1)),
            *difflib.get_close_matches(dotted(path), others, n=1, cutoff=0.8),
            *(dotted(name) for name in known if name[-1] == path[-1]),
        )
        return next(iter(found), None)


def allowed(schema: Schema) -> str:
    """What a value may be, as the end of "must be …"."""
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    match schema["type"]:
        case "boolean":
            return "true or false"
        case "integer":
            return f"a whole number {_range(schema)}"
        case "number":
            return f"a number {_range(schema)}"
        case "array":
            return f"a list; each item must be {allowed(schema['items'])}"
        case "object":
            return f"a table; each value must be {allowed(schema['additionalProperties'])}"
        case _:
            return _text(schema)


def _walk(section: Schema, definitions: Schema, path: KeyPath) -> Iterator[Key | tuple[KeyPath, str]]:
    for name, field in section["properties"].items():
        here = (*path, name)
        if "$ref" in field:
            below = definitions[field["$ref"].rpartition("/")[2]]
            yield here, below["description"]
            yield from _walk(below, definitions, here)
        else:
            yield _key(here, field, required=name in section.get("required", ()))


def _key(path: KeyPath, field: Schema, *, required: bool) -> Key:
    schema = next((option for option in field.get("anyOf", ()) if option["type"] != "null"), field)
    default = field.get("default", {} if schema["type"] == "object" else None)
    return Key(path, field["description"], schema, default, required)


def _range(schema: Schema) -> str:
    low, above, high = (schema.get(bound) for bound in ("minimum", "exclusiveMinimum", "maximum"))
    start = f"from {low}" if low is not None else f"above {above}"
    if high is None:
        return start
    return f"{start} to {high}" if low is not None else f"{start} and up to {high}"


def _text(schema: Schema) -> str:
    if "pattern" in schema:
        return f"text that matches {schema['pattern']}"
    if schema.get("format") == "path":
        return "a path"
    return "text that is not empty" if schema.get("minLength") else "text"


def _catalogue() -> Catalogue:
    root = Settings.model_json_schema()
    found = list(_walk(root, root["$defs"], ()))
    return Catalogue(
        keys=MappingProxyType({entry.path: entry for entry in found if isinstance(entry, Key)}),
        sections=MappingProxyType(dict(entry for entry in found if not isinstance(entry, Key))),
    )


CATALOGUE = _catalogue()
"""The catalogue of `Settings`."""
