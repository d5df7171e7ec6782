"""Mutants of expressions: conditions, comparisons, arithmetic, calls, constants, containers, patterns."""

import ast
import copy

from tests.mutants.edit import Edit
from tests.mutants.patterns import changes
from tests.mutants.swaps import (
    ARITHMETIC,
    BOUNDARY,
    COMPARISONS,
    OF_RE,
    OTHER_NAME,
    SENTENCE,
    TAKEN_OFF,
    other_values,
)

TABLE = 8
"""Rows from which a container of a module is a table."""


class Expressions(ast.NodeVisitor):
    """Notes the mutants of each expression that it visits."""

    def __init__(self, source: str) -> None:
        self.edits: list[Edit] = []
        self._starts = [0]
        for line in source.encode().splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._scope: list[str] = []
        self._functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self._lines = range(0)
        self._patterns = _pattern_names(ast.parse(source))
        self._in_table = False

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def _add(self, node: ast.expr | ast.stmt, text: str, told: str) -> None:
        scope = ".".join(self._scope) or "module"
        lines = self._lines if self._functions else range(0)
        self.edits.append(Edit(*self._span(node), text, scope, told, lines))

    def _swap(self, node: ast.expr, new: ast.expr) -> None:
        text = ast.unparse(ast.fix_missing_locations(new))
        self._add(node, f"({text})", f"{short(ast.unparse(node))} -> {short(text)}")

    def _drop(self, statement: ast.stmt) -> None:
        self._add(statement, "pass", f"without {short(ast.unparse(statement))}")

    def _decided(self, test: ast.expr) -> None:
        for outcome in (True, False):
            self._swap(test, ast.Constant(value=outcome))
        self._inside(test)

    def _inside(self, test: ast.expr) -> None:
        """Go into a condition whose outcomes have been tried: its opposite would show nothing new."""
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            if isinstance(test.ops[0], BOUNDARY):
                self._compared(test, 0, COMPARISONS[type(test.ops[0])][0])
            self.generic_visit(test)
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            self._inside(test.operand)
        else:
            self.visit(test)

    def visit_Compare(self, node: ast.Compare) -> None:
        for index, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                self._compared(node, index, other)
        self.generic_visit(node)

    def _compared(self, node: ast.Compare, index: int, other: type[ast.cmpop]) -> None:
        new = copy.deepcopy(node)
        new.ops[index] = other()
        self._swap(node, new)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for index in range(len(node.values)):
            left = [value for at, value in enumerate(node.values) if at != index]
            self._swap(node, left[0] if len(left) == 1 else ast.BoolOp(node.op, left))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            self._swap(node, node.operand)
        self.visit(node.operand)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not any(
            isinstance(side, ast.Constant | ast.JoinedStr) and _is_text(side)
            for side in (node.left, node.right)
        ):
            other = ARITHMETIC.get(type(node.op))
            if other is not None:
                self._swap(node, ast.BinOp(node.left, other(), node.right))
        if not (isinstance(node.op, ast.Mod) and _is_text(node.left)):
            self._swap(node, node.left)
            self._swap(node, node.right)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function, arguments = node.func, list(node.args)
        attribute = function.attr if isinstance(function, ast.Attribute) else None
        plain = function.id if isinstance(function, ast.Name) else attribute
        of_re = isinstance(function, ast.Attribute) and ast.unparse(function.value) == "re" and plain in OF_RE
        if plain in OTHER_NAME and not (of_re and plain == "compile"):
            self._swap(node, _renamed(node, OTHER_NAME[plain]))
        if plain in {"min", "max"} and len(arguments) == 2:
            for argument in arguments:
                self._swap(node, argument)
        if attribute in TAKEN_OFF and isinstance(function, ast.Attribute):
            self._swap(node, function.value)
        if of_re:
            self._without_flags(node)
            self._pattern(arguments.pop(0))
        if isinstance(function, ast.Attribute):
            self.visit(function.value)
        for child in (*arguments, *(keyword.value for keyword in node.keywords)):
            self.visit(child)

    def _without_flags(self, node: ast.Call) -> None:
        if len(node.args) > 1 and ast.unparse(node.args[-1]).startswith("re."):
            new = copy.deepcopy(node)
            new.args.pop()
            told = f"without {ast.unparse(node.args[-1])}"
            self._add(node, ast.unparse(new), told)

    def _pattern(self, node: ast.expr) -> None:
        if isinstance(node, ast.BinOp):
            self._pattern(node.left)
            self._pattern(node.right)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            binary = isinstance(node.value, bytes)
            pattern = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            for change in changes(pattern):
                self._add(node, f"({'b' if binary else ''}{change.pattern!r})", f"pattern {change.told}")

    def visit_Set(self, node: ast.Set | ast.List | ast.Tuple) -> None:
        if len(node.elts) > 1 and (
            not self._functions or all(isinstance(e, ast.Constant) for e in node.elts)
        ):
            self._elements(node, node.elts)
        self._table(node, len(node.elts))

    visit_List = visit_Set  # noqa: N815 - the visitor's own naming
    visit_Tuple = visit_Set  # noqa: N815 - the visitor's own naming

    def _elements(self, node: ast.Set | ast.List | ast.Tuple, elements: list[ast.expr]) -> None:
        for index, element in enumerate(elements):
            new = copy.deepcopy(node)
            del new.elts[index]
            self._add(node, ast.unparse(new), f"without {short(ast.unparse(element))}")

    def visit_Dict(self, node: ast.Dict) -> None:
        if not self._functions:
            for index, key in enumerate(node.keys):
                new = copy.deepcopy(node)
                del new.keys[index], new.values[index]
                self._add(node, ast.unparse(new), f"without {short(ast.unparse(key)) if key else 'one'}")
        self._table(node, len(node.keys))

    def _table(self, node: ast.expr, rows: int) -> None:
        """Go into a container; rows of a long table are taken out, and not changed one by one as well."""
        before, self._in_table = self._in_table, self._in_table or (rows >= TABLE and not self._functions)
        self.generic_visit(node)
        self._in_table = before

    def visit_Constant(self, node: ast.Constant) -> None:
        for other in () if self._in_table else other_values(node.value):
            self._swap(node, ast.Constant(value=other))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Positions inside an f-string are unreliable before Python 3.12, so all of it is written anew."""
        texts = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
        if len("".join(texts).split()) >= SENTENCE:
            return
        for index, part in enumerate(node.values):
            new = copy.deepcopy(node)
            if isinstance(part, ast.Constant):
                new.values[index] = ast.Constant(value=str(part.value) + "XX")
            else:
                del new.values[index]
            self._swap(node, new)


def _pattern_names(tree: ast.Module) -> set[str]:
    """Names of texts that regular expressions are put together from."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    return {
        name.id
        for call in calls
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "re"
        for name in ast.walk(call.args[0])
        if isinstance(name, ast.Name)
    }


def _renamed(node: ast.Call, name: str) -> ast.Call:
    new = copy.deepcopy(node)
    if isinstance(new.func, ast.Attribute):
        new.func.attr = name
    else:
        new.func = ast.Name(name, ast.Load())
    return new


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 70 else f"{text[:45]} … {text[-20:]}"
