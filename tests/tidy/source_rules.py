"""Rules about the source that no linter checks for us. Each takes text and returns offences."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

FUNCTION_LINES_MAX = 50
FILE_LINES_MAX = 400

BANNED = re.compile(
    r"datetime\.(datetime|date)\.(now|utcnow|today)|time\.\w+|random\.(?!Random\b)\w+"
    r"|uuid\.\w+|os\.urandom|secrets\.\w+"
)
"""What would bring in time or chance that nobody passed as an argument."""

ORDER_FREE = ("sorted", "set", "frozenset", "any", "all", "min", "max", "len")
"""Calls whose answer does not depend on the order of what they are given."""

URL = re.compile(r"https?:|git\+|\s@\s|--(extra-)?index-url|--find-links|file:")


def long_functions(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"


def long_file(text: str) -> Iterator[str]:
    lines = len(text.splitlines())
    if lines > FILE_LINES_MAX:
        yield f"1: {lines} lines, at most {FILE_LINES_MAX}"


def prints(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "print":
            yield f"{node.lineno}: print() is for nobody"


def set_iterations(tree: ast.Module) -> Iterator[str]:
    """Places where the order of a set, which differs from run to run, becomes an order of ours."""
    free: set[ast.AST] = set()
    for node in ast.walk(tree):  # breadth first: parents come before their children
        if isinstance(node, ast.Call) and _name(node.func) in ORDER_FREE:
            free.update(node.args)
        iterables: list[ast.expr] = []
        if isinstance(node, ast.For):
            iterables = [node.iter]
        elif isinstance(node, ast.ListComp | ast.DictComp | ast.GeneratorExp):
            iterables = [] if node in free else [g.iter for g in node.generators]
        elif isinstance(node, ast.Call) and _name(node.func) in ("list", "tuple"):
            iterables = [] if node in free else node.args[:1]
        for iterable in iterables:
            if _is_set(iterable):
                yield f"{iterable.lineno}: a set is iterated; sort it first"


def impure_names(tree: ast.Module) -> Iterator[str]:
    """Uses of clocks and chance, by whatever name they were imported."""
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                imported[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            head, _, rest = _name(node).partition(".")
            if head not in imported:
                continue
            full = imported[head] + (f".{rest}" if rest else "")
            if BANNED.fullmatch(full):
                yield f"{node.lineno}: {full} in a pure module"


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Modules, and public classes that do something, open with a sentence.

    A record whose fields say it all needs none.
    """
    if tree.body and not _is_sentence(ast.get_docstring(tree)):
        yield "1: the module does not open with a sentence"
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        doc = ast.get_docstring(node)
        acts = any(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body)
        if (doc is None and acts) or (doc is not None and not _is_sentence(doc)):
            yield f"{node.lineno}: {node.name} does not open with a sentence"


def comments(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if re.search(r"type:\s*ignore(?!\[)", token.string):
            yield f"{token.start[0]}: type: ignore without a code"
        if re.search(r"\b(TODO|FIXME|XXX)\b", token.string):
            yield f"{token.start[0]}: unfinished: {token.string}"


def urls(lock: str) -> Iterator[str]:
    for number, line in enumerate(lock.splitlines(), 1):
        if URL.search(line):
            yield f"{number}: the lock names a place: {line.strip()}"


def offences(text: str, *, pure: bool) -> list[str]:
    """All that is wrong with one Python file of ours."""
    tree = ast.parse(text)
    found = [*long_file(text), *long_functions(tree), *prints(tree), *set_iterations(tree)]
    found += [*undocumented(tree), *comments(text)]
    return found + (list(impure_names(tree)) if pure else [])


def _name(node: ast.expr) -> str:
    """`a.b.c` of a chain of attributes; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _name(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(
        node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor
    ):
        return _is_set(node.left) or _is_set(node.right)
    called = isinstance(node, ast.Call) and _name(node.func) in ("set", "frozenset")
    return called or isinstance(node, ast.Set | ast.SetComp)


def _is_sentence(doc: str | None) -> bool:
    return doc is not None and doc.split("\n\n")[0].rstrip().endswith((".", ":", "?"))
