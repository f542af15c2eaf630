"""Placeholders of other products in letters: told before they go out as they are written."""

import pytest

from intake.placeholders import foreign
from mail.compose import Templates

FIELDS = ("email", "name", "first_name", "imię", "numer_umowy")


def found(text: str, *, html: str | None = None, subject: str = "Hello {{ name }}") -> list[str]:
    letter = Templates.of(subject, text, html, {"text": "letter.txt"})
    letter.check()
    return [str(each) for each in foreign([letter], FIELDS)]


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("{name}", "name"),
        ("{ Name }", "name"),
        ("{First Name|there}", "first_name"),
        ("${name}", "name"),
        ("{$name}", "name"),
        ("#{name}", "name"),
        ("{!Contact.FirstName}", "first_name"),
        ("%name%", "name"),
        ("%%NAME%%", "name"),
        ("%recipient.first_name|default%", "first_name"),
        ("*|FNAME|*", "fname"),
        ("*|Numer umowy|*", "numer_umowy"),
        ("[name]", "name"),
        ("[[IMIĘ]]", "imię"),
        ("[firstname fallback=there]", "first_name"),
        ("[FIRSTNAME,fallback=]", "first_name"),
        ("[% name %]", "name"),
        ("<%= name %>", "name"),
        ("<<name>>", "name"),
        ("<name>", "name"),
        ("«numer umowy»", "numer_umowy"),
        ("##name##", "name"),
        ("@@name@@", "name"),
        ("$name$", "name"),
        ("{company}", "company"),  # a usual one, though these leads do not have it
    ],
)
def test_one_around_the_name_of_a_field_is_told_with_its_line_and_what_would_be_right(written: str, right: str) -> None:
    assert found(f"Dear {{{{ name }}}},\n\nhello {written}, how are you?") == [
        f"letter.txt line 3: {written} goes out as it is written; for a lead's field write {{{{ {right} }}}}"
    ]


@pytest.mark.parametrize("written", ["{Cześć|Hej}", "{Hi|Hello|}", "{Good day, Sir|Good day, Madam}"])
def test_texts_to_choose_from_are_told(written: str) -> None:
    assert found(f"Dear {{{{ name }}}},\n{written}!") == [
        f"letter.txt line 2: {written} goes out as it is written, since no text is chosen from it; write one text"
    ]


def test_a_field_with_a_text_in_its_place_is_told_once() -> None:
    assert len(found("{name|there}")) == 1


def test_each_part_of_the_letter_is_looked_through() -> None:
    said = found("{name} and {name}", html="<p>%name% &lt;&lt;name&gt;&gt; <name></p>", subject="[name]")

    assert [it.partition(" goes")[0] for it in said] == [
        *("subject line 1: [name]", "letter.txt line 1: {name}", "html line 1: %name%"),
        "html line 1: &lt;&lt;name&gt;&gt;",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "50 % firma, 20 % taniej, 100% name%20",
        "[Link] (tu) [1] [x], #firma #biznes",
        "cena $5 i $name, {color: red}, a_{i}, {} {x}, a|b, {|}",
        "{{ name }} {% if name %}{{ name|default('{name}') }}{% endif %} {# {name} #}",
        "{% raw %}{name} {{ name }}{% endraw %}",
        "jan [at] firma [kropka] pl",
    ],
)
def test_what_is_meant_is_not_told(text: str) -> None:
    assert found(text) == []
