"""Templates and a lead's fields -> text.

Owners write the templates and strangers' data fills them, so a template can print fields, filter them and choose with
`if`, and nothing else: no loops, calls, arithmetic or assignments that could run for ever or fill the memory.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_TEMPLATE = 200_000  # characters
LONGEST_RESULT = 1_000_000
_DEEPEST = 40  # the time to compile a template grows with the cube of its depth: 250 filters on one field took 16 s
FILTERS = frozenset({"capitalize", "default", "e", "escape", "length", "lower", "title", "trim", "upper", "urlencode"})
TESTS = frozenset({"defined", "undefined"})

_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter, nodes.Keyword),
    *(nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test),
)


class TemplateInvalid(Exception):
    """A template that cannot be used, or not with this lead's fields."""


def _environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=html, keep_trailing_newline=True)
    environment.globals.clear()
    return environment


_TEXT, _HTML = _environment(html=False), _environment(html=True)


def check(source: str) -> None:
    """Raise TemplateInvalid unless the template can be read and does only what a letter needs."""
    _compiled(source, html=False)


def names(source: str) -> set[str]:
    """The fields that a template asks for. It must have been checked."""
    return meta.find_undeclared_variables(_TEXT.parse(source))


def render(source: str, fields: Mapping[str, str], *, html: bool) -> str:
    """Every field that the template prints must be given. html: the fields are escaped."""
    template = _compiled(source, html=html)
    try:
        return "".join(_bounded(template.generate(fields)))
    except UndefinedError as error:
        raise TemplateInvalid(f"{error.message}; this lead's fields are {', '.join(sorted(fields))}") from None
    except (TemplateError, TypeError, ValueError) as error:
        raise TemplateInvalid(f"the template fails: {error}") from None


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    length = 0
    for part in parts:
        length += len(part)
        if length > LONGEST_RESULT:
            raise TemplateInvalid(f"the result is longer than {LONGEST_RESULT} characters")
        yield part


@lru_cache(maxsize=256)
def _compiled(source: str, *, html: bool) -> Template:
    environment = _HTML if html else _TEXT
    if len(source) > LONGEST_TEMPLATE:
        raise TemplateInvalid(f"the template is longer than {LONGEST_TEMPLATE} characters")
    try:
        _check_tree(environment.parse(source))
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise TemplateInvalid(f"line {error.lineno}: {error.message}") from None
    except (RecursionError, MemoryError, SyntaxError):
        # Parser and compiler have limits of their own.
        raise TemplateInvalid("the template is nested too deeply") from None
    except ValueError as error:
        raise TemplateInvalid(f"the template has a number that is too long: {error}") from None


def _check_tree(tree: nodes.Template) -> None:
    level: list[nodes.Node] = [tree]
    for _ in range(_DEEPEST):
        for node in level:
            _refuse_unless_allowed(node)
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise TemplateInvalid("the template is nested too deeply")


def _refuse_unless_allowed(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED):
        what = type(node).__name__.lower()
        raise TemplateInvalid(f"line {node.lineno}: {what} is not available; print fields, filter them, choose with if")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise TemplateInvalid(f"line {node.lineno}: the filter {node.name!r} is none of {', '.join(sorted(FILTERS))}")
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise TemplateInvalid(f"line {node.lineno}: the test {node.name!r} is none of {', '.join(sorted(TESTS))}")
