"""Validation errors of pydantic models and TOML files, in our own words.

Sentences of pydantic and tomllib are not shown: they are about types and parsers, and change between versions.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, ValidationError

import messages
from bounds import Bounds
from messages import Message, Number, Said, gettext_noop


class TomlInvalid(Exception):
    """The text is not valid TOML."""

    def __init__(self, line: int, because: Message) -> None:
        super().__init__(Message(gettext_noop("line %(line)d: %(problem)s"), line=line, problem=because))


class Fault(NamedTuple):
    """What is wrong with one value. place: the path to it, outermost name first."""

    place: tuple[str, ...]
    kind: str  # pydantic's error type
    text: Said


def within(bounds: Bounds) -> AfterValidator:
    """A validator for a number in a model."""

    def checked(value: float) -> float:
        bounds.check(value)
        return value

    return AfterValidator(checked)


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(Message(gettext_noop("must be a number")))
    return value


# In Python True == 1; as an input it is not a number.
Float = Annotated[float, BeforeValidator(_no_boolean)]
Int = Annotated[int, BeforeValidator(_no_boolean)]


def of(error: ValidationError) -> list[Fault]:
    """One fault per value. For a value with alternatives it lists everything that would be right."""
    found: dict[tuple[str, ...], list[tuple[str, Said]]] = {}
    for fault in error.errors(include_url=False, include_input=False):
        place = tuple(str(part) for part in fault["loc"])
        if fault["type"] != "extra_forbidden":
            place = (*place[:1], *(part for part in place[1:] if not _BRANCH.match(part)))
        found.setdefault(place, []).append((fault["type"], sentence(fault)))
    return [_together(place, each) for place, each in found.items()]


def _together(place: tuple[str, ...], found: Sequence[tuple[str, Said]]) -> Fault:
    """Join the errors of all alternatives. That the value may also be left out is only told if it is the only one."""
    told = [each for each in found if each[0] != "none_required"] or found
    first, *others = dict.fromkeys(text for _, text in told)
    for text in others:
        first = Message(gettext_noop("%(this)s, or %(that)s"), this=first, that=text)
    return Fault(place, told[0][0], first)


# Pydantic's names for the branches of a union, which are not in the input.
_BRANCH = re.compile(r"(none|str|int|float|bool)$|[a-z-]+\[")


def sentence(fault: Mapping[str, Any]) -> Said:
    """What would be right, to follow the field's name. fault: one of pydantic's errors."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return messages.of(context["error"])
    if kind in _WITH_VALUES:
        return _WITH_VALUES[kind](context)
    return Message(_PLAIN.get(kind, gettext_noop("has an invalid value")))


_TEXT, _INTEGER = gettext_noop("must be text"), gettext_noop("must be a whole number")
_NUMBER, _TRUTH = gettext_noop("must be a number"), gettext_noop("must be true or false")
_DAY = gettext_noop("must be a day like 2026-12-31")
_TABLE = gettext_noop("must be a table of names and values")
_PLAIN = {
    "missing": gettext_noop("is missing"),
    "extra_forbidden": gettext_noop("is not a known field"),
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "path_type": _TEXT,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": gettext_noop("must be a whole number with fewer digits"),
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "date_type": _DAY,
    "date_from_datetime_inexact": _DAY,
    "date_from_datetime_parsing": _DAY,
    "list_type": gettext_noop("must be a list"),
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "none_required": gettext_noop("must be left out"),
    "string_pattern_mismatch": gettext_noop("has a character that is not allowed"),
}
_CHARACTERS_AT_LEAST = gettext_noop("must have at least %(bound)s characters")
_CHARACTERS_AT_MOST = gettext_noop("must have at most %(bound)s characters")
_ENTRIES_AT_LEAST = gettext_noop("must have at least %(bound)s entries")
_ENTRIES_AT_MOST = gettext_noop("must have at most %(bound)s entries")

_WITH_VALUES: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "greater_than": lambda it: _bound(gettext_noop("must be more than %(bound)s"), it["gt"]),
    "greater_than_equal": lambda it: _bound(gettext_noop("must be at least %(bound)s"), it["ge"]),
    "less_than": lambda it: _bound(gettext_noop("must be less than %(bound)s"), it["lt"]),
    "less_than_equal": lambda it: _bound(gettext_noop("must be at most %(bound)s"), it["le"]),
    "string_too_short": lambda it: _least(it["min_length"], _CHARACTERS_AT_LEAST),
    "string_too_long": lambda it: _bound(_CHARACTERS_AT_MOST, it["max_length"]),
    "too_short": lambda it: _least(it["min_length"], _ENTRIES_AT_LEAST if _is_list(it) else _CHARACTERS_AT_LEAST),
    "too_long": lambda it: _bound(_ENTRIES_AT_MOST if _is_list(it) else _CHARACTERS_AT_MOST, it["max_length"]),
    "literal_error": lambda it: _one_of(it["expected"]),
    "enum": lambda it: _one_of(it["expected"]),
}


def _bound(template: str, bound: float) -> Message:
    return Message(template, bound=Number(bound))


def _least(count: int, template: str) -> Message:
    return Message(gettext_noop("must not be empty")) if count == 1 else _bound(template, count)


def _one_of(expected: str) -> Message:
    return Message(gettext_noop("must be %(expected)s"), expected=expected)


def _is_list(context: Mapping[str, Any]) -> bool:
    return context.get("field_type") in ("List", "Tuple", "Set", "Dictionary")


def suggestion(name: str, known: Iterable[str]) -> Said:
    nearest = difflib.get_close_matches(name, known, n=1)
    return Message(gettext_noop("; did you mean %(name)s?"), name=nearest[0]) if nearest else ""


def toml(text: str) -> dict[str, Any]:
    """Parse a TOML text. Raises TomlInvalid with the line of the mistake."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        told = gettext_noop("lists or tables are nested too deeply in this file")
        raise TomlInvalid(1, Message(told)) from None
    except tomllib.TOMLDecodeError as error:
        if place := re.search(r"\(at line (\d+), column \d+\)", str(error)):
            raise TomlInvalid(int(place[1]), _hint(str(error))) from None
        told = gettext_noop("cannot be read as TOML: a text, list or table that begins here is not closed")
        raise TomlInvalid(_last_beginning(text), Message(told)) from None
    except ValueError:
        raise TomlInvalid(1, Message(gettext_noop("a number in this file has too many digits"))) from None


_TWICE = gettext_noop("this name is given twice")
_A_VALUE = gettext_noop("a value is text in quotes, a number, true, false, or a list in brackets")
_BACKSLASH = gettext_noop("a backslash in a text must be written twice")
_HINTS = {
    "Cannot overwrite a value": _TWICE,
    "Cannot declare": _TWICE,
    "Duplicate inline table key": _TWICE,
    "Cannot redefine": _TWICE,
    "Cannot mutate": _TWICE,
    "Invalid value": _A_VALUE,
    "Invalid date": _A_VALUE,
    "Unescaped": _BACKSLASH,
    "Invalid hex value": _BACKSLASH,
    "Escaped character": _BACKSLASH,
    "Illegal character '\\n'": gettext_noop(
        "a text must end on its line; a longer one needs three quotes on each side"
    ),
    "Illegal character": gettext_noop("the line has a control character"),
}


def _hint(said: str) -> Message:
    """What is wrong, without the line's content, which may contain a secret."""
    hint = next(
        (ours for theirs, ours in _HINTS.items() if said.startswith(theirs)),
        gettext_noop("a line must look like name = value, with text in quotes"),
    )
    return Message(gettext_noop("cannot be read as TOML: %(hint)s"), hint=Message(hint))


_MOST_LINES = 2000  # parsed repeatedly to find a line; more would be slow


def _last_beginning(text: str) -> int:
    """The first line of an unfinished construct at the end of a text."""
    lines = text.split("\n")
    for count in range(len(lines), 0, -1) if len(lines) <= _MOST_LINES else ():
        if _read(lines[: count - 1]) is not None:
            return count
    return len(lines)


def line_of(text: str, place: Sequence[str]) -> int | None:
    """The line of a TOML text on which this value begins. None: not found."""
    lines = text.split("\n")
    begins = re.compile(rf"""\s*(\[*\s*)([\w.]+\.)?["']?{re.escape(place[-1])}["']?\s*[=.\]]""")
    for number, line in enumerate(lines, start=1) if len(lines) <= _MOST_LINES else ():
        if not begins.match(line):
            continue
        before = _read(lines[: number - 1])
        if before is None or _has(before, place):
            continue  # inside a multi-line string, or after the value
        for end in range(number, len(lines) + 1):
            if (values := _read(lines[:end])) is not None:
                if _has(values, place):
                    return number
                break
    return None


def _read(lines: Sequence[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None


def _has(values: Any, place: Sequence[str]) -> bool:
    for name in place:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True
