"""The documents name what exists."""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from typer.main import get_command

import config
from actors import tick
from admin.__main__ import app
from ops.watch import metrics
from ops.watch.metrics import State

PAGES = [config.ROOT / "README.md", *sorted((config.ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (config.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def commands() -> dict[str, Any]:
    found: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return found


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
class TestEachPage:
    def test_links_to_what_exists(self, page: Path) -> None:
        links = [it for it in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")) if "://" not in it]

        for link in links:
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link

    def test_names_commands_and_options_that_there_are(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"python -m admin ([a-z-]+)(?: ([a-z][a-z-]*\b))?([^`\n#]*)", text)

        for name, verb, rest in named:
            command = commands()[name]
            if hasattr(command, "commands") and verb:
                command = command.commands[verb]
            options = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"(--[a-z-]+)", rest)) <= options

    def test_names_make_targets_that_there_are(self, page: Path) -> None:
        assert set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= TARGETS

    def test_can_be_reached_from_the_readme(self, page: Path) -> None:
        assert page.name == "README.md" or f"](docs/{page.name})" in PAGES[0].read_text(encoding="utf-8")


RELIABILITY = (config.ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)+)`", RELIABILITY)))


def test_they_name_tests() -> None:
    assert len(NAMED) > 30


def test_each_named_test_exists() -> None:
    assert [name for name in NAMED if not exists(*name.split("::"))] == []


def exists(file: str, *path: str) -> bool:
    here = code(file)
    for step in path:
        inside = {it.name: it for it in ast.iter_child_nodes(here) if isinstance(it, ast.ClassDef | ast.FunctionDef)}
        if step not in inside:
            return False
        here = inside[step]
    return True


@cache
def code(file: str) -> ast.AST:
    return ast.parse((config.ROOT / file).read_text(encoding="utf-8"))


METRICS = (config.ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^\| `(punktual_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", METRICS, re.MULTILINE)


def declared() -> Iterator[tuple[str, str, str, str]]:
    for it in vars(metrics).values():
        if isinstance(it, State):
            yield it.name, "gauge", labels(it.labels), it.help
        if isinstance(it, MetricWrapperBase):
            [family] = it.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield name, family.type, labels(it._labelnames), family.documentation


def labels(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def test_each_step_of_the_tick_is_listed() -> None:
    [row] = re.findall(r"^\| `step` \|.*$", METRICS, re.MULTILINE)

    assert re.findall(r"`(\w+)`", row)[1:] == list(dict.fromkeys(step.__name__ for step in tick.STEPS))


def test_each_metric_is_listed_as_it_is_declared() -> None:
    assert sorted(LISTED) == sorted(declared())
