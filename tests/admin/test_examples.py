"""Each command that wants something has an example in its help, which its own parser takes; the Tab key completes."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from admin.__main__ import app
from tests.forking import admin


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


ALL = dict(commands(get_command(app)))


def wants_nothing(command: Any) -> bool:
    return all(it.name in ("help", "json", "yes") for it in command.params)


@pytest.mark.parametrize("names", [it for it, command in ALL.items() if len(it) > 1 and not wants_nothing(command)])
def test_a_command_that_wants_something_shows_an_example_that_it_takes(names: tuple[str, ...]) -> None:
    found = re.search(r"Example: (python -m admin .*)$", ALL[names].help or "", re.DOTALL)

    assert found, names
    words = shlex.split(found[1].partition(" >")[0])[3:]
    assert tuple(words[: len(names)]) == names
    ALL[names].make_context(names[-1], words[len(names) :])


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("punktual camp", "campaign"), ("punktual campaign pre", "preview"), ("punktual campaign forecast --a", "--all")],
)
def test_the_shells_function_completes(tmp_path: Path, typed: str, completed: str) -> None:
    script = tmp_path / "completion.sh"
    script.write_text(admin("completion", "bash").stdout)
    asked = (
        f'source {script}; COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _punktual; echo "$COMPREPLY"'
    )

    answered = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert answered.stdout == f"{completed}\n"
