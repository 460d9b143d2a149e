"""Small changes of a module, one at a time: operators, comparisons, constants, guards, terms, rounding."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
NAMED = {
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "floor": "ceil",
    "ceil": "floor",
    "any": "all",
    "all": "any",
    "float_above": "float_below",
    "float_below": "float_above",
    "abs_lower": "abs_upper",
    "abs_upper": "abs_lower",
    "downwards": "upwards",
    "upwards": "downwards",
    "lower": "upper",
    "upper": "lower",
}
TRANSPARENT = {
    "abs",
    "nextafter",
    "sqrt",
    "fabs",
    "float_above",
    "float_below",
}  # calls that also go, leaving the argument
LIMITS = {"room", "least", "most", "above", "below", "count", "kind", "like", "slack", "side"}  # keywords that also go


class Mutant(NamedTuple):
    """One change of a module: which node, which of its variants, and the statement before and after."""

    line: int
    before: str
    after: str
    node: int
    variant: int


class Place(NamedTuple):
    """Where a node hangs: its parent, the field, and the position in it where that is a list."""

    parent: ast.AST
    name: str
    position: int | None

    def put(self, item: ast.AST | None) -> None:
        if self.position is None:
            setattr(self.parent, self.name, item)
        else:
            getattr(self.parent, self.name)[self.position] = item

    def get(self) -> ast.AST:
        item = getattr(self.parent, self.name)
        return item if self.position is None else item[self.position]


def mutants(source: str) -> Iterator[Mutant]:
    """All mutants of a module."""
    tree, seen = ast.parse(source), set()
    places = _places(tree)
    for number, node in enumerate(_nodes(tree)):
        statement = node
        while not isinstance(statement, ast.stmt) and statement in places:
            statement = places[statement].parent
        if node not in places or statement not in places:
            continue
        before = _header(places[statement].get())
        for variant, other in enumerate(_variants(node)):
            places[node].put(other)
            after = _header(places[statement].get())
            places[node].put(node)
            if after != before and (statement, after) not in seen:
                seen.add((statement, after))
                yield Mutant(getattr(node, "lineno", 0), before, after, number, variant)


def changed(source: str, mutant: Mutant) -> ast.Module:
    """Return the changed module."""
    tree = ast.parse(source)
    node = _nodes(tree)[mutant.node]
    _places(tree)[node].put(_variants(node)[mutant.variant])
    return ast.fix_missing_locations(tree)


def _places(tree: ast.Module) -> dict[ast.AST, Place]:
    found = {}
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                found[value] = Place(parent, name, None)
            elif isinstance(value, list):
                found.update(
                    {item: Place(parent, name, k) for k, item in enumerate(value) if isinstance(item, ast.AST)}
                )
    return found


def _nodes(tree: ast.Module) -> list[ast.AST]:
    """Nodes that may change: no annotations, no documentation, no class bodies but their methods, no messages."""
    found: list[ast.AST] = []

    def visit(node: ast.AST, in_class: bool) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Raise | ast.Assert):
            return
        if not in_class or isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
                continue
            if name == "keywords" and isinstance(node, ast.ClassDef):
                continue
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, ast.AST) and not (
                    in_class and not isinstance(item, ast.FunctionDef | ast.ClassDef)
                ):
                    visit(item, isinstance(item, ast.ClassDef))

    visit(tree, False)
    return found


def _variants(node: ast.AST) -> list[ast.AST | None]:
    """What may stand in place of a node; None: nothing."""
    kinds = (_of_operators, _of_conditions, _of_constants, _of_calls, _of_statements)
    return [variant for kind in kinds for variant in kind(node)]


def _with(node: ast.AST, **changes: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def _of_operators(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in BINARY:
        yield _with(node, op=BINARY[type(node.op)]())
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield node.left
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield node.right
    if isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            for other in COMPARED[type(op)]:
                yield _with(node, ops=[*node.ops[:k], other(), *node.ops[k + 1 :]])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield node.operand
    if isinstance(node, ast.IfExp):
        yield _with(node, body=node.orelse, orelse=node.body)


def _of_conditions(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for k in range(len(node.values)):
            rest = node.values[:k] + node.values[k + 1 :]
            yield rest[0] if len(rest) == 1 else _with(node, values=rest)


def _of_constants(node: ast.AST) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, bool | int | float):
        return
    value = node.value
    if isinstance(value, bool):
        changed: list[bool | int | float] = [not value]
    elif isinstance(value, int):
        changed = [0, value + 1, value - 1, 2 * value]
    else:
        changed = [0.0, 2.0 * value, 0.1 * value, value + 1.0, value - 1.0]
    for other in sorted(set(changed) - {value}):
        yield ast.Constant(other) if other >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-other))


def _of_calls(node: ast.AST) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Call):
        return
    func = node.func
    name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
    if name in NAMED:
        yield _with(node, func=_with(func, **{"attr" if isinstance(func, ast.Attribute) else "id": NAMED[name]}))
    if name in TRANSPARENT and node.args:
        yield node.args[0]
    if name in ("min", "max", "minimum", "maximum", "hypot") and len(node.args) == 2 and not node.keywords:
        yield from node.args
    if name == "nextafter" and len(node.args) == 2:
        yield _with(node, args=[node.args[0], ast.UnaryOp(ast.USub(), node.args[1])])
    for k, keyword in enumerate(node.keywords):
        if keyword.arg in LIMITS:
            yield _with(node, keywords=node.keywords[:k] + node.keywords[k + 1 :])


def _of_statements(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.If):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
        yield _with(node, test=ast.Constant(False))
    if isinstance(node, ast.While):
        yield _with(node, test=ast.Constant(False))
    if isinstance(node, ast.Return) and node.value is not None:
        yield _with(node, value=ast.Constant(0.0))
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        yield ast.Pass()
    if isinstance(node, ast.AugAssign):
        yield ast.Pass()
    if isinstance(node, ast.comprehension) and node.ifs:
        yield _with(node, ifs=[])
    if isinstance(node, ast.Break | ast.Continue):
        yield ast.Pass()


def _header(statement: ast.AST) -> str:
    """Return the first line of a statement, without what belongs to its block."""
    shown = copy.copy(statement)
    if isinstance(shown, ast.If | ast.For | ast.While | ast.With | ast.FunctionDef):
        shown = _with(shown, body=[ast.Expr(ast.Constant(...))])
        if hasattr(shown, "orelse"):
            shown = _with(shown, orelse=[])
    return " ".join(ast.unparse(ast.fix_missing_locations(shown)).split())
