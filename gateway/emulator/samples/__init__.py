"""NDJSON files in the import format of the Jobs API, shipped with the package.

`campus.ndjson` is a small campus of buildings, floors, rooms and sensors; `broken-model.ndjson` has a model
with a bad identifier, so that its import ends as `failed` with `DTDLParsingError`.
"""

from importlib.resources import files


def sample(name: str) -> bytes:
    """The bytes of a sample file. Raises FileNotFoundError for a name that does not exist."""
    return files(__name__).joinpath(name).read_bytes()
