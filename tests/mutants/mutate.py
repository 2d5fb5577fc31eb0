"""Every small change that a source file allows, as an edit of its text."""

import ast
import re
from dataclasses import dataclass
from itertools import accumulate, pairwise

REPORTS = {"log", "metrics", "_metrics"}
"""A call of one of these tells what happened and decides nothing: it stays as it is."""

OPERATORS = {
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

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Statement:
    """A statement; *lines* are those of its own, without the statements nested in it.

    *function* is the one that it stands in. Without one it is run at import, and *names* are what
    it defines, or else what it stands in does.
    """

    node: ast.stmt
    lines: range
    names: frozenset
    function: str


@dataclass(frozen=True)
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

    def apply(self, source):
        return source[: self.start] + self.new + source[self.end :]


def mutate(path, source):
    """Yield every mutant of the file at *path*."""
    text = Text(source)
    for statement in statements(ast.parse(source)):
        for kind, (start, end), new in _edits(statement, text):
            line = source.count("\n", 0, end - len(source[start:end].lstrip())) + 1
            first, last = source.rfind("\n", 0, start) + 1, source.find("\n", end)
            before, after, diff = (
                " ".join((source[first:start] + middle + source[end:last]).split())
                for middle in (source[start:end], new, f"{{{source[start:end]} → {new}}}")
            )
            yield Mutant(path, kind, start, end, new, line, before, after, diff, statement)


def statements(node, names=frozenset(), function=""):
    """Yield all statements in *node*."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt):
            yield from statements(child, names, function)
            continue
        defined = frozenset() if function else _defined(child) or names
        yield Statement(child, _own_lines(child, function), defined, function)
        inner = child.name if isinstance(child, FUNCTION) else function
        yield from statements(child, defined, inner)


def expressions(node, *, changeable=False):
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


def words(node):
    """Return every name and attribute in *node*."""
    parts = [node, *expressions(node)]
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    return names | {part.attr for part in parts if isinstance(part, ast.Attribute)}


def _defined(node):
    """Return the names that *node* gives, without those that Python or Pydantic looks for."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            names = {name}
        case ast.AnnAssign(target=ast.Name(id=name)):
            names = {name}
        case ast.Assign(targets=targets):
            names = set().union(*map(words, targets))
        case _:
            names = set()
    return frozenset(name for name in names if name != "model_config" and name[:2] != "__")


def _own_lines(node, function):
    """Return the lines of *node* alone, but those of a body too if the header is run at import."""
    _, *nested = (part.lineno for part in ast.walk(node) if isinstance(part, ast.stmt))
    if not nested or (not function and isinstance(node, FUNCTION)):
        return range(node.lineno, node.end_lineno + 1)
    return range(node.lineno, max(min(nested), node.lineno + 1))


class Text:
    """A source text, and where a node stands in it: `ast` counts the bytes of a line."""

    def __init__(self, source):
        self.source = source
        self._lines = source.splitlines(keepends=True)
        self._starts = [0, *accumulate(map(len, self._lines))]

    def span(self, node):
        """Return where *node* begins and ends."""
        ends = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
        return tuple(
            self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())
            for line, column in ends
        )

    def between(self, left, right, operator):
        """Return where the operator between two operands begins and ends."""
        between = self.span(left)[1], self.span(right)[0]
        return re.compile(operator).search(self.source, *between).span()


def _edits(statement, text):
    """Yield the changes of *statement*: their kind, where the old text stands, the new text."""
    node = statement.node
    match node:
        case ast.Assert() | ast.Expr(value=ast.Constant()):  # or a docstring
            return
        case ast.Expr(value=ast.Call() | ast.Await() as call):
            is_needless = not any(map(_is_report, (call, *expressions(call))))
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            is_needless = statement.function != "__init__"
        case _:
            is_needless = isinstance(node, ast.AugAssign)
    if is_needless:
        yield "delete", text.span(node), "pass"
    for part in (node, *expressions(node, changeable=True)):
        yield from _edits_of(part, text)


def _edits_of(node, text):  # noqa: C901, PLR0912 - a table
    match node:
        case ast.Compare():
            operands = pairwise([node.left, *node.comparators])
            for operator, (left, right) in zip(node.ops, operands, strict=True):
                old, new = OPERATORS[type(operator)]
                yield "compare", text.between(left, right, old), new
        case ast.BoolOp():
            old, new = OPERATORS[type(node.op)]
            for left, right in pairwise(node.values):
                yield "and/or", text.between(left, right, old), new
        case ast.If(test=test) | ast.IfExp(test=test) | ast.match_case(guard=ast.expr() as test):
            yield "condition", text.span(test), "True"
            yield "condition", text.span(test), "False"
        case ast.While(test=test) if not isinstance(test, ast.Constant):
            yield "condition", text.span(test), "False"
        case ast.comprehension():
            for test in node.ifs:
                yield "filter", text.span(test), "True"
        case ast.UnaryOp(op=ast.Not()):
            start, _ = text.span(node)
            yield "not", (start, start + len("not")), ""
        case ast.Return(value=None | ast.Constant(value=None | True | False)):
            pass
        case ast.Return(value=value):
            yield "return", text.span(value), "None"
        case ast.Constant(value=bool(value)):
            yield "constant", text.span(node), str(not value)
        case ast.Constant(value=int(value)):
            for number in (value + 1, value - 1) if value < LARGE else (2 * value,):
                yield "constant", text.span(node), str(number)
        case ast.Constant(value=str()) | ast.JoinedStr() if SQL.search(
            text.source, *text.span(node)
        ):
            for pattern, new in SQL_SWAPS:
                for match in re.compile(pattern).finditer(text.source, *text.span(node)):
                    yield "sql", match.span(), match.expand(new)


def _is_report(node):
    return isinstance(node, ast.Call) and not REPORTS.isdisjoint(words(node.func))
