"""What is exchanged for what: operators, names of functions, constants."""

import ast
from collections.abc import Iterator
from types import EllipsisType

SENTENCE = 3
"""Words from which a text is a message."""

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
BOUNDARY = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.BitAnd: ast.BitOr,
    ast.Mod: ast.Add,
}
OTHER_NAME = {
    "fullmatch": "match",
    "match": "search",
    "search": "match",
    "startswith": "endswith",
    "partition": "rpartition",
    "rpartition": "partition",
    "rfind": "find",
    "any": "all",
    "all": "any",
    "min": "max",
    "max": "min",
    "first": "last",
}
TAKEN_OFF = {
    "strip",
    "lstrip",
    "rstrip",
    "lower",
    "upper",
    "removeprefix",
    "removesuffix",
    "replace",
    "translate",
}
OF_RE = {"compile", "search", "match", "fullmatch", "sub"}

Value = str | bytes | bool | int | float | complex | EllipsisType | None
"""What a constant can be."""


def other_values(value: Value) -> Iterator[Value]:
    """What a constant is exchanged for; nothing for a sentence, which only people read."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        if value > 1:
            yield value - 1
    elif isinstance(value, float):
        yield value + 1
    elif isinstance(value, str) and len(value.split()) < SENTENCE:
        yield value + "XX"
    elif isinstance(value, bytes) and len(value.split()) < SENTENCE:
        yield value + b"XX"
