# ruff: noqa: N802 - the names are those of ast.NodeVisitor
"""Mutants of statements, and through them of a whole file.

Left alone is what only people read or the type checker judges: docstrings, annotations, sentences, imports,
decorators, protocols.
"""

import ast
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from tests.mutants.edit import Edit
from tests.mutants.expressions import Expressions, short


def edits_of(source: str) -> list[Edit]:
    """Every mutant of a file, each with a name of its own."""
    visitor = _Statements(source)
    visitor.visit(ast.parse(source))
    times: Counter[str] = Counter()
    named: list[Edit] = []
    for edit in visitor.edits:
        times[edit.name] += 1
        nth = times[edit.name]
        named.append(edit if nth == 1 else replace(edit, told=f"{edit.told} ({nth})"))
    return named


class _Statements(Expressions):
    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) else node.end_lineno or node.lineno
            before, self._lines = self._lines, range(node.lineno, max(node.lineno, last) + 1)
            super().visit(node)
            self._lines = before
        else:
            super().visit(node)

    def visit_Import(self, node: ast.Import) -> None: ...

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            return
        self._within(node.name, node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scope.append(node.name)
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        self._scope.pop()
        self._functions.append(node)
        self._within(node.name, node.body)
        self._functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the visitor's own naming

    def _within(self, name: str, body: Iterable[ast.AST]) -> None:
        self._scope.append(name)
        for child in body:
            self.visit(child)
        self._scope.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if isinstance(node.value, ast.Subscript) and not self._functions:
            return  # an alias of a type
        if self._functions and isinstance(target, ast.Attribute | ast.Subscript):
            self._drop(node)
        self._value(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            if self._functions and isinstance(node.target, ast.Attribute):
                self._drop(node)
            self._value(node.target, node.value)

    def _value(self, target: ast.expr, value: ast.expr) -> None:
        name = ast.unparse(target)
        if name == "__all__":
            return
        if isinstance(value, ast.Constant) and name in self._patterns:
            self._pattern(value)
        elif self._functions:
            self.visit(value)
        else:
            self._within(name, [value])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._drop(node)
        self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await) and self._functions:
            self._drop(node)
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._drop(node)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._drop(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(node, "break", "continue -> break")
        self._add(node, "pass", "without continue")

    def visit_Break(self, node: ast.Break) -> None:
        self._add(node, "continue", "break -> continue")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._drop(node)
            return
        wanted = ast.unparse(returns) if (returns := self._functions[-1].returns) else ""
        if not isinstance(node.value, ast.Constant):
            told = short(ast.unparse(node))
            if wanted.endswith("| None"):
                self._add(node, "return None", f"{told} -> return None")
            if wanted == "bool":
                self._add(node, "return True", f"{told} -> return True")
                self._add(node, "return False", f"{told} -> return False")
        self.visit(node.value)

    def visit_For(self, node: ast.For) -> None:
        self._swap(node.iter, ast.Tuple([], ast.Load()))
        self.generic_visit(node)

    def visit_If(self, node: ast.If | ast.IfExp) -> None:
        self._decided(node.test)
        for child in ast.iter_child_nodes(node):
            if child is not node.test:
                self.visit(child)

    visit_IfExp = visit_If  # noqa: N815 - the visitor's own naming

    def visit_While(self, node: ast.While) -> None:
        if isinstance(node.test, ast.Constant):
            self._within_loop(node)
            return
        self._swap(node.test, ast.Constant(value=False))
        self.visit(node.test)
        self._within_loop(node)

    def _within_loop(self, node: ast.While) -> None:
        for child in (*node.body, *node.orelse):
            self.visit(child)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if isinstance(node.type, ast.Tuple):
            self._elements(node.type, node.type.elts)
        for child in node.body:
            self.visit(child)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        for test in node.ifs:
            self._swap(test, ast.Constant(value=True))
            self._inside(test)
