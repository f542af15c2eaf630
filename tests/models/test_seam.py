"""Where rows become typed: queries of several columns are read into types by name, never by position."""

import ast
from collections.abc import Iterator

import pytest

import config

FETCHING = {"fetch", "fetch_row"}


def fetches(node: ast.AST) -> bool:
    return any(
        isinstance(it, ast.Call) and isinstance(it.func, ast.Name) and it.func.id in FETCHING for it in ast.walk(node)
    )


def by_position(tree: ast.AST) -> Iterator[int]:
    """The lines where several columns of a row are read by their position."""
    for node in ast.walk(tree):
        source: ast.expr
        match node:
            case ast.For(target=target, iter=source) | ast.comprehension(target=target, iter=source):
                taken = fetches(source) and isinstance(target, ast.Tuple) and len(target.elts) > 1
            case ast.ListComp(elt=source, generators=[ast.comprehension(target=ast.Name(), iter=read)]) if fetches(
                read
            ):
                taken = any(isinstance(it, ast.Starred) for it in ast.walk(source))
            case ast.Assign(targets=[target], value=source):
                inner = [it for it in ast.walk(target) if isinstance(it, ast.Tuple) and len(it.elts) > 1]
                taken = isinstance(source, ast.Call | ast.Subscript) and fetches(source) and bool(inner)
            case ast.Call(func=ast.Name(id="dict" | "set")):
                taken = any(isinstance(it, ast.Call) and fetches(it) for it in node.args)
            case ast.Call():
                taken = any(isinstance(it, ast.Starred) and fetches(it) for it in node.args)
            case _:
                taken = False
        if taken:
            yield getattr(node, "lineno", 0) or source.lineno


def test_no_model_reads_several_columns_by_their_position() -> None:
    paths = [path for path in (config.ROOT / "models").rglob("*.py") if "migrations" not in path.parts]

    found = {path: list(by_position(ast.parse(path.read_text()))) for path in paths}

    assert len(paths) > 50
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        "for a, b in fetch(Q): pass",
        "x = [a for a, *_ in fetch(Q)]",
        "x = {a: b for a, b in fetch(Q)}",
        "a, b = fetch(Q)[0]",
        "[(a, b)] = fetch(Q)",
        "x = dict(fetch(Q))",
        "x = set(fetch(Q))",
        "x = f(*fetch(Q)[0])",
        "x = [f(*row) for row in fetch(Q)]",
    ],
)
def test_a_read_by_position_is_noticed(code: str) -> None:
    assert list(by_position(ast.parse(code)))
