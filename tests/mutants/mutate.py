"""Every small change that a source file allows, as an edit of its text."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

REPORTS = {"log", "metrics", "_metrics"}
"""A call of one of these tells what happened and decides nothing: it stays as it is."""

OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: (r"\bis\b", "is not"),
    ast.IsNot: (r"\bis\s+not\b", "is"),
    ast.In: (r"\bin\b", "not in"),
    ast.NotIn: (r"\bnot\s+in\b", "in"),
    ast.And: (r"\band\b", "or"),
    ast.Or: (r"\bor\b", "and"),
}

LARGE = 60
"""One more or less makes no difference that matters to a number from here on: it is doubled."""

SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE)\b")

SQL_SWAPS = (
    (r"<=", "<"),
    (r">=", ">"),
    (r"<>", "="),
    (r"(?<= )<(?= )", "<="),
    (r"(?<= )>(?= )", ">="),
    (r"\bAND\b", "OR"),
    (r"\bOR\b", "AND"),
    (r"\s+AND [\w.:]++ (?:=|<>|[<>]=?) [\w.:']++(?! [-+*])", ""),  # a condition less
    (r"\s+AND [\w.]++ IS (?:NOT )?NULL", ""),
    (r"(?<=\s)\w+ = [^,()]++,\s+", ""),  # an assignment less
    (r",\s+\w+ = [^,()\n]+?(?=\n| WHERE)", ""),  # the last one
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"(?<!IF )\bNOT EXISTS\b", "EXISTS"),
    (r"(?<!NOT )\bEXISTS\b", "NOT EXISTS"),
    (r"\bNOT IN\b", "IN"),
    (r"(?<!NOT )\bIN \(", "NOT IN ("),
    (r"\bMIN\(", "MAX("),
    (r"\bMAX\(", "MIN("),
    (r"\+ 1\b", "+ 0"),
    (r"- 1\b", "- 0"),
    (r"'pending'", "'sending'"),
    (r"'sending'", "'pending'"),
    (r"(\bORDER BY [\w.]++)(?! DESC)", r"\1 DESC"),
    (r" DESC\b", ""),
    (r"\bDISTINCT ", ""),
    (r"\bLEFT JOIN\b", "JOIN"),
)

Edit = tuple[str, int, int, str]
"""The kind of a change, where the old text begins and ends, and the new text."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement; *lines* are those of its own, without the statements nested in it.

    *function* is the one that it stands in. Without one it is run at import, and *names* are what
    it defines, or else what it stands in does.
    """

    node: ast.stmt
    lines: range
    names: frozenset[str]
    function: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """The program with *new* in place of the text from *start* to *end* of the file at *path*.

    The line *before* becomes *after*; *diff* is both in one.
    """

    path: str
    kind: str
    start: int
    end: int
    new: str
    line: int
    before: str
    after: str
    diff: str
    statement: Statement

    def apply(self, source: str) -> str:
        """Return the mutant of *source*."""
        return source[: self.start] + self.new + source[self.end :]


def mutate(path: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of the file at *path*."""
    text = Text(source)
    for statement in statements(ast.parse(source)):
        for kind, start, end, new in _edits(statement, text):
            line = source.count("\n", 0, end - len(source[start:end].lstrip())) + 1
            first, last = source.rfind("\n", 0, start) + 1, source.find("\n", end)
            before, after, diff = (
                " ".join((source[first:start] + middle + source[end:last]).split())
                for middle in (source[start:end], new, f"{{{source[start:end]} → {new}}}")
            )
            yield Mutant(path, kind, start, end, new, line, before, after, diff, statement)


def statements(
    node: ast.AST, names: frozenset[str] = frozenset(), function: str = ""
) -> Iterator[Statement]:
    """Yield all statements in *node*."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt):
            yield from statements(child, names, function)
            continue
        defined = frozenset() if function else frozenset(_defined(child)) or names
        yield Statement(child, _own_lines(child, function), defined, function)
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from statements(child, defined, child.name if is_function else function)


def expressions(node: ast.AST, *, changeable: bool = False) -> Iterator[ast.AST]:
    """Yield the expressions of *node*, without nested statements and a function's annotations.

    With *changeable*, without all annotations, decorators and reports.
    """
    skipped = {"annotation", "returns", "decorator_list"} if changeable else {"returns"}
    for field, value in ast.iter_fields(node):
        if field in skipped or (field == "annotation" and isinstance(node, ast.arg)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.stmt):
                continue
            if not (changeable and _is_report(child)):
                yield child
                yield from expressions(child, changeable=changeable)


def words(node: ast.AST) -> Iterator[str]:
    """Yield every name and attribute in *node*."""
    for part in (node, *expressions(node)):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr


class Text:
    """A source text, and where a node stands in it: `ast` counts the bytes of a line."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._lines = source.splitlines(keepends=True)
        self._starts = [0, *accumulate(map(len, self._lines))]

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return where *node* begins and ends."""
        return (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno, node.end_col_offset),
        )

    def between(self, left: ast.AST, right: ast.AST, operator: str) -> tuple[int, int]:
        """Return where the operator between two operands begins and ends."""
        match = re.compile(operator).search(self.source, self.span(left)[1], self.span(right)[0])
        assert match is not None
        return match.span()

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())


def _edits(statement: Statement, text: Text) -> Iterator[Edit]:
    node = statement.node
    if isinstance(node, ast.Assert) or _is_docstring(node):
        return
    if _has_effect(node, statement.function):
        yield "delete", *text.span(node), "pass"
    for part in (node, *expressions(node, changeable=True)):
        yield from _edits_of(part, text)


def _edits_of(node: ast.AST, text: Text) -> Iterator[Edit]:  # noqa: C901, PLR0912 - a table
    match node:
        case ast.Compare():
            operands = pairwise([node.left, *node.comparators])
            for operator, (left, right) in zip(node.ops, operands, strict=True):
                old, new = OPERATORS[type(operator)]
                yield "compare", *text.between(left, right, old), new
        case ast.BoolOp():
            old, new = OPERATORS[type(node.op)]
            for left, right in pairwise(node.values):
                yield "and/or", *text.between(left, right, old), new
        case ast.If(test=test) | ast.IfExp(test=test) | ast.match_case(guard=ast.expr() as test):
            yield "condition", *text.span(test), "True"
            yield "condition", *text.span(test), "False"
        case ast.While(test=test) if not isinstance(test, ast.Constant):
            yield "condition", *text.span(test), "False"
        case ast.comprehension():
            for test in node.ifs:
                yield "filter", *text.span(test), "True"
        case ast.UnaryOp(op=ast.Not()):
            start, _ = text.span(node)
            yield "not", start, start + len("not"), ""
        case ast.Return(value=ast.expr() as value) if not _is_constant(value):
            yield "return", *text.span(value), "None"
        case ast.Constant(value=bool(value)):
            yield "constant", *text.span(node), str(not value)
        case ast.Constant(value=int(value)):
            for number in (value + 1, value - 1) if value < LARGE else (2 * value,):
                yield "constant", *text.span(node), str(number)
        case ast.Constant(value=str()) | ast.JoinedStr():
            if SQL.search(text.source, *text.span(node)):
                yield from _sql_edits(*text.span(node), text)


def _sql_edits(start: int, end: int, text: Text) -> Iterator[Edit]:
    for pattern, new in SQL_SWAPS:
        for match in re.compile(pattern).finditer(text.source, start, end):
            yield "sql", *match.span(), match.expand(new)


def _has_effect(node: ast.stmt, function: str) -> bool:
    """Return whether *node* does something that the function could go on without."""
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()):
            return not any(_is_report(part) for part in (node.value, *expressions(node.value)))
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return function != "__init__"
        case ast.AugAssign():
            return True
    return False


def _is_report(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and not REPORTS.isdisjoint(words(node.func))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that *node* gives, without those that Python or Pydantic looks for."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            names = {node.name}
        case ast.Assign(targets=targets):
            names = {word for target in targets for word in words(target)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            names = {name}
        case _:
            names = set()
    return {name for name in names if name != "model_config" and not name.startswith("__")}


def _own_lines(node: ast.stmt, function: str) -> range:
    """Return the lines of *node* alone, but those of a body too if the header is run at import."""
    _, *nested = (part.lineno for part in ast.walk(node) if isinstance(part, ast.stmt))
    if not nested or (not function and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        return range(node.lineno, node.end_lineno + 1)
    return range(node.lineno, max(min(nested), node.lineno + 1))
