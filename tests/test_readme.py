"""The README says what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

import config
from models.states import PATHS, Move, Status
from tests.test_architecture import ALLOWED

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


def test_its_campaign_file_is_a_valid_one() -> None:
    from intake.campaign_file import CampaignFile

    [text] = re.findall(r"```toml\n(.+?)```", README, re.DOTALL)
    values = tomllib.loads(text)
    values["text"] = "the file's content"

    assert CampaignFile(**values).name == "Autumn"


LAYOUT = README[README.index("## Layout") :]
FOLDERS = [
    path.parent.relative_to(config.ROOT)
    for path in sorted(config.ROOT.glob("[a-z]*/**/__init__.py"))
    if path.parent.name != "migrations"
]


@pytest.mark.parametrize("folder", [it for it in FOLDERS if it.parts[0] not in ("bench", "tests")], ids=str)
class TestEachFolder:
    def test_is_in_the_layout(self, folder: Path) -> None:
        assert f"| `{folder}/` |" in LAYOUT

    def test_is_below_those_that_it_imports(self, folder: Path) -> None:
        listed = [place.replace("/", ".") for place in re.findall(r"^\| `([a-z/]+)/` \|", LAYOUT, re.MULTILINE)]
        here = ".".join(folder.parts)
        # A folder without rules of its own has those of the one above it.
        wanted = [room for room in ALLOWED.get(here, ALLOWED[folder.parts[0]]) if room in listed]

        assert [room for room in wanted if listed.index(room) > listed.index(here)] == []


def test_the_layout_names_only_what_exists() -> None:
    places = [
        name for row in re.findall(r"^\| (`.+?`) \|", LAYOUT, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    ]
    files = [place for place in places if not place.startswith("make ")]

    assert len(files) > 25
    assert [place for place in files if not (config.ROOT / place).exists()] == []


@pytest.mark.parametrize("name", ["tests", "docs", "examples"])
def test_what_is_no_code_is_in_the_layout_too(name: str) -> None:
    assert f"`{name}/`" in LAYOUT
