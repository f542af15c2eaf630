"""A form on a page: what was typed, and what is wrong with it, field by field."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import request
from werkzeug.datastructures import FileStorage

from messages import Message, Said, gettext_noop
from web import words

MISSING = Message(gettext_noop("is missing"))
_ODD = re.compile(r"[^\w.() +-]")
_LONGEST_NAME = 100


@dataclass
class Form:
    values: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, Said] = field(default_factory=dict)  # "": of the form as a whole

    @classmethod
    def sent(cls) -> "Form":
        return cls({name: list(values) for name, values in request.form.lists()})

    @classmethod
    def filled(cls, values: Mapping[str, object]) -> "Form":
        """A form filled in with these values. None: left empty. A list: chosen among several. True: ticked."""
        return cls({name: _typed(value) for name, value in values.items()})

    def get(self, name: str) -> str:
        """The typed value without spaces around it; "" if there is none."""
        return (self.values.get(name) or [""])[0].strip()

    def text(self, name: str) -> str:
        """A long text as it was typed, with line ends as in a file."""
        return (self.values.get(name) or [""])[0].replace("\r\n", "\n").replace("\r", "\n")

    def all(self, name: str) -> Sequence[str]:
        return self.values.get(name, ())

    def ticked(self, name: str) -> bool:
        return bool(self.get(name))

    def number(self, name: str) -> float | str | None:
        """The number, or the text as typed if it is no number. None: nothing was typed."""
        typed = self.get(name).replace("\xa0", "").replace(" ", "").replace(",", ".")
        try:
            found = float(typed)
        except ValueError:
            return self.get(name) or None
        return int(found) if found.is_integer() and abs(found) < 1e15 else found

    def whole(self, name: str) -> int | None:
        """The whole number. None: nothing was typed, or the field is refused because it is no whole number."""
        found = self.number(name)
        if found is None or isinstance(found, int):
            return found
        self.refuse(name, Message(gettext_noop("must be a whole number")))
        return None

    def put(self, name: str, value: str) -> None:
        self.values[name] = [value]

    def refuse(self, name: str, said: Said) -> None:
        """Note what is wrong with a field. Only its first problem is kept."""
        self.problems.setdefault(name, said)

    def problem(self, name: str) -> str:
        """The field's problem in the page's language; "" if there is none."""
        return words.told(self.problems[name]) if name in self.problems else ""

    @property
    def is_right(self) -> bool:
        return not self.problems

    @property
    def status(self) -> int:
        return 200 if self.is_right else 422


def _typed(value: object) -> list[str]:
    match value:
        case None | False:
            return []
        case True:
            return ["yes"]
        case float():
            return [f"{value:g}"]
        case list() | tuple():
            return [str(each) for each in value]
    return [str(value)]


def file(name: str) -> FileStorage | None:
    """The uploaded file. None: none was chosen."""
    found = request.files.get(name)
    return found if found is not None and found.filename else None


def name_of(upload: FileStorage) -> str:
    """The upload's file name without a folder, and without characters that mean something elsewhere."""
    last = re.split(r"[/\\]", upload.filename or "")[-1]
    return _ODD.sub("_", last)[-_LONGEST_NAME:].lstrip(". ") or "file"


@contextmanager
def on_disk(name: str, content: bytes) -> Iterator[Path]:
    """A file of this name in a folder of its own, which is gone afterwards."""
    with TemporaryDirectory(prefix="punktual-") as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path
