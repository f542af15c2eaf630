"""The message as it goes over the wire."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
PIECES = [
    *(
        "=?",
        "?=",
        "?",
        "utf-8",
        "?q?",
        "?b?",
        "=0D=0A",
        "\r\n",
        "Bcc:",
        " ",
        "\t",
        "eA0KQmNjOiB4",
        "=?utf-8?q?=0ABcc:_x?=",
    ),
    *('"', "\\", "<x@y.example>", ",", ";", ":", "(", ")", "ż", "\u2028", "\u202e", "=?utf-8*en?q?=0AX:_y?="),
]
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

    @pytest.mark.parametrize("name", ["subject", "sender_name"])
    @pytest.mark.parametrize(
        "evil",
        [
            "=?utf-8?b?eA0KQmNjOiBhbGxAbGVhZHMuZXhhbXBsZQ==?=",
            "=?UTF-8?Q?x=0D=0ABcc:_all@leads.example?=",
            "=?utf-8?q?a=00b?=",
            "=?x-none?q?a?=",
        ],
    )
    def test_an_encoded_word_is_refused_because_it_would_be_decoded_in_place(self, name: str, evil: str) -> None:
        with pytest.raises(LetterInvalid, match="encoded word"):
            build(evil_letter(name, f"Hello {evil}"), DATE)

    def test_a_question_about_a_sum_is_no_encoded_word(self) -> None:
        assert read(build(replace(LETTER, subject="Is 2+2=?"), DATE))["Subject"] == "Is 2+2=?"

    @given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join))
    def test_whatever_a_header_holds_the_message_has_its_own_headers_and_no_other(self, value: str) -> None:
        for name in ("subject", "sender_name"):
            try:
                content = build(evil_letter(name, value), DATE)
            except LetterInvalid:
                continue
            message = read(content)
            assert message.keys() == read(build(LETTER, DATE)).keys()
            assert [it.addr_spec for it in message["From"].addresses] == [LETTER.sender_address]

    def test_an_endless_subject_is_refused(self) -> None:
        with pytest.raises(LetterInvalid, match="longer than"):
            build(replace(LETTER, subject="x" * 501), DATE)


class TestTheText:
    @pytest.mark.parametrize("name", ["text", "html"])
    @pytest.mark.parametrize("evil", ["\x00", "\x1b]0;owned\x07", "\ud800", "\x9b31m"])
    def test_with_a_control_character_is_refused(self, name: str, evil: str) -> None:
        with pytest.raises(LetterInvalid, match=f"the {name} has a control character"):
            build(evil_letter(name, f"Dear {evil}"), DATE)

    def test_may_have_tabs_and_any_kind_of_line_end(self) -> None:
        assert build(replace(LETTER, text="a\tb\r\nc\u2028d"), DATE)


def evil_letter(name: str, value: str) -> Letter:
    changes: dict[str, Any] = {name: value}
    return replace(LETTER, **changes)
