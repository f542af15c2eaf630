"""A message for people that is shown and not stored: an English template and its values, which pages translate."""

from collections.abc import Callable, Mapping
from datetime import datetime


def gettext_noop(text: str) -> str:
    """Mark a text for the translation catalogues; it is translated where it is shown."""
    return text


class Message:
    """A text to translate: a template and its values. %(name)s stands for a value, which may be a message too."""

    template: str
    values: Mapping[str, object]

    def __init__(self, template: str, **values: object) -> None:
        self.template, self.values = template, values

    def __str__(self) -> str:
        """The text in English."""
        return self.text(str, str)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and (self.template, self.values) == (other.template, other.values)

    def __hash__(self) -> int:
        return hash(self.template)

    def text(self, translate: Callable[[str], str], moment: Callable[[datetime], str]) -> str:
        """Translate the template and fill in its values. moment: formats a time."""
        return translate(self.template) % filled(self.values, translate, moment)


class Number(Message):
    """A number formatted for people, without an exponent; in English 1,000,000 and 0.001."""

    def __init__(self, number: float) -> None:
        super().__init__("%(number)s", number=int(number) if number == round(number) else number)

    def text(self, translate: Callable[[str], str], moment: Callable[[datetime], str]) -> str:
        separators = str.maketrans({",": translate(_THOUSANDS), ".": translate(_POINT)})
        return f"{self.values['number']:,}".translate(separators)


_THOUSANDS, _POINT = gettext_noop(","), gettext_noop(".")

Said = Message | str


def filled(
    values: Mapping[str, object], translate: Callable[[str], str], moment: Callable[[datetime], str]
) -> dict[str, object]:
    return {
        name: it.text(translate, moment) if isinstance(it, Message) else moment(it) if isinstance(it, datetime) else it
        for name, it in values.items()
    }


def of(failure: Exception) -> Said:
    """What an exception says."""
    return failure.args[0] if failure.args and isinstance(failure.args[0], Message) else str(failure)
