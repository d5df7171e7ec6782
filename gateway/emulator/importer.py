"""One import: an NDJSON file becomes models, twins and relationships, and a log of how it went.

The file has a `Header` section and then, in this order, any of `Models`, `Twins` and `Relationships`; each
begins with a line `{"Section": "<name>"}`. Models enter together, since they refer to each other, twins and
relationships one by one. Nothing is rolled back. (Jobs API documentation, "Format data", and its sample of
an output log.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from gateway.emulator.blobs import BlobMissing, BlobStore, name_of
from gateway.emulator.clock import zulu_time
from gateway.emulator.exchange import ServiceError
from gateway.emulator.graph import Graph

SECTIONS: Final = ("Header", "Models", "Twins", "Relationships")
PARSING_ERROR: Final = "DTDLParsingError"

Work = Callable[[datetime], None]
Record = tuple[str, int, dict[str, Any]]


class BadImport(Exception):
    """What ends the job as `failed`, with the code and message its `error` gets."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Failure:
    """How and when the job failed."""

    code: str
    message: str
    at: datetime


@dataclass(slots=True)
class Log:
    """The output log: a blob of NDJSON lines, stored again with each line; without a name nothing
    is stored.
    """

    job_id: str
    name: str | None
    blobs: BlobStore
    lines: list[bytes] = field(default_factory=list)

    def add(self, at: datetime, details: dict[str, Any], *, kind: str = "Info") -> None:
        """Append a line."""
        moment = zulu_time(at)
        line = {
            "timestamp": moment,
            "jobId": self.job_id,
            "jobType": "Import",
            "logType": kind,
            "details": details,
        }
        self.lines.append(msgspec.json.encode(line) + b"\n")
        if self.name is not None:
            self.blobs.put(self.name, b"".join(self.lines))


class ImportRun:
    """The work of one job, done in equal steps over its running time."""

    def __init__(self, job_id: str, input_uri: str, output_uri: str, graph: Graph, blobs: BlobStore) -> None:
        self._graph = graph
        self._section: str | None = None
        self._done = 0
        output = blob_name(output_uri)
        self._log = Log(job_id, output, blobs)
        if output is None:
            self._steps = [
                failing("OutputBlobNotAccessible", "outputBlobUri is not on the emulator's blob path.")
            ]
        else:
            self._steps = self._plan(input_uri, blobs)

    def start(self, at: datetime) -> None:
        """Open the log."""
        self._log.add(at, {"status": "Started"})

    def advance(self, share: float, moment: Callable[[float], datetime]) -> Failure | None:
        """Do the steps due at this share (0 to 1) of the running time; `moment` gives the time of a share."""
        total = len(self._steps)
        while self._done < total and (self._done + 1) / total <= share:
            at = moment((self._done + 1) / total)
            section, work = self._steps[self._done]
            self._enter(section, at)
            try:
                work(at)
            except BadImport as error:
                self._log.add(at, self._about({"status": "Failed", "error": described(error)}), kind="Error")
                self._log.add(at, {"status": "Failed"})
                return Failure(error.code, error.message, at)
            self._done += 1
        if share >= 1.0:
            self._enter(None, moment(1.0))
            self._log.add(moment(1.0), {"status": "Succeeded"})
        return None

    def cancel(self, at: datetime) -> None:
        """Note in the log that the rest will not be done."""
        self._log.add(at, self._about({"status": "Cancelled"}))

    def _about(self, details: dict[str, Any]) -> dict[str, Any]:
        return details if self._section is None else {"section": self._section, **details}

    def _enter(self, section: str | None, at: datetime) -> None:
        if section == self._section:
            return
        if self._section is not None:
            self._log.add(at, self._about({"status": "Succeeded"}))
        self._section = section
        if section is not None:
            self._log.add(at, self._about({"status": "Started"}))

    def _plan(self, uri: str, blobs: BlobStore) -> list[tuple[str | None, Work]]:
        name = blob_name(uri)
        data = None if name is None else blobs.get(name)
        if data is None:
            return [failing("InputBlobNotFound", "inputBlobUri names no blob on the emulator's blob path.")]
        steps: list[tuple[str | None, Work]] = []
        models: list[Any] = []
        try:
            for section, number, record in records(data):
                if section == "Models" and not models:
                    steps.append((section, self._models(models)))
                if section == "Models":
                    models.append(record)
                elif section != "Header":
                    steps.append((section, self._entity(section, number, record)))
        except BadImport as error:
            # Earlier lines of the file still enter: the service reads as it goes and rolls nothing back.
            steps.append(failing(error.code, error.message))
        return steps

    def _models(self, models: list[Any]) -> Work:
        def work(at: datetime) -> None:
            with_import_codes(lambda: self._graph.import_models(models, at), "Models")

        return work

    def _entity(self, section: str, number: int, record: dict[str, Any]) -> Work:
        add = self._graph.import_twin if section == "Twins" else self._graph.import_relationship

        def work(at: datetime) -> None:
            with_import_codes(lambda: add(record, at), f"Line {number}")

        return work


def with_import_codes(work: Callable[[], object], where: str) -> None:
    """Run the work; what the graph refuses raises BadImport with the code import jobs use."""
    try:
        work()
    except ServiceError as error:
        code = PARSING_ERROR if error.code == "DTDLParserError" else error.code
        raise BadImport(code, f"{where}: {error.message}") from error


def failing(code: str, message: str) -> tuple[str | None, Work]:
    """A step that only fails."""

    def work(_: datetime) -> None:
        raise BadImport(code, message)

    return None, work


def described(error: BadImport) -> dict[str, str]:
    """The error as the log tells it."""
    return {"code": error.code, "message": error.message}


def blob_name(uri: str) -> str | None:
    """The blob a URI names, None when it is not the emulator's."""
    try:
        return name_of(uri)
    except BlobMissing:
        return None


def records(data: bytes) -> Iterator[Record]:
    """Section, line number and object of each line that is not a section mark. Raises BadImport at the first
    bad line.
    """
    section = -1
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        record = parsed(line, number)
        if set(record) == {"Section"}:
            section = next_section(section, record["Section"], number)
        elif section < 0:
            raise BadImport(
                "ValidationFailed", f"Line {number}: the file must begin with the Header section."
            )
        else:
            yield SECTIONS[section], number, record
    if section < 0:
        raise BadImport("ValidationFailed", "The file has no Header section.")


def parsed(line: bytes, number: int) -> dict[str, Any]:
    """The object of a line. Raises BadImport with DTDLParsingError when it is no JSON object."""
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadImport(PARSING_ERROR, f"Line {number}: not a JSON object: {error}.") from error


def next_section(current: int, name: object, number: int) -> int:
    """The index of the section that begins. Raises BadImport when it is unknown or comes out of order."""
    if name not in SECTIONS:
        raise BadImport(
            "ValidationFailed", f"Line {number}: there is no such section; known: {', '.join(SECTIONS)}."
        )
    following = SECTIONS.index(str(name))
    if following <= current or (current < 0 and following > 0):
        raise BadImport("ValidationFailed", f"Line {number}: section {name} is out of order.")
    return following
