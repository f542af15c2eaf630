"""The pages that are written from config.toml, from the commands' help and from the files' first lines."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

import config
from admin import reference
from admin.__main__ import app

SETTINGS = (config.ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
COMMANDS = (config.ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
FILES = (config.ROOT / "docs" / "files.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", reference.PAGES, ids=str)
def test_each_is_as_it_would_be_written_now(path: Path) -> None:
    assert (config.ROOT / path).read_text(encoding="utf-8") == reference.PAGES[path](), "run `make docs`"


class TestTheSettings:
    def test_are_all_there_with_default_and_meaning(self) -> None:
        values = tomllib.loads((config.ROOT / "config.toml").read_text(encoding="utf-8"))
        defaults = {name: value for name, value in values.items() if not isinstance(value, dict)} | {
            f"{section}.{name}": value
            for section, inner in values.items()
            if isinstance(inner, dict)
            for name, value in inner.items()
        }

        rows = re.findall(r"^\| `([a-z_.]+)` \| `(.+?)` \| \S.*\S \|$", SETTINGS, re.MULTILINE)

        assert {name: tomllib.loads(f"it = {default}")["it"] for name, default in rows} == defaults

    def test_are_all_that_can_be_set(self) -> None:
        """What config.toml does not have is a secret, or read by another part of the program."""
        rows = re.findall(r"^\| `([a-z_.]+)` \|", SETTINGS, re.MULTILINE)
        in_file = {config.PREFIX + name.replace(".", "_").upper() for name in rows}
        variables = set(re.findall(r"^\| `(PUNKTUAL_\w+)` \|", SETTINGS, re.MULTILINE))

        assert in_file.isdisjoint(variables)
        assert in_file | variables | {"PUNKTUAL_CONFIG"} == set(config._variable_names()) | config.OTHER_VARIABLES
        assert "`PUNKTUAL_CONFIG`" in SETTINGS


def commands() -> list[tuple[str, list[str]]]:
    """Each with the names of its arguments and options."""
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for verb, inner in getattr(command, "commands", {"": command}).items():
            parameters = [
                it.opts[0] if it.param_type_name == "option" else it.metavar or it.name for it in inner.params
            ]
            found.append((f"{name} {verb}".strip(), parameters))
    return found


class TestTheCommands:
    @pytest.mark.parametrize(("name", "parameters"), commands(), ids=[name for name, _ in commands()])
    def test_each_is_there_with_its_parameters_and_what_they_mean(self, name: str, parameters: list[str]) -> None:
        [section] = re.findall(rf"^##+ {name}\n\n(\S.+?)(?=^##|\Z)", COMMANDS, re.MULTILINE | re.DOTALL)

        rows = re.findall(r"^\| `(\S+).*?` \| \S.*\S \|$", section, re.MULTILINE)

        assert rows == parameters


def code() -> list[Path]:
    """Every file in the code's folders, except the numbered migrations."""
    folders = [path.parent for path in config.ROOT.glob("[a-z]*/__init__.py") if path.parent.name != "tests"]
    kinds = {".py", ".html", ".svg", ".css", ".js", ".po"}
    found = (
        path.relative_to(config.ROOT)
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in kinds and "node_modules" not in path.parts
    )
    return sorted(path for path in found if path.parent.name != "migrations" or path.name == "__init__.py")


class TestTheFiles:
    def test_each_has_its_line_below_its_folder(self) -> None:
        sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", FILES, re.MULTILINE | re.DOTALL))

        missing = [
            path
            for path in code()
            if not re.search(
                rf"^\| `{re.escape(path.name)}` \| \S.+\. \|$" if path.name != "__init__.py" else r"^\S.+\.$",
                sections.get(str(path.parent), ""),
                re.MULTILINE,
            )
        ]

        assert len(code()) > 150
        assert missing == []

    @pytest.mark.parametrize("folder", ["web", "mail"])
    def test_no_file_of_the_pages_or_of_the_mail_is_of_another_kind(self, folder: str) -> None:
        found = (path for path in (config.ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")

        assert {path.relative_to(config.ROOT) for path in found} <= set(code())

    def test_each_says_in_its_first_line_what_it_is_for(self) -> None:
        assert [path for path in code() if not reference.purpose(config.ROOT / path).endswith(".")] == []
