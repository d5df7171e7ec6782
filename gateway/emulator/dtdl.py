"""Basic DTDL checks: what a model must look like, and what a twin of it may hold.

A subset of the Digital Twins Definition Language: identifiers, context, the kinds and names of contents, and
primitive schemas. (DTDL language description, "Interface" and "Digital Twin Model Identifier".)
"""

import re
from dataclasses import dataclass
from typing import Any, Final

SEGMENT: Final = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
DTMI: Final = re.compile(rf"dtmi:{SEGMENT}(?::{SEGMENT})*;[1-9][0-9]{{0,8}}(?:\.[1-9][0-9]{{0,5}})?")
NAME: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]{0,62}[A-Za-z0-9])?")
CONTEXTS: Final = ("dtmi:dtdl:context;2", "dtmi:dtdl:context;3", "dtmi:dtdl:context;4")
KINDS: Final = frozenset({"Property", "Telemetry", "Relationship", "Component", "Command"})
NEEDS_SCHEMA: Final = frozenset({"Property", "Telemetry", "Component"})

JSON_TYPES: Final = (
    ("boolean", (bool,)),
    ("integer", (int,)),
    ("long", (int,)),
    ("double", (int, float)),
    ("float", (int, float)),
    ("string", (str,)),
    ("date", (str,)),
    ("dateTime", (str,)),
    ("time", (str,)),
    ("duration", (str,)),
)


class DtdlError(Exception):
    """The model breaks a rule; the text says which."""


@dataclass(frozen=True, slots=True)
class Model:
    """A checked Interface; `properties` maps names to primitive schemas, or None for any other schema."""

    id: str
    definition: dict[str, Any]
    bases: tuple[str, ...]
    properties: dict[str, str | None]
    components: dict[str, str]
    relationships: frozenset[str]

    @property
    def references(self) -> frozenset[str]:
        """Models that must exist for this one."""
        return frozenset(self.bases) | frozenset(self.components.values())


def parse_model(definition: Any) -> Model:
    """The model of a definition. Raises DtdlError."""
    if not isinstance(definition, dict):
        raise DtdlError("A model must be a JSON object.")
    model_id = definition.get("@id")
    if not (isinstance(model_id, str) and DTMI.fullmatch(model_id)):
        raise DtdlError(f"@id {model_id!r} is not a digital twin model identifier.")
    if definition.get("@type") != "Interface":
        raise DtdlError(f"{model_id}: @type must be Interface.")
    context = definition.get("@context")
    if not any(item in CONTEXTS for item in (context if isinstance(context, list) else [context])):
        raise DtdlError(f"{model_id}: @context must be one of {', '.join(CONTEXTS)}.")
    contents = definition.get("contents", [])
    if not isinstance(contents, list):
        raise DtdlError(f"{model_id}: contents must be an array.")
    return assembled(model_id, definition, [checked(model_id, item) for item in contents])


def assembled(model_id: str, definition: dict[str, Any], contents: list[tuple[str, dict[str, Any]]]) -> Model:
    """The model of checked contents. Raises DtdlError for a name used twice and references that are no
    identifiers.
    """
    names = [item["name"] for _, item in contents]
    if len(set(names)) != len(names):
        raise DtdlError(f"{model_id}: a name is used twice in contents.")

    def of(kind: str) -> list[dict[str, Any]]:
        return [item for found, item in contents if found == kind]

    extends = definition.get("extends", [])
    bases = extends if isinstance(extends, list) else [extends]
    return Model(
        id=model_id,
        definition=definition,
        bases=tuple(reference(model_id, item) for item in bases),
        properties={item["name"]: primitive(item["schema"]) for item in of("Property")},
        components={item["name"]: reference(model_id, item["schema"]) for item in of("Component")},
        relationships=frozenset(item["name"] for item in of("Relationship")),
    )


def checked(model_id: str, item: Any) -> tuple[str, dict[str, Any]]:
    """Kind and object of one content. Raises DtdlError."""
    if not isinstance(item, dict):
        raise DtdlError(f"{model_id}: each of contents must be an object.")
    types = item.get("@type")
    kinds = [kind for kind in (types if isinstance(types, list) else [types]) if kind in KINDS]
    name = item.get("name")
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise DtdlError(f"{model_id}: {name!r} is not a valid name.")
    if len(kinds) != 1:
        raise DtdlError(f"{model_id}: {name} must have one @type of {', '.join(sorted(KINDS))}.")
    if kinds[0] in NEEDS_SCHEMA and not isinstance(item.get("schema"), str | dict):
        raise DtdlError(f"{model_id}: {name} needs a schema.")
    return kinds[0], item


def reference(model_id: str, value: Any) -> str:
    """The identifier a model refers to. Raises DtdlError."""
    if not (isinstance(value, str) and DTMI.fullmatch(value)):
        raise DtdlError(f"{model_id}: {value!r} is not a reference to a model.")
    return value


def primitive(schema: Any) -> str | None:
    """The schema's name when it is a primitive one."""
    return schema if isinstance(schema, str) and not schema.startswith("dtmi:") else None


def fits(schema: str | None, value: object) -> bool:
    """Whether a property value has the JSON type of its primitive schema; other schemas take anything."""
    types = dict(JSON_TYPES).get(schema or "")
    if types is None:
        return True
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))
