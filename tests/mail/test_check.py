"""The check of a lead's letter before a campaign is written refuses what composing it would, and nothing else."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mail import unsubscribe
from mail.address import AddressInvalid, normalise
from mail.compose import Envelope, Sender, Templates, check, compose
from mail.message import LetterInvalid
from mail.render import TemplateInvalid
from mail.thread import Thread
from mail.unsubscribe import Unsubscribe

DAY = datetime(2026, 11, 26, tzinfo=UTC)
FILTERS = ("{{ a }}", "{{ a|default('') }}", "{{ a|upper }}", "{{ a|title|urlencode }}", "{{ a|length }}", "{{ a|e }}")
SUBJECTS = ("{{ a }}", "Re: {{ a|default('') }}", "{{ a }} {{ b }}", "{% if a %}{{ a }}{% endif %}")
LINK = "{{ a }} {{ unsubscribe_url }}"
TEXTS = (
    "{{ a }}\n",
    "Dear {{ b }},\r\n\r\n{{ a|default('') }}",
    "{% if a is defined %}{{ a }}{% endif %}",
    *FILTERS,
    LINK,
)
HTMLS = (
    None,
    "<p>{{ a }}</p>",
    "<p {{ a|default('') }}>{{ b }}</p>",
    "<!-- {{ a|default('') }} --><img src='{{ b }}' width={{ a|default('1') }}>",
    "<div style='{{ a|default('') }}'>Hello</div>",
    "{% if a == 'x' %}<p>x</p>{% endif %}",
)
# What headers, encodings, transfer and people's programs trip over.
PIECES = (
    *("", " ", "\n", "\r", "\r\n", "\t", "\x00", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u200b", "\u202e", "\ufeff"),
    *(
        "x",
        "a b",
        "  a  ",
        "=?utf-8?q?x?=",
        "=_alternative",
        "--=_alternative",
        "From me",
        "From ",
        ".",
        "=",
        "=3D",
        "_",
    ),
    *(
        "Łódź",
        "Zażółć gęślą jaźń",
        "😀",
        "e\u0301",
        "\ud800",
        "\U000e0001",
        "<b>",
        "&amp;",
        '"',
        "'",
        "\\",
        "%s",
        "{{ a }}",
    ),
    *("hidden", "display:none", "visibility: hidden", "-->", "0", "Subject: x\r\nBcc: y@leads.example"),
    *("y" * 70, "y" * 80, "y" * 998, "y" * 1001, "ż" * 500, "ż " * 251, "z" * 499, "z" * 501),
)
PIECES_OF_SUBJECTS = st.lists(st.sampled_from(["Re: ", "Odp: ", *PIECES]) | st.text(max_size=6), max_size=4).map(
    "".join
)
VALUES = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=4).map("".join)
ADDRESSES = st.sampled_from(
    [
        *("anna@leads.example", "Anna.Nowak+x@LEADS.example", "o'neil@leads.example", "ola@żółw.example"),
        *("=?utf-8?q?x?=@leads.example", "a\u00a0b@leads.example", "anna@leads.example\n", "anna@leads.example "),
        *("a" * 64 + "@" + "b" * 63 + "." + "c" * 63 + ".example", "anna@@leads.example", "", "ż@leads.example"),
        *(
            '"a b"@leads.example',
            "anna@[127.0.0.1]",
            "anna@leads.example\r\nBcc: b@leads.example",
            "x@xn--w-uga1v8h.example",
        ),
    ]
)


def verdict(templates: Templates, fields: Mapping[str, str], envelope: Envelope, *, whole: bool) -> str | None:
    try:
        compose(templates, fields, envelope, DAY) if whole else check(templates, fields, envelope)
    except (LetterInvalid, TemplateInvalid) as error:
        return f"{type(error).__name__}: {error}"
    return None


@settings(max_examples=300)
@given(
    st.sampled_from(SUBJECTS),
    st.sampled_from(TEXTS),
    st.sampled_from(HTMLS),
    VALUES,
    st.sampled_from(PIECES),
    ADDRESSES,
    st.sampled_from([None, unsubscribe.preview("ola@sender.example", "https://stop.sender.example")]),
)
@example("{{ a }}", "{{ a }}", None, "ż" * 501, "x", "anna@leads.example", None)
@example("{{ a }}", "Hello", None, "a\r\nBcc: b@leads.example", "x", "anna@leads.example", None)
@example("Hello", "Hello", HTMLS[4], "display:none", "x", "anna@leads.example", None)
@example("Hello", "Hello", HTMLS[2], "hidden", "x", "anna@leads.example", None)
@example("Hello", "Hello", None, "x", "x", "=?utf-8?q?x?=@leads.example", None)
def test_it_says_of_every_lead_what_composing_its_message_says(
    subject: str, text: str, html: str | None, a: str, b: str, recipient: str, offered: Unsubscribe | None
) -> None:
    templates, fields = Templates.of(subject, text, html), {"a": a, "b": b}
    envelope = Envelope(Sender("ola@sender.example", "Ola"), recipient, "<a-check@example.invalid>", offered)

    assert verdict(templates, fields, envelope, whole=False) == verdict(templates, fields, envelope, whole=True)


@given(PIECES_OF_SUBJECTS)
@example("ż" * 500)
@example("ż" * 501)
@example("Re: " + "ż" * 500)
def test_it_says_of_a_follow_up_too_what_composing_it_says(subject: str) -> None:
    thread = Thread("<1@sender.example>", subject, ("<1@sender.example>",))
    envelope = Envelope(Sender("ola@sender.example", "Ola"), "anna@leads.example", "<2@sender.example>", None, thread)
    templates = Templates.of(None, "Hello", None)

    assert verdict(templates, {}, envelope, whole=False) == verdict(templates, {}, envelope, whole=True)


def test_it_knows_the_link_to_unsubscribe() -> None:
    templates = Templates.of("Hello", "{{ unsubscribe_url }}", None)
    sender, offered = Sender("ola@sender.example", ""), unsubscribe.preview("ola@sender.example", "")

    check(templates, {}, Envelope(sender, "anna@leads.example", "<a-check@example.invalid>", offered))
    with pytest.raises(TemplateInvalid):
        check(templates, {}, Envelope(sender, "anna@leads.example", "<a-check@example.invalid>"))


LOCAL = st.text("abzABZ09._+-'!#é \"@", max_size=70)
LABEL = st.text("abzABZ09-ł_", max_size=66)
DOMAIN = st.lists(LABEL, max_size=5).map(".".join) | st.sampled_from(
    ["x.test", "x.local", "x.invalid", "LOCALHOST", "x.arpa", "xn--d-uga1v8h.pl", "ab--c.pl", "x.onion", "x.c", "x.c0"]
)


@settings(max_examples=300)
@given(LOCAL, DOMAIN | st.builds("{}.example".format, LABEL))
@example("a" * 64, ".".join(["b" * 63] * 3) + ".pl")
@example("a" * 65, "leads.example")
@example("a", "-b.example")
@example("a", "b-.example")
def test_an_ordinary_address_is_what_the_library_makes_of_it(local: str, domain: str) -> None:
    address = f"{local}@{domain}"

    assert outcome(address) == outcome(f" {address}")  # which is never ordinary


def outcome(address: str) -> str | None:
    try:
        return normalise(address)
    except AddressInvalid:
        return None
