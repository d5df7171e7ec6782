"""The twin graph of the instance: models, twins and relationships, and the rules for what may enter it."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gateway.emulator.clock import zulu_time
from gateway.emulator.dtdl import DtdlError, Model, fits, parse_model
from gateway.emulator.exchange import ServiceError

MAX_MODELS: Final = 250
"""Models of one request (service limits)."""
MAX_ID: Final = 128
"""Characters of a twin or relationship id (service limits)."""

Entity = dict[str, Any]


@dataclass(slots=True)
class StoredModel:
    """A model in the instance."""

    model: Model
    uploaded: datetime
    decommissioned: bool = False


@dataclass(slots=True)
class Graph:
    """Everything a deletion job removes. Errors are ServiceError with the codes of the REST reference."""

    models: dict[str, StoredModel] = field(default_factory=dict)
    twins: dict[str, Entity] = field(default_factory=dict)
    relationships: dict[tuple[str, str], Entity] = field(default_factory=dict)

    def clear(self) -> None:
        """Remove all."""
        self.models.clear()
        self.twins.clear()
        self.relationships.clear()

    def add_models(self, definitions: list[Any], now: datetime) -> list[StoredModel]:
        """Check and add models that may refer to each other; all or none.

        Raises 400 DTDLParserError for bad DTDL or a missing reference, 409 ModelAlreadyExists.
        """
        try:
            parsed = [parse_model(definition) for definition in definitions]
        except DtdlError as error:
            raise ServiceError(400, "DTDLParserError", str(error)) from error
        new = {model.id: model for model in parsed}
        taken = [model.id for model in parsed if model.id in self.models]
        if taken or len(new) != len(parsed):
            raise ServiceError(
                409, "ModelAlreadyExists", f"Model already exists: {', '.join(taken) or 'given twice'}."
            )
        for model in parsed:
            missing = sorted(model.references - set(new) - set(self.models))
            if missing:
                message = f"{model.id} refers to models that do not exist: {', '.join(missing)}."
                raise ServiceError(400, "DTDLParserError", message)
        stored = {model.id: StoredModel(model, now) for model in parsed}
        self.models.update(stored)
        return list(stored.values())

    def lineage(self, model_id: str) -> Iterator[Model]:
        """The model and all it extends, each once."""
        waiting, seen = [model_id], set[str]()
        while waiting:
            current = waiting.pop(0)
            if current in seen or current not in self.models:
                continue
            seen.add(current)
            model = self.models[current].model
            waiting.extend(model.bases)
            yield model

    def twin(self, twin_id: str) -> Entity:
        """The twin. Raises 404 DigitalTwinNotFound."""
        if twin_id not in self.twins:
            raise ServiceError(
                404, "DigitalTwinNotFound", f"There is no digital twin with the id '{twin_id}'."
            )
        return self.twins[twin_id]

    def put_twin(self, twin_id: str, body: Entity, now: datetime) -> Entity:
        """Create or replace a twin and return it with its metadata and a new ETag. Raises 400."""
        check_id(twin_id)
        model_id = model_of(body)
        if model_id not in self.models:
            raise ServiceError(400, "ValidationFailed", f"The model '{model_id}' does not exist.")
        if self.models[model_id].decommissioned and twin_id not in self.twins:
            raise ServiceError(400, "ModelDecommissioned", f"The model '{model_id}' is decommissioned.")
        content = {name: value for name, value in body.items() if not name.startswith("$")}
        self._check_content(model_id, content, "The twin")
        stamp = zulu_time(now)
        metadata: Entity = {"$lastUpdateTime": stamp, "$model": model_id}
        metadata.update(
            {name: {"lastUpdateTime": stamp} for name in content if not is_component(content[name])}
        )
        twin = {"$dtId": twin_id, "$etag": new_etag(), **content, "$metadata": metadata}
        self.twins[twin_id] = twin
        return twin

    def delete_twin(self, twin_id: str) -> None:
        """Remove a twin. Raises 404, or 400 RelationshipsNotDeleted while relationships touch it."""
        self.twin(twin_id)
        if any(twin_id in (key[0], item["$targetId"]) for key, item in self.relationships.items()):
            message = "The digital twin has relationships; delete them first."
            raise ServiceError(400, "RelationshipsNotDeleted", message)
        del self.twins[twin_id]

    def component(self, twin_id: str, path: str) -> Entity:
        """A component of a twin. Raises 404 DigitalTwinNotFound or ComponentNotFound."""
        component: Entity = self.twin(twin_id).get(path, {})
        if not is_component(component):
            raise ServiceError(404, "ComponentNotFound", f"The twin has no component '{path}'.")
        return component

    def relationship(self, source: str, relationship_id: str) -> Entity:
        """A relationship of a twin. Raises 404 DigitalTwinNotFound or RelationshipNotFound."""
        self.twin(source)
        if (source, relationship_id) not in self.relationships:
            message = f"The twin has no relationship with the id '{relationship_id}'."
            raise ServiceError(404, "RelationshipNotFound", message)
        return self.relationships[source, relationship_id]

    def put_relationship(self, source: str, relationship_id: str, body: Entity) -> Entity:
        """Create or replace a relationship and return it with a new ETag. Raises 400 or 404."""
        check_id(relationship_id)
        twin = self.twin(source)
        target, name = body.get("$targetId"), body.get("$relationshipName")
        if not (isinstance(target, str) and isinstance(name, str)):
            raise ServiceError(400, "ValidationFailed", "$targetId and $relationshipName are required.")
        if target not in self.twins:
            raise ServiceError(404, "TargetTwinNotFound", f"There is no digital twin with the id '{target}'.")
        if target == source:
            raise ServiceError(400, "OperationNotAllowed", "A relationship cannot connect a twin to itself.")
        model_id = twin["$metadata"]["$model"]
        if not any(name in model.relationships for model in self.lineage(model_id)):
            raise ServiceError(
                400, "InvalidRelationship", f"'{model_id}' does not define the relationship '{name}'."
            )
        known = {
            "$relationshipId": relationship_id,
            "$sourceId": source,
            "$targetId": target,
            "$etag": new_etag(),
        }
        content = {key: value for key, value in body.items() if not key.startswith("$")}
        relationship = {**known, "$relationshipName": name, **content}
        self.relationships[source, relationship_id] = relationship
        return relationship

    def import_models(self, definitions: list[Any], now: datetime) -> None:
        """Add models from an import file; one that is there already, word for word, is no error.

        So a file can be imported again after a cancelled or failed job. Raises ServiceError.
        """
        present = [stored.model.definition for stored in self.models.values()]
        self.add_models([definition for definition in definitions if definition not in present], now)

    def import_twin(self, record: Entity, now: datetime) -> None:
        """Add a twin from a line of an import file. Raises ServiceError."""
        self.put_twin(required(record, "$dtId"), record, now)

    def import_relationship(self, record: Entity, _: datetime) -> None:
        """Add a relationship from a line of an import file. Raises ServiceError."""
        self.put_relationship(required(record, "$dtId"), required(record, "$relationshipId"), record)

    def _check_content(self, model_id: str, content: Entity, where: str) -> None:
        models = list(self.lineage(model_id))
        properties = {name: schema for model in models for name, schema in model.properties.items()}
        components = {name: schema for model in models for name, schema in model.components.items()}
        missing = sorted(set(components) - set(content))
        if missing:
            raise ServiceError(400, "ValidationFailed", f"{where} lacks the component {missing[0]}.")
        for name, value in content.items():
            if name in components and isinstance(value, dict):
                inner = {key: item for key, item in value.items() if not key.startswith("$")}
                self._check_content(components[name], inner, f"Component {name}")
            elif name not in properties:
                raise ServiceError(
                    400, "ValidationFailed", f"{where} has {name}, which '{model_id}' does not define."
                )
            elif not fits(properties[name], value):
                raise ServiceError(
                    400, "ValidationFailed", f"{where}: {name} must be of schema {properties[name]}."
                )


def check_id(value: str) -> None:
    """Raises 400 InvalidArgument for an id the service would not take."""
    if not 0 < len(value) <= MAX_ID:
        raise ServiceError(400, "InvalidArgument", f"An id has 1 to {MAX_ID} characters.")


def model_of(body: Entity) -> str:
    """The model id in the metadata of a twin. Raises 400 ValidationFailed."""
    metadata = body.get("$metadata")
    model_id = metadata.get("$model") if isinstance(metadata, dict) else None
    if not isinstance(model_id, str):
        raise ServiceError(400, "ValidationFailed", "A digital twin must have $metadata.$model.")
    return model_id


def is_component(value: object) -> bool:
    """Whether a value of a twin is a component: those carry their own $metadata."""
    return isinstance(value, dict) and "$metadata" in value


def required(record: Entity, name: str) -> str:
    """A text field of an import line. Raises 400 ValidationFailed."""
    value = record.get(name)
    if not isinstance(value, str):
        raise ServiceError(400, "ValidationFailed", f"{name} is required.")
    return value


def new_etag() -> str:
    """A weak validator, as the service makes them."""
    return f'W/"{uuid.uuid4()}"'
