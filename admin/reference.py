"""`python -m admin.reference`: writes docs/settings.md from config.toml, and docs/commands.md from the help texts."""

import re
from collections.abc import Iterator
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
    yield "`PUNKTUAL_DATABASE_URL`. `PUNKTUAL_CONFIG` names another settings file. An unknown setting, a wrong type"
    yield "or a contradiction stops the start with one line that says which."


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


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES = {Path("docs/settings.md"): settings, Path("docs/commands.md"): commands}


def main() -> None:
    for path, page in PAGES.items():
        (config.ROOT / path).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
