"""The README says what the code does."""

import re
import tomllib

from typer.main import get_command

import config
from admin.__main__ import app
from models.email.states import PATHS, Move, Status

README = (config.ROOT / "README.md").read_text(encoding="utf-8")


def test_the_diagram_shows_every_move_and_no_other() -> None:
    drawn = set(re.findall(r"^    (\S+) --> (\w+): (\w+)$", README, re.MULTILINE))

    moves = {
        (source, target, move)
        for move, path in PATHS.items()
        for source in (path.sources or {"[*]"})
        for target in path.targets
    }

    assert drawn == {(str(source), str(target), str(move)) for source, target, move in moves}


def test_it_explains_every_status() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| [a-z]", README, re.MULTILINE)) >= set(Status)
    assert set(Move) == set(PATHS)


def test_it_lists_every_setting_with_its_default_and_why() -> None:
    section, expected = "", []
    for line in (config.ROOT / "config.toml").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\[(\w+)\]", line):
            section = f"{found[1]}."
        elif found := re.match(r"(\w+) = (.+?)\s+# (.+)", line):
            expected.append(f"| `{section}{found[1]}` | `{found[2]}` | {found[3]} |")

    assert expected == [line for line in README.splitlines() if line in set(expected)]
    assert expected


def test_it_names_every_command_of_the_admin_script() -> None:
    [listed] = re.findall(r"^All commands: (.+?)\. Each has", README, re.MULTILINE | re.DOTALL)
    commands = get_command(app).commands  # type: ignore[attr-defined]

    named = set(re.findall(r"`([^`]+)`", listed))
    actual = {
        f"{name} {'|'.join(command.commands)}" if hasattr(command, "commands") else name
        for name, command in commands.items()
    }

    assert {frozenset(re.split(r"[ |]", each)) for each in named} == {
        frozenset(re.split(r"[ |]", each)) for each in actual
    }


def test_it_names_every_make_target_that_it_uses() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (config.ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_its_campaign_file_is_a_valid_one() -> None:
    from admin.input.campaign_file import CampaignFile

    [text] = re.findall(r"```toml\n(.+?)```", README, re.DOTALL)
    values = tomllib.loads(text)
    values["text"] = "the file's content"

    assert CampaignFile(**values).name == "Autumn"


def test_every_folder_is_in_the_layout() -> None:
    layout = README[README.index("## Layout") :]
    folders = {path.parent.name for path in config.ROOT.glob("[a-z]*/__init__.py")}

    assert all(f"`{folder}/`" in layout for folder in folders)
