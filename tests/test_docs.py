"""The documents name what exists."""

import ast
import re
from collections.abc import Iterator, Sequence

import pytest
from prometheus_client.metrics import MetricWrapperBase

import config
from actors import tick
from ops.watch import metrics
from ops.watch.metrics import State

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
