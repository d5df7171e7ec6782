"""A small part of the query language: enough for a client's ordinary questions, an error for the rest.

    SELECT * | COUNT() | TOP(n) FROM digitaltwins | relationships [alias] [WHERE condition]

A condition is made of comparisons of a property with a literal (`=`, `!=`, `<`, `<=`, `>`, `>=`), `IN
[..]`, `IS_OF_MODEL([alias,] 'dtmi:…' [, exact])`, `IS_DEFINED(property)`, `STARTSWITH(property, 'text')`,
`AND`, `OR`, `NOT` and parentheses. A property may be a path (`T.Position.x`). (Azure Digital Twins query
language reference.)
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway.emulator.exchange import ServiceError
from gateway.emulator.graph import Entity, Graph

TOKEN: Final = re.compile(
    r"\s*('(?:[^'\\]|\\.)*'|-?\d+(?:\.\d+)?|\$?[A-Za-z_][\w$.]*|!=|<=|>=|[=<>()\[\],*])"
)
LITERALS: Final = (("TRUE", True), ("FALSE", False), ("NULL", None))
COMPARISONS: Final = (("<", operator.lt), ("<=", operator.le), (">", operator.gt), (">=", operator.ge))
DEEPEST: Final = 50
"""Nesting of a condition; more is an error instead of an exhausted stack."""

Condition = Callable[[Entity], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: how much of which collection, under which condition."""

    counts: bool
    top: int | None
    collection: str
    condition: Condition


def run(text: str, graph: Graph) -> list[Any]:
    """All results. Raises ServiceError 400 `SqlQueryError`."""
    query = Parser(text, graph).query()
    entities = graph.twins if query.collection == "digitaltwins" else graph.relationships
    found = [entity for entity in entities.values() if query.condition(entity)]
    if query.counts:
        return [{"COUNT": len(found)}]
    return found if query.top is None else found[: query.top]


class Parser:
    """Recursive descent over the tokens of one query; every method raises ServiceError at what it does not
    know.
    """

    def __init__(self, text: str, graph: Graph) -> None:
        self._tokens = tokens(text)
        self._graph = graph
        self._alias = ""
        self._depth = 0

    def query(self) -> Query:
        """The whole query."""
        self._expect("SELECT")
        counts, top = self._selection()
        self._expect("FROM")
        collection = self._take().lower()
        if collection not in ("digitaltwins", "relationships"):
            raise wrong("FROM takes digitaltwins or relationships")
        if self._peek() not in ("", "WHERE"):
            self._alias = self._take()
        condition = self._any() if self._accept("WHERE") else always
        if self._tokens:
            raise wrong(f"unexpected {self._tokens[0]}")
        return Query(counts, top, collection, condition)

    def _selection(self) -> tuple[bool, int | None]:
        counts, top = self._accept("COUNT"), None
        if counts:
            self._expect("(")
            self._expect(")")
        elif self._accept("TOP"):
            self._expect("(")
            top = self._literal()
            self._expect(")")
            if not isinstance(top, int):
                raise wrong("TOP takes a whole number")
        else:
            self._take()
        return counts, top

    def _any(self) -> Condition:
        options = [self._all()]
        while self._accept("OR"):
            options.append(self._all())
        return lambda entity: any(option(entity) for option in options)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._accept("AND"):
            parts.append(self._one())
        return lambda entity: all(part(entity) for part in parts)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST:
            raise wrong("the condition is too deep")
        condition = self._bare()
        self._depth -= 1
        return condition

    def _bare(self) -> Condition:
        if self._accept("NOT"):
            inner = self._one()
            return lambda entity: not inner(entity)
        if self._accept("("):
            inner = self._any()
            self._expect(")")
            return inner
        name = self._take()
        if self._accept("("):
            return self._function(name.upper())
        return self._comparison(self._path(name))

    def _comparison(self, path: list[str]) -> Condition:
        sign = self._take().upper()
        if sign == "IN":
            self._expect("[")
            options = [self._literal()]
            while self._accept(","):
                options.append(self._literal())
            self._expect("]")
            return lambda entity: value_at(entity, path) in options
        wanted = self._literal()
        if sign in ("=", "!="):
            return lambda entity: (value_at(entity, path) == wanted) is (sign == "=")
        compare = dict(COMPARISONS).get(sign)
        if compare is None:
            raise wrong(f"{sign} is not a comparison")
        return lambda entity: (
            ordered(value_at(entity, path), wanted) and compare(value_at(entity, path), wanted)
        )

    def _function(self, name: str) -> Condition:
        arguments = [self._take()]
        while self._accept(","):
            arguments.append(self._take())
        self._expect(")")
        if name == "IS_OF_MODEL":
            return self._of_model(arguments)
        path = self._path(arguments[0])
        if name == "IS_DEFINED" and len(arguments) == 1:
            return lambda entity: value_at(entity, path) is not None
        if name == "STARTSWITH" and len(arguments) > 1:
            start = str(literal(arguments[1]))
            return lambda entity: str(value_at(entity, path) or "").startswith(start)
        raise wrong(f"{name} is not supported with these arguments")

    def _of_model(self, arguments: list[str]) -> Condition:
        exact = arguments[-1].lower() == "exact"
        model_id = literal(arguments[-2] if exact and len(arguments) > 1 else arguments[-1])

        def condition(entity: Entity) -> bool:
            own: str = entity.get("$metadata", {}).get("$model", "")
            return own == model_id or (
                not exact and any(model.id == model_id for model in self._graph.lineage(own))
            )

        return condition

    def _path(self, name: str) -> list[str]:
        parts = name.split(".")
        return parts[1:] if len(parts) > 1 and parts[0] == self._alias else parts

    def _literal(self) -> Any:
        return literal(self._take())

    def _peek(self) -> str:
        return self._tokens[0].upper() if self._tokens else ""

    def _take(self) -> str:
        if not self._tokens:
            raise wrong("it ends too early")
        return self._tokens.pop(0)

    def _accept(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self._take()
        return True

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise wrong(f"expected {word}, found {self._peek() or 'the end'}")


def tokens(text: str) -> list[str]:
    """The words, literals and signs of a query. Raises ServiceError."""
    result, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = TOKEN.match(text, position)
        if match is None:
            raise wrong(f"unexpected {text[position:].strip()[:20]!r}")
        result.append(match[1])
        position = match.end()
    return result


def literal(token: str) -> Any:
    """The value of a literal. Raises ServiceError."""
    if token.startswith("'"):
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    if token.upper() in dict(LITERALS):
        return dict(LITERALS)[token.upper()]
    try:
        return float(token) if "." in token else int(token)
    except ValueError as error:
        raise wrong(f"{token} is not a literal") from error


def value_at(entity: Entity, path: list[str]) -> Any:
    """The value a path leads to, None when there is none."""
    value: Any = entity
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def ordered(left: object, right: object) -> bool:
    """Whether two values can be compared by size."""
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    return numbers or (isinstance(left, str) and isinstance(right, str))


def always(_: Entity) -> bool:
    """The condition of a query without WHERE."""
    return True


def wrong(reason: str) -> ServiceError:
    """The error for a query that cannot be run."""
    return ServiceError(400, "SqlQueryError", f"The query contains some errors: {reason}.")
