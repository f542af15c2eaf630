"""The token of an e-mail, and the headers and the link that carry it."""

import email
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from email import policy
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.compose import Envelope, Sender, Templates, compose
from mail.message import Letter, LetterInvalid, check_finished
from mail.unsubscribe import PREVIEW, Unsubscribe, email_of, language_of, offer, preview, token, token_in
from tests.mail import reader

OLD, NEW, FOREIGN = b"old" * 11, b"new" * 11, b"foreign" * 5
IDS = st.uuids()
AN_ID = UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e")
TOKEN = token(AN_ID, [NEW])


class TestAToken:
    @given(IDS)
    def test_names_its_e_mail_and_nothing_else(self, id: UUID) -> None:
        found = token(id, [NEW])

        assert email_of(found, [NEW]) == id
        assert re.fullmatch(r"[A-Za-z0-9_.-]{47}", found)

    def test_is_signed_with_the_first_key_and_accepted_with_any(self) -> None:
        assert email_of(token(AN_ID, [OLD]), [NEW, OLD]) == AN_ID
        assert email_of(token(AN_ID, [NEW, OLD]), [NEW]) == AN_ID
        assert email_of(token(AN_ID, [NEW, OLD]), [OLD]) is None

    def test_of_a_key_that_is_not_ours_is_none(self) -> None:
        assert email_of(token(AN_ID, [FOREIGN]), [NEW, OLD]) is None

    @pytest.mark.parametrize("place", range(len(TOKEN)))
    def test_with_a_changed_character_is_none(self, place: int) -> None:
        changed = {TOKEN[:place] + other + TOKEN[place + 1 :] for other in "AaZ09_-.ż \n"} - {TOKEN}

        assert [it for it in changed if email_of(it, [NEW]) is not None] == []

    @pytest.mark.parametrize("other", ["", ".", TOKEN[:-1], TOKEN + "A", TOKEN + "\n", TOKEN.replace(".", ""), PREVIEW])
    def test_of_another_form_is_none(self, other: str) -> None:
        assert email_of(other, [NEW]) is None


class TestFindingATokenInAMail:
    @pytest.mark.parametrize(
        "text",
        [
            f"unsubscribe-{TOKEN}",
            f"Unsubscribe-{TOKEN}",
            f"Re: unsubscribe-{TOKEN}",
            f"[EXTERN] unsubscribe-{TOKEN} ",
            f"Dzień dobry,\r\nunsubscribe-{TOKEN}.\r\n\r\nJan",
            f"<p>unsubscribe-{TOKEN}</p>",
        ],
    )
    def test_in_whatever_stands_around_it(self, text: str) -> None:
        assert token_in(text) == TOKEN

    @pytest.mark.parametrize(
        "text",
        [
            "please unsubscribe me",
            f"List-Unsubscribe: <mailto:ola@sender.example?subject=unsubscribe-{TOKEN}>",
            f"<mailto:ola@sender.example?subject=3Dunsubscribe-{TOKEN}>",
            f"https://stop.sender.example/unsubscribe/pl/{TOKEN}",
            TOKEN,
            f"unsubscribe-{TOKEN}A",
            f"unsubscribe-{TOKEN[:-1]}",
        ],
    )
    def test_but_not_in_what_a_bounce_or_a_reply_quotes_of_our_own_mail(self, text: str) -> None:
        assert token_in(text) is None

    @given(IDS, st.text(max_size=50), st.text(max_size=50))
    def test_nothing_that_people_write_makes_it_fail(self, id: UUID, before: str, after: str) -> None:
        written = token(id, [NEW])

        assert token_in(before + after) is None
        assert token_in(f"{before} unsubscribe-{written} {after}") == written

    def test_an_encoded_subject_is_decoded_by_whoever_reads_the_mail(self) -> None:
        words = "".join(f"=?utf-8?b?{b64encode(part.encode()).decode()}?= " for part in ("unsubscribe-", TOKEN)).strip()
        read = email.message_from_string(f"Subject: {words}\n\n", policy=policy.default)

        assert token_in(str(read["Subject"])) == TOKEN


TEMPLATES = Templates.of("Hello", "Hello\n{{ unsubscribe_url }}\n", "<a href='{{ unsubscribe_url }}'>stop</a>")
PLAIN = Templates.of("Zażółć gęślą jaźń " * 5, "Hello\n", None)
DATE = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
BASE = "https://stop.sender.example"
LONG = f"{'o' * 64}@{'d' * 60}.{'e' * 60}.{'f' * 60}.example"
OFFERS = {
    "mailto alone": (offer(TOKEN, "ola@sender.example", "", "pl", one_click=True), 1),
    "a page too": (offer(TOKEN, "ola@sender.example", BASE, "pl", one_click=False), 2),
    "one click": (offer(TOKEN, "ola@sender.example", f"{BASE}/deep/path", "en", one_click=True), 2),
    "odd signs": (offer(TOKEN, "o'la+x&y=z/%?#,@sender.example", BASE, "pl", one_click=True), 2),
    "a long address": (
        offer(TOKEN, LONG, BASE, "pl", one_click=True),
        2,
    ),
}


def message(templates: Templates, offered: Unsubscribe | None) -> bytes:
    envelope = Envelope(Sender("ola@sender.example", "Ola"), "anna@leads.example", f"<{AN_ID}@sender.example>", offered)
    return compose(templates, {"email": "anna@leads.example"}, envelope, DATE)


@pytest.mark.parametrize("templates", [TEMPLATES, PLAIN], ids=["html", "plain"])
@pytest.mark.parametrize(("offered", "uris"), OFFERS.values(), ids=OFFERS)
class TestTheHeaders:
    def test_read_by_another_parser_are_exactly_what_was_offered(
        self, templates: Templates, offered: Unsubscribe, uris: int
    ) -> None:
        read = reader.read(message(templates, offered))

        assert re.fullmatch(r"<[^<> ]+>(, <[^<> ]+>)?", read["List-Unsubscribe"])
        assert read["List-Unsubscribe"].split(", ") == [f"<{it}>" for it in (offered.mailto, offered.url) if it]
        assert len(read["List-Unsubscribe"].split(", ")) == uris
        posts = [value for name, value in read.headers if name == "List-Unsubscribe-Post"]
        assert posts == ["List-Unsubscribe=One-Click"] * (offered.one_click and uris == 2)

    def test_are_folded_between_two_uris_only(self, templates: Templates, offered: Unsubscribe, uris: int) -> None:
        head, _, _ = message(templates, offered).decode().partition("\r\n\r\n")

        lines = [line for line in head.split("\r\n") if TOKEN in line]
        assert [line.count("<") == line.count(">") == 1 for line in lines] == [True] * uris

    def test_are_read_alike_by_the_standard_library(
        self, templates: Templates, offered: Unsubscribe, uris: int
    ) -> None:
        read = email.message_from_bytes(message(templates, offered), policy=policy.default)

        assert str(read["List-Unsubscribe"]) == ", ".join(f"<{it}>" for it in (offered.mailto, offered.url) if it)

    def test_the_link_in_the_letter_is_the_same(self, templates: Templates, offered: Unsubscribe, uris: int) -> None:
        read = reader.read(message(templates, offered))

        links = {"plain": offered.link, "html": offered.link.replace("'", "&#39;")}
        assert templates is PLAIN or [kind for kind in read.parts if links[kind] not in read.parts[kind]] == []

    @pytest.mark.parametrize("name", ["List-Unsubscribe", "List-Unsubscribe-Post"])
    def test_a_finished_message_without_one_or_with_another_is_refused(
        self, templates: Templates, offered: Unsubscribe, uris: int, name: str
    ) -> None:
        content = message(templates, offered)
        letter = letter_of(templates, offered)
        check_finished(content, letter)
        without = re.sub(rf"{name}: .*\r\n(?: .*\r\n)*".encode(), b"", content)
        other = content.replace(f"{name}: ".encode(), f"{name}: <https://evil.example>, ".encode())

        for changed in {without, other} - {content}:
            with pytest.raises(LetterInvalid):
                check_finished(changed, letter)


def letter_of(templates: Templates, offered: Unsubscribe) -> Letter:
    assert templates.subject is not None
    return Letter(
        sender_address="ola@sender.example",
        sender_name="Ola",
        recipient="anna@leads.example",
        subject=templates.subject.source,
        text="Hello",
        html=None if templates.html is None else "<a>stop</a>",
        message_id=f"<{AN_ID}@sender.example>",
        unsubscribe=offered,
    )


def test_one_click_needs_https() -> None:
    offered = offer(TOKEN, "ola@sender.example", "http://127.0.0.1:8026", "pl", one_click=True)

    assert [name for name, _ in offered.headers()] == ["List-Unsubscribe"]


def test_a_letter_that_offers_nothing_has_no_such_header() -> None:
    assert b"List-Unsubscribe" not in message(PLAIN, None)


def test_a_mailbox_address_is_written_so_that_its_uri_has_one_meaning() -> None:
    found = offer(TOKEN, "o'la+x&y=z/%?#,@sender.example", "", "pl", one_click=False)

    assert found.mailto == f"mailto:o%27la+x%26y%3Dz%2F%25%3F%23%2C@sender.example?subject=unsubscribe-{TOKEN}"


def test_a_previews_link_names_no_e_mail() -> None:
    offered = preview("ola@sender.example", BASE)

    assert offered.url == f"{BASE}/unsubscribe/en/{PREVIEW}"
    assert email_of(PREVIEW, [NEW, OLD]) is None
    assert not offered.one_click


@pytest.mark.parametrize(
    ("fields", "texts", "language"),
    [
        ({}, ("Hello", "How are you?"), "en"),
        ({}, ("Hello", "Zażółć"), "pl"),
        ({}, ("ŁÓDŹ", ""), "pl"),
        ({"language": "PL"}, ("Hello", ""), "pl"),
        ({"language": " en "}, ("Zażółć", ""), "en"),
        ({"lang": "pl-PL"}, ("Hello", ""), "pl"),
        ({"language": "de"}, ("Hello", ""), "en"),
        ({"language": ""}, ("Zażółć", ""), "pl"),
    ],
)
def test_the_language_is_the_leads(fields: Mapping[str, str], texts: tuple[str, ...], language: str) -> None:
    assert language_of(fields, *texts) == language
