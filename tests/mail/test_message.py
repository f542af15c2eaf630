"""The message as it goes over the wire."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from mail.message import Letter, LetterInvalid, build

LETTER = Letter(
    sender_address="ola@sender.example",
    sender_name="Ola Żółć",
    recipient="Lucja@leads.example",
    subject="Zażółć gęślą jaźń " * 5,
    text="Dzień dobry,\n.\nkropka\n",
    html="<p>Dzień dobry</p>",
    message_id="<0b6fa1@sender.example>",
)
DATE = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def read(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


class TestAMessage:
    def test_says_on_paper_what_the_letter_says(self) -> None:
        message = read(build(LETTER, DATE))

        assert message["Subject"].strip() == LETTER.subject.strip()
        assert message["From"] == "Ola Żółć <ola@sender.example>"
        assert message["Message-ID"] == "<0b6fa1@sender.example>"
        assert message["Date"].datetime == DATE
        plain, html = message.get_body(("plain",)), message.get_body(("html",))
        assert plain
        assert html
        assert plain.get_content().replace("\r\n", "\n") == LETTER.text
        assert "Dzień dobry" in html.get_content()

    def test_carries_the_unique_part_of_its_message_id_in_a_header_that_no_provider_rewrites(self) -> None:
        message = read(build(LETTER, DATE))

        assert message["X-Punktual-Id"] == "0b6fa1"

    def test_is_7_bit_with_short_lines_that_end_as_smtp_wants(self) -> None:
        content = build(replace(LETTER, text="ą" * 5000), DATE)

        assert content.isascii()
        assert max(len(line) for line in content.split(b"\r\n")) <= 998
        assert b"\n" not in content.replace(b"\r\n", b"")

    def test_an_international_domain_goes_in_its_ascii_form(self) -> None:
        message = read(build(replace(LETTER, recipient="lead@żółw.example"), DATE))

        assert message["To"] == "lead@xn--w-uga1v8h.example"


class TestHeaderInjection:
    @pytest.mark.parametrize("name", ["subject", "sender_name", "recipient", "sender_address"])
    @pytest.mark.parametrize("evil", ["\r\nBcc: all@leads.example", "\nX: y", "\r", "\x00", "\u2028", "\x85"])
    def test_a_control_character_is_refused(self, name: str, evil: str) -> None:
        with pytest.raises(LetterInvalid, match="control character"):
            build(evil_letter(name, f"a{evil}"), DATE)

    def test_an_endless_subject_is_refused(self) -> None:
        with pytest.raises(LetterInvalid, match="longer than"):
            build(replace(LETTER, subject="x" * 501), DATE)


def evil_letter(name: str, value: str) -> Letter:
    changes: dict[str, Any] = {name: value}
    return replace(LETTER, **changes)
