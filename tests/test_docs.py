"""The documents name what exists."""

import ast
import re

import pytest

import config

RELIABILITY = (config.ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)+)`", RELIABILITY)))


def test_they_name_tests() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize("name", NAMED)
def test_each_named_test_exists(name: str) -> None:
    file, *path = name.split("::")
    here: ast.Module | ast.stmt = ast.parse((config.ROOT / file).read_text(encoding="utf-8"))

    for step in path:
        inside = {it.name: it for it in ast.iter_child_nodes(here) if isinstance(it, ast.ClassDef | ast.FunctionDef)}
        assert step in inside
        here = inside[step]
