"""Finds what only other products understand in templates, like {name}, *|FNAME|* and {Hi|Hello}: it goes out as it is.

Of placeholders only those with the name of a field, or with a usual one: signs around other words can be meant.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from intake.columns import is_usual, plain
from mail.compose import Templates
from mail.render import Template
from messages import Message, Said, gettext_noop
from models.owner import campaigns
from models.owner.campaigns import Edit
from models.store.tables import Campaign

_WORD = r"[^\W\d_](?:[\w.\- ]{0,60}?\w)??"
# What may follow the name: what stands for a missing one.
_INSTEAD = r"(?:(?:\s*[|:,=]|\s(?:fallback|default)\b)[^\n|{}\[\]<>]{0,60}?)?"
_ENCLOSED = (
    *(
        ("*|", "|*"),
        ("<%=", "%>"),
        ("[%", "%]"),
        ("${", "}"),
        ("#{", "}"),
        ("{$", "}"),
        ("{!", "}"),
        ("{", "}"),
        ("[[", "]]"),
    ),
    *(("[", "]"), ("<<", ">>"), ("«", "»"), ("&lt;&lt;", "&gt;&gt;"), ("&laquo;", "&raquo;")),
)
# The same signs on both sides, which stand in texts for other reasons: only around one word, without spaces.
_BETWEEN = ("%%", "%", "##", "#", "@@", "$")
_PLACEHOLDER = re.compile(
    "|".join(
        [rf"{re.escape(begin)}\s*({_WORD})\s*{_INSTEAD}\s*{re.escape(end)}" for begin, end in _ENCLOSED]
        + [
            rf"(?<![\w{sign[-1]}]){each}([^\W\d_][\w.\-]{{0,60}})(?:\|[^\n|%]{{0,60}})?{each}(?![\w{sign[-1]}])"
            for sign in _BETWEEN
            for each in [re.escape(sign)]
        ]
    )
)
# In HTML this is a tag.
_IN_TEXT = re.compile(rf"{_PLACEHOLDER.pattern}|<({_WORD})>")
# Texts of which other products choose one for each lead.
_SPINTAX = re.compile(r"\{[^{}|\n]{1,200}(?:\|[^{}|\n]{0,200}){1,50}\}")
_SHOWN = 60


def foreign(letters: Sequence[Templates], fields: Collection[str]) -> list[Message]:
    """One sentence for each placeholder of another product, with its place and what to do. fields: the leads'."""
    return list(dict.fromkeys(told for each in letters for part in each.parts() for told in _in(part, fields)))


def foreign_in_change(row: Campaign, change: Edit) -> list[Message]:
    """The sentences about placeholders of other products in the letters that a change brings."""
    letters = [Templates.of(it.subject, it.text, it.html) for it in (change.letter, *(change.later_steps or ())) if it]
    fields = next((fields for _, _, fields in campaigns.unsent_leads(row.id)), {}) if letters else {}
    return foreign(letters, fields)


def _in(template: Template, fields: Collection[str]) -> Iterator[Message]:
    names = {plain(name): name for name in fields}
    for line, text in template.literals():
        told_at = set[int]()
        for found in (_PLACEHOLDER if template.html else _IN_TEXT).finditer(text):
            word = next(filter(None, found.groups()))
            if field := _field(word, names):
                told_at.add(found.start())
                told = gettext_noop(
                    "%(where)s: %(written)s goes out as it is written; for a lead's field write %(right)s"
                )
                yield Message(told, **_place(template, line, found), right=f"{{{{ {field} }}}}")
        for found in _SPINTAX.finditer(text):
            if found.start() not in told_at:
                told = gettext_noop(
                    "%(where)s: %(written)s goes out as it is written, since no text is chosen from it; write one text"
                )
                yield Message(told, **_place(template, line, found))


def _place(template: Template, line: int, found: re.Match[str]) -> dict[str, Said]:
    """A placeholder's place and its text, for a message. line: where the text in which it was found begins."""
    where = template.at(line + found.string.count("\n", 0, found.start()))
    return {"where": where, "written": found[0][:_SHOWN]}


def _field(word: str, names: dict[str, str]) -> str | None:
    """The field that may be meant. names: of the leads' fields, by how they compare. None: no field seems meant."""
    for each in (word, re.split(r"[.:]", word)[-1]):
        if same := names.get(plain(each)):
            return same
        if is_usual(each):
            return re.sub(r"\W+", "_", each.lower())
    return None
