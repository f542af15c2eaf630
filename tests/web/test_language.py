"""Whether all that people are told can be told in Polish."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

import config
from models.planning import plans
from models.states import Move, Status
from reasons import Code
from web import words
from web.language import CATALOGUES

Id = str | tuple[str, ...]

KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "gettext_noop": None}
PLACEHOLDER = re.compile(r"%\((\w+)\)[.\d]*([a-z])|\{(\w+)\}")
POLISH = CATALOGUES / "pl" / "LC_MESSAGES" / "messages.po"


def sources() -> Iterator[tuple[str, Path]]:
    yield from (("jinja2", path) for path in sorted((config.ROOT / "web" / "templates").iterdir()))
    yield from (("python", config.ROOT / f"{name}.py") for name in ("bounds", "faults", "messages", "reasons"))
    for folder in ("web", "models", "mail", "intake", "logins"):
        yield from (("python", path) for path in sorted((config.ROOT / folder).rglob("*.py")))


def messages() -> dict[Id, str]:
    """Each message that the pages or the models say -> where."""
    found: dict[Id, str] = {}
    for method, path in sources():
        for line, message, _, _ in extract_from_file(method, path, keywords=KEYWORDS):
            found.setdefault(message, f"{path.relative_to(config.ROOT)}:{line}")
    return found


def polish() -> Catalog:
    with POLISH.open("rb") as file:
        return read_po(file, locale="pl")


def texts(message: Message) -> list[str]:
    return (
        [text or "" for text in message.string] if isinstance(message.string, (tuple, list)) else [message.string or ""]
    )


def placeholders(text: str) -> list[tuple[str, ...]]:
    return sorted(set(PLACEHOLDER.findall(text)))


def test_every_message_has_its_polish() -> None:
    said, found = messages(), polish()
    without = [where for id, where in said.items() if id not in found or found[id].fuzzy or not all(texts(found[id]))]

    assert len(said) > 200
    assert without == []


def test_what_refuses_a_person_is_noted_so_that_it_is_among_them() -> None:
    keywords = {"abort": (2,), "HTTPError": (2,)}
    to_people = [path for method, path in sources() if method == "python" and path.name != "api.py"]

    assert [found for path in to_people for found in extract_from_file("python", path, keywords=keywords)] == []


def test_a_translation_keeps_the_placeholders() -> None:
    for entry in polish():
        wanted = placeholders(entry.id if isinstance(entry.id, str) else entry.id[1])
        assert [placeholders(text) for text in texts(entry) if entry.id] == [wanted for _ in texts(entry) if entry.id]


def test_nothing_is_translated_that_nobody_says() -> None:
    said = messages()

    assert [entry.id for entry in polish() if entry.id and entry.id not in said] == []


def test_the_catalogue_is_in_order() -> None:
    ids = [entry.id if isinstance(entry.id, str) else entry.id[0] for entry in polish()]

    assert ids == sorted(ids)


def test_plurals_have_the_three_forms_of_polish() -> None:
    found = polish()

    assert found.num_plurals == 3
    assert {len(texts(entry)) for entry in found if entry.pluralizable} == {3}


@pytest.mark.parametrize(
    ("said", "called"),
    [
        (Status, words.STATUSES),
        (Status, words.MEANINGS),
        (Status, words.COUNTS),
        (Move, words.MOVES),
        (plans.REASONS, Code),
    ],
)
def test_what_the_models_write_into_rows_has_a_name_on_the_pages(said: Iterable[str], called: Iterable[str]) -> None:
    assert set(said) - set(called) == set()
