"""Renders templates with a lead's fields.

Templates get untrusted data, so they can only print fields, filter them and use `if`: no loops, calls, arithmetic or
assignments, which could run for ever or exhaust memory.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from traceback import walk_tb

import jinja2
from jinja2 import (
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    meta,
    nodes,
    pass_eval_context,
)
from jinja2.nodes import EvalContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mail.blank import is_blank, is_blank_html
from mail.message import LetterInvalid, control_character
from messages import Message, gettext_noop
from reasons import Code, Reason

LONGEST_TEMPLATE = 200_000  # characters
LONGEST_RESULT = 1_000_000
_DEEPEST = 40  # compile time grows with the cube of the depth: 250 filters on one field took 16 s
FILTERS = frozenset({"capitalize", "default", "e", "escape", "length", "lower", "title", "trim", "upper", "urlencode"})
TESTS = frozenset({"defined", "undefined"})

_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter, nodes.Keyword),
    *(nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test),
)


# What people typed for a node that is not allowed.
_TYPED = {
    "add": "'+'", "sub": "'-'", "mul": "'*'", "div": "'/'", "floordiv": "'//'", "mod": "'%'", "pow": "'**'",
    "neg": "'-'", "pos": "'+'", "concat": "'~'", "getattr": "'.'", "getitem": "'[]'", "call": "'()'", "list": "'[]'",
    "tuple": "','", "dict": "'{}'", "assign": "set", "assignblock": "set", "scope": "autoescape", "fromimport": "from",
    "callblock": "call", "filterblock": "filter",
}  # fmt: skip
_AFTER_A_FIELD = re.compile(r"expected token 'end of print statement', got '(.*)'")


# A field with one brace before or behind it. The first kind is text for Jinja.
_BRACE_MISSING = re.compile(r"(?<!\{)\{[ \t]*[^\W\d]\w*[ \t]*(?:\|[^{}\n]{0,60})?\}\}")
_BRACE_MISSING_BEHIND = re.compile(r"\{\{[ \t]*[^\W\d]\w*[ \t]*(?:\|[^{}\n]{0,60})?\}(?!\})")
_BREAK = re.compile(r"[\r\n]")
_BRACE_TOO_MANY = re.compile(r"\{\{\{[ \t]*[^\W\d]\w*[ \t]*\}\}\}?")


class TemplateInvalid(Exception):
    """A template is wrong for every lead. The message names the template's file and line."""


@dataclass(frozen=True)
class Template:
    source: str
    where: str  # as shown to its owner: "letter.txt", "campaign.toml: subject"
    html: bool = False  # escape the fields
    lines: bool = True  # line breaks are allowed

    def check(self) -> None:
        """Raise TemplateInvalid unless it parses and uses only what is allowed."""
        if (is_blank_html if self.html else is_blank)(self.source):
            raise TemplateInvalid(Message(gettext_noop("%(where)s is empty: it has no visible text"), where=self.where))
        if found := control_character(self.source, lines=self.lines):
            where = self.at(self.source.count("\n", 0, found.start()) + 1)
            if found[0] in "\r\n":
                raise TemplateInvalid(Message(gettext_noop("%(where)s: there is a second line"), where=where))
            template = gettext_noop("%(where)s: there is a control character (%(character)s)")
            raise TemplateInvalid(Message(template, where=where, character=ascii(found[0])))
        _compiled(self)
        if unbalanced := self._unbalanced():
            line, written = unbalanced
            raise TemplateInvalid(_one_brace(self.at(line), written))

    def literals(self) -> list[tuple[int, str]]:
        """What goes out as it is written, outside of {% raw %}: each piece with its first line. It must parse."""
        return [(line, value) for line, kind, value in self._tokens() if kind == "data"]

    def _tokens(self) -> Iterator[tuple[int, str, str]]:
        is_raw = False
        for line, kind, value in _TEXT.lex(self.source):
            is_raw = kind == "raw_begin" or (is_raw and kind != "raw_end")
            if not is_raw:
                yield line, kind, value

    def _unbalanced(self) -> tuple[int, str] | None:
        """The line, and a field with a brace too few before it or too many behind it, which Jinja takes for text."""
        before, opened = "", 0
        for line, kind, value in self._tokens():
            if kind == "data":
                if before == "variable_end" and value.startswith("}") and opened <= 0:
                    return line, "}}}"
                if found := _BRACE_MISSING.search(value):
                    return line + value.count("\n", 0, found.start()), found[0]
                opened += value.count("{") - value.count("}")
            before = kind
        return None

    def fields(self) -> set[str]:
        """The fields that it uses. It must have been checked."""
        return meta.find_undeclared_variables(_TEXT.parse(self.source))

    def lines_of(self, field: str) -> list[int]:
        """The lines that use it. It must have been checked."""
        return [it.lineno for it in _TEXT.parse(self.source).find_all(nodes.Name) if it.name == field]

    def render(self, fields: Mapping[str, str]) -> str:
        """The text for one lead. An empty field counts as missing.

        Raises TemplateInvalid if it prints a field that no lead has, LetterInvalid if this lead lacks a printed field,
        or has one with a line break for a subject.
        """
        empty = {name: _EmptyField(hint=name, exc=_Empty) for name, value in fields.items() if is_blank(value)}
        try:
            result = "".join(self._bounded(_compiled(self).generate({**fields, **empty})))
        except _Empty as error:
            name, line = str(error.message), _line(error)
            raise LetterInvalid(Reason(Code.FIELD_EMPTY, field=name, where=self.where, line=line)) from None
        except UndefinedError as error:
            told = {"error": str(error.message), "fields": ", ".join(sorted(fields))}
            raise TemplateInvalid(Reason(Code.NO_SUCH_FIELD, where=self.where, line=_line(error), **told)) from None
        except (TemplateError, TypeError, ValueError) as error:
            line = _line(error)
            raise TemplateInvalid(Reason(Code.TEMPLATE_FAILS, where=self.where, line=line, error=str(error))) from None
        if not self.lines and _BREAK.search(result):
            self._refuse_breaks(fields)
        return result

    def _refuse_breaks(self, fields: Mapping[str, str]) -> None:
        for name in sorted(self.fields()):
            if _BREAK.search(fields.get(name, "")):
                raise LetterInvalid(Reason(Code.FIELD_HAS_BREAK, field=name))

    def at(self, line: int) -> Message:
        return Message(gettext_noop("%(file)s line %(line)d"), file=self.where, line=line)

    def _bounded(self, parts: Iterator[str]) -> Iterator[str]:
        length = 0
        for part in parts:
            length += len(part)
            if length > LONGEST_RESULT:
                raise LetterInvalid(Reason(Code.RESULT_TOO_LONG, where=self.where, most=LONGEST_RESULT))
            yield part


class _Empty(UndefinedError):
    """An empty field was printed without a default. The message is the field's name."""


class _EmptyField(Undefined):
    """An empty field: an error when printed; in a condition it is false and equal to ""."""

    __slots__ = ()
    __str__ = __iter__ = Undefined._fail_with_undefined_error
    __hash__ = Undefined.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _EmptyField) or other == ""

    def __contains__(self, part: object) -> bool:
        return self == part


def _line(error: Exception) -> int:
    """The template's line that failed: Jinja puts template lines into the traceback."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"]
    return lines[-1] if lines else 1


@pass_eval_context  # else Jinja prints constants without asking
def _printable(_: EvalContext, value: object) -> object:
    """A letter never says None, True or False: nobody writes them for people to read."""
    if value is None or isinstance(value, bool):
        raise ValueError(f"it prints {value}; print fields, filter them, choose with if")
    return value


def _environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=html, keep_trailing_newline=True, finalize=_printable
    )
    environment.globals.clear()
    return environment


_TEXT, _HTML = _environment(html=False), _environment(html=True)


@lru_cache(maxsize=256)
def _compiled(template: Template) -> jinja2.Template:
    environment = _HTML if template.html else _TEXT
    if len(template.source) > LONGEST_TEMPLATE:
        told = gettext_noop("%(where)s: the template is longer than %(most)d characters")
        raise TemplateInvalid(Message(told, where=template.where, most=LONGEST_TEMPLATE))
    try:
        _check_tree(template, environment.parse(template.source))
        return environment.from_string(template.source)
    except TemplateSyntaxError as error:
        for found in filter(None, (it.search(template.source) for it in (_BRACE_MISSING_BEHIND, _BRACE_TOO_MANY))):
            where = template.at(template.source.count("\n", 0, found.start()) + 1)
            raise TemplateInvalid(_one_brace(where, found[0])) from None
        raise TemplateInvalid(_syntax(template.at(error.lineno), error.message or "")) from None
    except (RecursionError, MemoryError, SyntaxError):
        # Python's parser and compiler have their own limits.
        raise _too_deep(template) from None
    except ValueError as error:
        raise TemplateInvalid(f"{template.where}: the template has a number that is too long: {error}") from None


def _check_tree(template: Template, tree: nodes.Template) -> None:
    level: list[nodes.Node] = [tree]
    for _ in range(_DEEPEST):
        for node in level:
            if complaint := _complaint(node):
                where = template.at(
                    node.lineno or next((it.lineno for it in node.find_all(nodes.Node) if it.lineno), 1)
                )
                raise TemplateInvalid(Message("%(where)s: %(complaint)s", where=where, complaint=complaint))
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise _too_deep(template)


def _syntax(where: Message, error: str) -> Message:
    if found := _AFTER_A_FIELD.fullmatch(error):
        told = gettext_noop(
            "%(where)s: %(what)s after a field's name; a name has letters, digits and _, like first_name"
        )
        return Message(told, where=where, what=repr(found[1]))
    if error.startswith("unexpected end of template"):
        return Message(gettext_noop("%(where)s: a field or condition is not closed"), where=where)
    return Message("%(where)s: %(complaint)s", where=where, complaint=error.removesuffix("."))


def _one_brace(where: Message, written: str) -> Message:
    told = gettext_noop("%(where)s: %(written)s has not two braces on each side; a field is written {{ name }}")
    return Message(told, where=where, written=written)


def _too_deep(template: Template) -> TemplateInvalid:
    return TemplateInvalid(Message(gettext_noop("%(where)s: the template is nested too deeply"), where=template.where))


def _complaint(node: nodes.Node) -> Message | None:
    if not isinstance(node, _ALLOWED):
        template = gettext_noop("%(what)s is not available; print fields, filter them, choose with if")
        name = type(node).__name__.lower()
        return Message(template, what=_TYPED.get(name, name))
    if isinstance(node, nodes.Const) and isinstance(node.value, float) and not math.isfinite(node.value):
        return Message(gettext_noop("a number is too large"))  # Jinja would write it as `inf`
    if isinstance(node, nodes.Name) and node.name == "self":
        return Message(gettext_noop("'self' cannot be a field: templates reserve this word"))
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        template = gettext_noop("the filter %(name)s is not one of %(known)s")
        return Message(template, name=repr(node.name), known=", ".join(sorted(FILTERS)))
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        template = gettext_noop("the test %(name)s is not one of %(known)s")
        return Message(template, name=repr(node.name), known=", ".join(sorted(TESTS)))
    return None
