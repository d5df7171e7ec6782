"""What the basic DTDL checks take and refuse."""

from typing import Any

import pytest

from gateway.emulator.dtdl import DtdlError, fits, parse_model

GOOD: dict[str, Any] = {
    "@id": "dtmi:com:a;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "contents": [],
}
CONTENT = {"@type": "Property", "name": "a", "schema": "string"}


@pytest.mark.parametrize("model_id", ["dtmi:a;1", "dtmi:com:Ab_c9:d;12", "dtmi:a;1.2", "dtmi:x;999999999"])
def test_good_identifiers(model_id: str) -> None:
    """Segments of letters, digits and inner underscores, and a version above 0."""
    assert parse_model({**GOOD, "@id": model_id}).id == model_id


@pytest.mark.parametrize(
    "change",
    [
        {"@id": "dtmi:1a;1"},
        {"@id": "dtmi:a_;1"},
        {"@id": "dtmi:a;0"},
        {"@id": "dtmi:a"},
        {"@id": "dtmi:a;1\n"},
        {"@id": None},
        {"@type": "Thing"},
        {"@context": "dtmi:dtdl:context;1"},
        {"@context": None},
        {"contents": {}},
        {"contents": ["x"]},
        {"contents": [{**CONTENT, "name": "1a"}]},
        {"contents": [{**CONTENT, "@type": "Field"}]},
        {"contents": [{"@type": "Property", "name": "a"}]},
        {"contents": [CONTENT, CONTENT]},
        {"contents": [{"@type": "Component", "name": "a", "schema": "string"}]},
        {"extends": ["x"]},
    ],
)
def test_bad_models(change: dict[str, Any]) -> None:
    """Each broken rule is an error that says something."""
    with pytest.raises(DtdlError, match=r".+"):
        parse_model({**GOOD, **change})


def test_not_an_object() -> None:
    """A model is an object."""
    with pytest.raises(DtdlError):
        parse_model([])


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [("boolean", True, 1), ("integer", 1, 1.5), ("double", 1, "1"), ("string", "x", 1), ("dateTime", "x", 1)],
)
def test_primitive_schemas(schema: str, good: object, bad: object) -> None:
    """A value has its schema's JSON type; a boolean is no number; other schemas take anything."""
    assert fits(schema, good)
    assert not fits(schema, bad)
    assert fits(schema, True) is (schema == "boolean")
    assert fits(None, bad)
