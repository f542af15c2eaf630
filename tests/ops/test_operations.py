"""The page for whoever runs it says what there is."""

import re

from typer.main import get_command

import config
from admin.__main__ import app

OPERATIONS = (config.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_it_leads_to_headings_that_there_are() -> None:
    headings = re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    wanted = set(re.findall(r"\]\(#([\w-]+)\)", OPERATIONS))

    assert wanted
    assert wanted <= anchors


def test_it_names_commands_and_options_that_there_are() -> None:
    named = re.findall(r"python -m admin ([a-z-]+)(?: ([a-z]+\b))?([^`\n#]*)", OPERATIONS)

    assert named
    for name, verb, rest in named:
        command = get_command(app).commands[name]  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            command = command.commands[verb]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(--[a-z-]+)", rest)) <= options
