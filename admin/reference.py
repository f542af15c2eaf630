"""`python -m admin.reference`: writes docs/settings.md, docs/commands.md and docs/files.md from their sources."""

import ast
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import typer
from typer.core import TyperGroup
from typer.main import get_command

import config
from admin.__main__ import app

_WRITTEN = "<!-- Written by `make docs` from {source}. Change it there. -->"
_SETTING = re.compile(r"(?P<name>\w+) = (?P<default>.+?)\s+# (?P<meaning>.+)")
_SECRET = re.compile(r"#   (?P<name>[A-Z_]+)\s+(?P<meaning>.+)")


def settings() -> str:
    lines = (config.ROOT / "config.toml").read_text(encoding="utf-8").splitlines()
    return "\n".join([*_introduction(lines), *_secrets(lines), *_sections(lines)]) + "\n"


def _introduction(lines: list[str]) -> Iterator[str]:
    yield from ("# Settings", "", _WRITTEN.format(source="config.toml"), "")
    yield "Settings are in [`config.toml`](../config.toml). `python -m admin config` prints those in force."
    yield "An environment variable overrides each of them: `section.key` is `PUNKTUAL_SECTION_KEY`, for instance"
    yield "`PUNKTUAL_DATABASE_URL`. `PUNKTUAL_CONFIG` names a file of your own with only the settings that differ: what"
    yield "it leaves out is as in `config.toml`. An unknown setting, a wrong type or a contradiction stops the start"
    yield "with one line that says which."


def _secrets(lines: list[str]) -> Iterator[str]:
    yield from ("", "## Secrets", "", "Secrets come from the environment only.", "")
    yield from ("| variable | meaning |", "|---|---|")
    yield from (f"| `{found['name']}` | {found['meaning']} |" for line in lines if (found := _SECRET.fullmatch(line)))


def _sections(lines: list[str]) -> Iterator[str]:
    yield from _section("general")
    prefix = ""
    for line in lines:
        if found := re.fullmatch(r"\[(\w+)\]", line):
            yield from _section(found[1])
            prefix = f"{found[1]}."
        elif found := _SETTING.fullmatch(line):
            yield f"| `{prefix}{found['name']}` | `{found['default']}` | {found['meaning']} |"


def _section(name: str) -> tuple[str, ...]:
    return ("", f"## {name}", "", "| setting | default | meaning |", "|---|---|---|")


def commands() -> str:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    lines = ["# Commands", "", _WRITTEN.format(source="the help of each command, in admin/"), ""]
    lines += [
        "Run each as `python -m admin …` in the checkout, with `.venv` active. Each has `--help`. Commands that read",
        "have `--json`. A refused command changes nothing, prints one line and exits with status 1.",
    ]
    for name, command in sorted(group.commands.items(), key=lambda it: not isinstance(it[1], TyperGroup)):
        lines += ["", f"## {name}", *_command(group, name)]
        if isinstance(command, TyperGroup):
            for verb in command.commands:
                lines += ["", f"### {name} {verb}", *_command(command, verb)]
    return "\n".join(lines) + "\n"


def _command(group: TyperGroup, name: str) -> Iterator[str]:
    command = group.commands[name]
    rows = [found for each in command.params if (found := each.get_help_record(typer.Context(command)))]
    yield from ("", command.help or "")
    if rows:
        yield from ("", "| argument or option | meaning |", "|---|---|")
        yield from (f"| `{_cell(each)}` | {_cell(help)} |" for each, help in rows)


def files() -> str:
    lines = ["# Files", "", _WRITTEN.format(source="the first paragraph or comment of each file"), ""]
    lines += ["What each file of the code is for. Tests have the same folders and names."]
    for folder, found in groupby(_sources(), key=lambda path: path.parent):
        lines += _folder(folder.relative_to(config.ROOT), list(found))
    return "\n".join(lines) + "\n"


_KINDS = {".py", ".html", ".svg", ".css", ".js", ".po"}
_NOT_OURS = "node_modules"  # npm packages for the benchmark


def _sources() -> Iterator[Path]:
    """All files of the code by folder, without the migrations and the tests."""
    yield from sorted(config.ROOT.glob("*.py"))
    for package in sorted(config.ROOT.glob("[a-z]*/__init__.py")):
        if package.parent.name != "tests":
            found = (
                path for path in package.parent.rglob("*") if path.suffix in _KINDS and _NOT_OURS not in path.parts
            )
            yield from sorted((it for it in found if not it.stem[0].isdigit()), key=lambda path: (path.parent, path))


def _folder(name: Path, found: list[Path]) -> Iterator[str]:
    yield from ("", f"## {'root' if name == Path() else name}")
    if package := next((path for path in found if path.name == "__init__.py"), None):
        yield from ("", purpose(package))
    if rows := [path for path in found if path != package]:
        yield from ("", "| file | what it is for |", "|---|---|")
        yield from (f"| `{path.name}` | {_cell(purpose(path))} |" for path in rows)


def purpose(path: Path) -> str:
    """A module's first paragraph, or the comment in another file's first line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return " ".join((ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0].split())
    found = re.match(r"(?:\{#|<!--|/\*|//|#) (.+?)(?: -?#\}| -->| \*/)?\n", text)
    return found[1] if found else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES = {Path("docs/settings.md"): settings, Path("docs/commands.md"): commands, Path("docs/files.md"): files}


def main() -> None:
    for path, page in PAGES.items():
        (config.ROOT / path).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
