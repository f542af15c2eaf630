"""Who may import whom, and a few promises of the layout that a reader relies on."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import config

# Rooms of their own within another: what decides and does nothing.
WITHIN = {
    "scheduling.window": "scheduling (pure)",
    "scheduling.planner": "scheduling (pure)",
    "scheduling.sharing": "scheduling (pure)",
    "scheduling.backoff": "scheduling (pure)",
    "mail.address": "mail (addresses)",
}
# Each room -> the rooms that its files may import.
ALLOWED: dict[str, set[str]] = {
    "bounds": set(),
    "faults": {"bounds"},
    "config": {"bounds", "faults"},
    "clock": set(),
    "mail": {"config", "clock", "mail (addresses)"},
    "mail (addresses)": set(),
    "models": {"bounds", "config", "clock", "scheduling (pure)"},
    "scheduling (pure)": set(),
    "scheduling": {"config", "clock", "models", "actors", "ops", "scheduling (pure)"},
    "actors": {"config", "clock", "mail", "mail (addresses)", "models", "ops", "scheduling", "scheduling (pure)"},
    "admin": {
        "bounds",
        "faults",
        "config",
        "clock",
        "mail",
        "mail (addresses)",
        "models",
        "ops",
        "actors",
        "scheduling (pure)",
    },
    "ops": {"config", "clock", "models"},
    "web": {"bounds", "faults", "config", "clock", "mail (addresses)", "models", "ops", "scheduling (pure)"},
}
OURS = {"actors", "admin", "bounds", "clock", "config", "faults", "mail", "models", "ops", "scheduling", "web"}


def files() -> list[Path]:
    found = [path for room in sorted(OURS) for path in (config.ROOT / room).rglob("*.py")]
    return [*(config.ROOT / f"{name}.py" for name in ("bounds", "clock", "config", "faults")), *found]


def module(path: Path) -> str:
    return ".".join(path.relative_to(config.ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(name: str) -> str:
    return WITHIN.get(name, name.split(".")[0])


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in WITHIN else node.module for name in inner)


@pytest.mark.parametrize("path", files(), ids=module)
class TestEveryFile:
    def test_imports_only_the_rooms_that_it_may(self, path: Path) -> None:
        here = room(module(path))
        rooms = {room(name) for name in imports(path) if name.split(".")[0] in OURS}

        assert rooms - {here} <= ALLOWED[here]

    def test_opens_with_what_it_owns(self, path: Path) -> None:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))

    def test_leaves_sql_to_the_models(self, path: Path) -> None:
        if room(module(path)) != "models":
            assert not {"peewee", "psycopg2", "playhouse"} & {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("name", sorted(OURS))
def test_no_name_at_the_root_hides_one_of_the_standard_library(name: str) -> None:
    assert name not in sys.stdlib_module_names


def test_nothing_is_called_after_what_it_is_not() -> None:
    vague = {"utils", "common", "helpers", "services", "manager"}

    assert not {path.stem for path in files()} & vague


def test_the_locks_hold_hashes_and_no_registry() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        lines = (config.ROOT / lock).read_text().splitlines()
        pinned = [line for line in lines if "==" in line]
        assert pinned
        assert all(line.endswith("\\") for line in pinned)
        assert not [line for line in lines if "://" in line or line.startswith(("-i", "--index", "--extra", "--find"))]
