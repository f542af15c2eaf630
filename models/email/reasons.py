"""What people are told, kept apart from what is filled in: a page may say it in another language."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from scheduling.window import WARSAW


def warsaw(at: datetime) -> str:
    return f"{at.astimezone(WARSAW):%a %Y-%m-%d %H:%M:%S}"


@dataclass(frozen=True)
class Sentence:
    """text: in English, with %(name)s where a value goes.

    Values are moments, numbers, what people and servers said, which stays as it is, and sentences: also a word of ours.
    """

    text: str
    values: Mapping[str, object]

    def __str__(self) -> str:
        return self.say()

    def say(self, translate: Callable[[str], str] = str, moment: Callable[[datetime], str] = warsaw) -> str:
        return translate(self.text) % {name: _filled(value, translate, moment) for name, value in self.values.items()}


def said(text: str, **values: object) -> Sentence:
    return Sentence(text, values)


def _filled(value: object, translate: Callable[[str], str], moment: Callable[[datetime], str]) -> object:
    match value:
        case Sentence():
            return value.say(translate, moment)
        case datetime():
            return moment(value)
    return value
