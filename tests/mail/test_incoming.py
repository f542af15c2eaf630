"""What a message in an inbox is, shown by messages in the shapes of real servers and programs.

tests/mail/corpus holds them; expected.toml says what each is.
"""

import tomllib
from datetime import date, datetime
from functools import cache
from typing import Any

import pytest

import config
from mail.incoming.classify import cited, classify
from mail.incoming.result import Citation, Class, Facts, Incoming, Letter
from scheduling.window import WARSAW

CORPUS = config.ROOT / "tests" / "mail" / "corpus"
EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((CORPUS / "expected.toml").read_text(encoding="utf-8"))

OUR_ID = "<6f1c2f9e-3b0a-4b52-9d5e-0d7c0c5e9a11@nasza-firma.example>"
UNIQUE = "6f1c2f9e-3b0a-4b52-9d5e-0d7c0c5e9a11"
LEAD = "anna.kowalska@klient.example"
US = "ola@nasza-firma.example"
LETTER = """Dzień dobry Pani Anno,

czy rozważali Państwo wymianę oświetlenia w hali? Zwykle zwraca się to w osiemnaście miesięcy.
Jeśli temat Państwa nie dotyczy, proszę odpisać STOP, a nie napiszę więcej.

Pozdrawiam
Ola Nowak
Nasza Firma sp. z o.o.
"""
RECEIVED = datetime(2026, 8, 4, 10, 15, tzinfo=WARSAW)  # a Tuesday


def facts_of(raw: bytes) -> Facts:
    """As the rows would tell them: which of the cited letters are ours."""
    ours = {it.message_id: Letter(LEAD, (LETTER,)) for it in cited(raw) if it.message_id in (OUR_ID, UNIQUE)}
    return Facts(RECEIVED, frozenset({US}), ours)


@cache
def found(name: str) -> Incoming:
    raw = (CORPUS / f"{name}.eml").read_bytes()
    return classify(raw, facts_of(raw))


def a_reply(text: str, subject: str = "Re: hello", headers: str = "") -> Incoming:
    raw = (
        f"From: Anna <{LEAD}>\r\nSubject: {subject}\r\nIn-Reply-To: {OUR_ID}\r\n{headers}"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    ).encode()
    return classify(raw, facts_of(raw))


def test_every_message_of_the_corpus_has_its_expectation() -> None:
    assert {path.stem for path in CORPUS.glob("*.eml")} == EXPECTED.keys()
    assert len(EXPECTED) >= 60


@pytest.mark.parametrize("name", EXPECTED)
def test_a_message_is_what_it_is(name: str) -> None:
    expected, it = EXPECTED[name], found(name)

    told = {
        "class": it.class_,
        "kind": it.kind,
        "status": it.status,
        "recipient": next(iter(it.recipients), None),
        "returns_on": it.returns_on and it.returns_on.isoformat(),
        "cites": bool({OUR_ID, UNIQUE} & {each.message_id for each in it.cited}),
        "first": bool(it.cited) and it.cited[0].message_id == OUR_ID,
        "excerpt": it.excerpt,
    }
    assert {key: told[key] for key in expected} == expected, it
    assert it.rule
    assert ("kind" in expected) == (it.kind is not None)
