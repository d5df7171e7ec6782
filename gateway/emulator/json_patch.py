"""JSON Patch (RFC 6902) as the service takes it: `add`, `replace` and `remove`."""

from copy import deepcopy
from typing import Any, Final

from gateway.emulator.exchange import ServiceError

OPERATIONS: Final = ("add", "replace", "remove")


def apply_patch(document: dict[str, Any], patch: Any) -> dict[str, Any]:
    """A patched copy. Raises ServiceError 400 `JsonPatchInvalid`; the document is never changed."""
    if not isinstance(patch, list):
        raise invalid("the body must be an array of operations")
    result = deepcopy(document)
    for operation in patch:
        apply_one(result, operation)
    return result


def apply_one(document: dict[str, Any], operation: Any) -> None:
    """Apply one operation in place. Raises ServiceError."""
    if not isinstance(operation, dict) or operation.get("op") not in OPERATIONS:
        raise invalid(f"each operation must have an op of {', '.join(OPERATIONS)}")
    path = operation.get("path")
    if not isinstance(path, str) or not path.startswith("/"):
        raise invalid("each operation must have a path that begins with /")
    if operation["op"] != "remove" and "value" not in operation:
        raise invalid(f"{operation['op']} {path} needs a value")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    target: Any = document
    for part in parts[:-1]:
        target = target.get(part) if isinstance(target, dict) else None
    if not isinstance(target, dict):
        raise invalid(f"there is nothing at {path}")
    name = parts[-1]
    if operation["op"] != "add" and name not in target:
        raise invalid(f"there is nothing at {path}")
    if operation["op"] == "remove":
        del target[name]
    else:
        target[name] = operation["value"]


def invalid(reason: str) -> ServiceError:
    """The error for a patch that cannot be applied."""
    return ServiceError(400, "JsonPatchInvalid", f"The JSON Patch provided is invalid: {reason}.")
