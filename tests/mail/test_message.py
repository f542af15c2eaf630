"""The message as it goes over the wire."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mail.blank import is_blank, is_blank_html
from mail.message import LONGEST_NAME, LONGEST_SUBJECT, Letter, LetterInvalid, build, check_finished
from tests.mail import reader

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
HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID", "X-Punktual-Id", "References", "Thread-Index"),
    *("MIME-Version", "Content-Type"),
]

SUBJECTS = [
    "Re: Studio Jogi Cisza – przypomnienie o spotkaniu w środę o 14:00 w siedzibie firmy w Gdańsku",
    "Łucja, pytanie o współpracę między Hurtownia Gwóźdź i Śrubka sp. z o.o. a naszą pracownią – krótka rozmowa?",
    "Dzień dobry Anna, mamy pomysł, jak skrócić czas dostawy towarów do Piekarnia Kłos o połowę",
    "Pani Świętosława, zaproszenie na bezpłatne szkolenie dla księgowych – 12 grudnia w Łodzi",
    "  two before,  two between, two behind  ",
    "a word of " + "x" * 200,
    *(f"{'x' * first} {'x' * second} x" for first in (66, 67, 68) for second in (73, 74, 75, 76)),
    *("x" * length for length in (67, 68, 69, 70)),
    "plain words that have to be folded somewhere " * 8 + ".",
    "Is 2+2=? Or 2+2==?=",
    "Приглашение на семинар по работе с клиентами в следующем месяце",
    "🎉" * 60,
    "e\u0301" * 80,
    "\u200f\u202eשלום",
    "?= =?",
    "=?utf-8?q?=0d=0aReply-To:_x@evil.example=0d=0a=0d=0a<h1>evil</h1>",
    "=?utf-8?b?eA0KQmNjOiBhbGxAbGVhZHMuZXhhbXBsZQ==?= =?utf-8?q?_?=",
    "=?utf-8*en?q?=0AX:_y?=",
    "=?x-none?q?a?=",
    "=?utf-8?q?a=00b?=\u00a0=?",
]
NAMES = [
    "Kowalska, Aleksandra Maria - Customer Success Department, Warsaw and Lodz Office",
    "Kowalska, Aleksandra",
    "J. Kowalski (Biuro) <x@evil.example>, y@evil.example; z:",
    'Ola "Olka" Nowak\\',
    "ola@sender.example",
    "Żółć, Ola <x@evil.example>",
    *SUBJECTS,
]
TEXTS = [
    "no last line end",
    "\n\n  indented\n\n",
    "ends with white space \n\t\nand here too \t",
    "line ends\rof all\nkinds\r\nthere are\u2028\u0020\u2029\n",
    "From the first word on\nFrom here\n>From there\n",
    "." * 3 + "\n.\n..\n",
    "To jest zwykły polski list, w którym linia ma około dziewięćdziesięciu znaków i nic ponadto.\n" * 3,
    *(f"{'x' * length}{end}" for length in (74, 75, 76, 77, 78, 997, 1000) for end in ("", "\n", " \n", "ż\n", "=\n")),
    *(f"{'x' * length}żółć\n" for length in range(66, 78)),
    "=20 =? ?= =\n= \n",
    "--=_alternative--\r\n\r\n--=_alternative\r\nContent-Type: text/html\r\n\r\nevil\n",
    "Привет, мир! " * 30,
    "🎉" * 100,
]
# What headers and bodies are made of, so that what is drawn at random is often nearly something.
IN_A_LINE = [
    *(
        "=?",
        "?=",
        "?",
        "=",
        "utf-8",
        "?q?",
        "?b?",
        "=0D=0A",
        "Bcc:",
        " ",
        "  ",
        "eA0KQmNjOiB4",
        "=?utf-8?q?=0ABcc:_x?=",
    ),
    *('"', "\\", "<x@y.example>", ",", ";", ":", "(", ")", ".", "_", "ż", "ą" * 20, "🎉", "\u202e", "\u00a0"),
    *("x" * 60, "słowo ", "word ", "--=_alternative", "From "),
]
LINE = st.lists(
    st.sampled_from(IN_A_LINE) | st.text(st.characters(exclude_categories=["C", "Z"]), max_size=5), max_size=20
).map("".join)
TEXT = st.lists(LINE | st.sampled_from(["\n", "\r\n", "\r", "\t", "\u2028"]), max_size=8).map("".join)
SEEN_LINE, SEEN_TEXT = (it.filter(lambda value: not is_blank(value)) for it in (LINE, TEXT))


def of_lines(text: str) -> str:
    """With the line ends that mail has."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def changed(**changes: Any) -> Letter:
    return replace(LETTER, **changes)


class TestAMessage:
    def test_has_its_own_headers_once_each_in_order(self) -> None:
        assert [name for name, _ in reader.read(build(LETTER, DATE)).headers] == HEADERS
        assert [name for name, _ in reader.read(build(changed(html=None), DATE)).headers] == [
            *HEADERS,
            "Content-Transfer-Encoding",
        ]

    def test_carries_the_unique_part_of_its_message_id_in_a_header_that_no_provider_rewrites(self) -> None:
        message = reader.read(build(LETTER, DATE))

        assert (message["Message-ID"], message["X-Punktual-Id"]) == ("<0b6fa1@sender.example>", "0b6fa1")

    def test_an_international_domain_goes_in_its_ascii_form(self) -> None:
        message = reader.read(build(changed(recipient="lead@żółw.example"), DATE))

        assert message["To"] == "lead@xn--w-uga1v8h.example"

    def test_bears_the_offset_of_the_date_that_it_is_given(self) -> None:
        date = DATE.astimezone(timezone(timedelta(hours=2)))

        assert reader.read(build(LETTER, date))["Date"] == "Tue, 24 Nov 2026 11:30:00 +0200"


class TestLetterForLetter:
    @pytest.mark.parametrize("subject", SUBJECTS)
    def test_a_subject_arrives_as_it_was_written(self, subject: str) -> None:
        assert reader.read(build(changed(subject=subject), DATE)).subject == subject

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_arrives_as_it_was_written_and_the_sender_is_the_mailbox(self, name: str) -> None:
        assert reader.read(build(changed(sender_name=name), DATE)).sender == (name, LETTER.sender_address)

    @pytest.mark.parametrize("name", ["Ola", "Kowalska, Ola", "Żółć", "ż" * LONGEST_NAME])
    def test_a_name_stands_before_an_address_of_any_length(self, name: str) -> None:
        address = f"{'o' * 64}@{'sender.' * 25}example"

        assert reader.read(build(changed(sender_name=name, sender_address=address), DATE)).sender == (name, address)

    @pytest.mark.parametrize("text", TEXTS)
    def test_a_text_arrives_as_it_was_written_its_last_line_end_too(self, text: str) -> None:
        single, double = (reader.read(build(changed(text=text, html=html), DATE)) for html in (None, f"<p>{text}"))

        assert single.parts == {"plain": of_lines(text)}
        assert double.parts == {"plain": of_lines(text), "html": of_lines(f"<p>{text}")}

    @given(subject=SEEN_LINE, name=LINE, text=SEEN_TEXT, html=st.none() | TEXT)
    @example(subject=" " + "ż" * (LONGEST_SUBJECT - 2) + " ", name="ż" * LONGEST_NAME, text="=", html=None)
    def test_whatever_is_written_arrives(self, subject: str, name: str, text: str, html: str | None) -> None:
        subject, html = subject[:LONGEST_SUBJECT], None if html is None else f"<p>x{html}"

        message = reader.read(build(changed(subject=subject, sender_name=name, text=text, html=html), DATE))

        assert message.subject == subject
        assert message.sender == (name, LETTER.sender_address)
        assert message.parts == {"plain": of_lines(text), **({"html": of_lines(html)} if html else {})}
        assert [name for name, _ in message.headers][: len(HEADERS)] == HEADERS

    @given(
        subject=st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=LONGEST_SUBJECT),
        text=st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=2000),
    )
    def test_nothing_that_can_be_seen_is_refused(self, subject: str, text: str) -> None:
        assume(not is_blank(subject) and not is_blank(text))

        message = reader.read(build(changed(subject=subject, text=text), DATE))

        assert (message.subject, message.parts["plain"]) == (subject, text)

    def test_words_of_ascii_stay_readable_and_lines_short(self) -> None:
        subject = "a question about the delivery of parcels in December, and one more about those of January"

        lines = build(changed(subject=subject), DATE).decode().split("\r\n")

        place = lines.index("Subject: a question about the delivery of parcels in December, and one more")
        assert lines[place + 1] == " about those of January"

    def test_spaces_that_a_reader_may_take_for_one_are_encoded(self) -> None:
        content = build(changed(subject="two  words", sender_name="two  words"), DATE)

        assert content.count(b"=?utf-8?q?two__words?=") == 2

    def test_a_text_that_can_stay_readable_does(self) -> None:
        content = build(changed(text="Dear Anna,\nhow are you?\n", html="<p>Żółć i tak dalej, i tak dalej</p>\n"), DATE)

        assert b"\r\n\r\nDear Anna,\r\nhow are you?\r\n" in content
        assert b"<p>=C5=BB=C3=B3=C5=82=C4=87 i tak dalej, i tak dalej</p>\r\n" in content


class TestHeaderInjection:
    @pytest.mark.parametrize("name", ["subject", "sender_name", "recipient", "sender_address"])
    @pytest.mark.parametrize("evil", ["\r\nBcc: all@leads.example", "\nX: y", "\r", "\x00", "\u2028", "\x85"])
    def test_a_control_character_is_refused(self, name: str, evil: str) -> None:
        with pytest.raises(LetterInvalid, match="control character"):
            build(changed(**{name: f"a{evil}"}), DATE)

    @given(value=st.lists(st.sampled_from([*IN_A_LINE, "\r\n", "\n", "\t", "\0"]) | st.text(max_size=3)).map("".join))
    def test_whatever_a_lead_is_called_the_message_is_ours_or_is_refused(self, value: str) -> None:
        for name in ("subject", "sender_name", "recipient", "sender_address"):
            try:
                content = build(changed(**{name: value}), DATE)
            except LetterInvalid:
                continue
            message = reader.read(content)
            assert [name for name, _ in message.headers] == HEADERS
            assert getattr(message, "subject" if name == "subject" else "sender") in (
                value,
                (value, LETTER.sender_address),
            )

    @pytest.mark.parametrize("name", ["recipient", "sender_address"])
    @pytest.mark.parametrize("evil", ["=?utf-8?q?a?=@leads.example", "=?@leads.example", "a=?utf-8?b?@leads.example"])
    def test_an_address_that_looks_like_an_encoded_word_is_refused(self, name: str, evil: str) -> None:
        with pytest.raises(LetterInvalid, match="cannot be used in a header"):
            build(changed(**{name: evil}), DATE)

    @pytest.mark.parametrize(
        "evil",
        ["a, b@leads.example", "ż@leads.example", "<a@leads.example>", "a b@leads.example", "a", "a@b@c.example"],
    )
    def test_what_is_no_address_is_refused(self, evil: str) -> None:
        with pytest.raises(LetterInvalid, match="cannot be used in a header"):
            build(changed(recipient=evil), DATE)

    def test_a_line_break_in_a_message_id_is_found(self) -> None:
        with pytest.raises(LetterInvalid, match="the finished message has other headers"):
            build(changed(message_id="<1@sender.example>\r\nBcc: all@leads.example"), DATE)

    def test_an_endless_subject_is_refused(self) -> None:
        with pytest.raises(LetterInvalid, match="longer than"):
            build(changed(subject="x" * (LONGEST_SUBJECT + 1)), DATE)


class TestTheFinalCheck:
    """A message with anything that is not ours is not used, whatever put it there."""

    CONTENT = build(LETTER, DATE)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"Date: ", b"Reply-To: x@evil.example\r\nDate: "),
            (b"Date: ", b"Subject: another\r\nDate: "),
            (b"Date: ", b"date: "),
            (b"Date: ", b"Date:"),
            (b"Date: ", b"\r\nDate: "),
            (b"MIME-Version: 1.0\r\n", b""),
            (b"To: Lucja@leads.example", b"To: Lucja@leads.example, x@evil.example"),
            (b"<ola@sender.example>", b"<x@evil.example>"),
            (b"From: ", b"From: x@evil.example, "),
            (b"From: =?utf-8?b?", b'From: "Ola" <x@evil.example> =?utf-8?b?'),
            (b"From: =?utf-8?b?T2xhIMW7w7PFgsSH?=", b"From: =?utf-8?b?T2xhIMW7w7PFgsSH"),
            (b"Subject: =?utf-8?b?", b"Subject: =?utf-8?q?=0d=0aBcc:_x =?utf-8?b?"),
            (b"<0b6fa1@", b"<another@"),
            (b"References: <thread.0b6fa1@", b"References: <thread.another@"),
            (b"References: ", b"In-Reply-To: <another@sender.example>\r\nReferences: "),
            (b"Thread-Index: A", b"Thread-Index: B"),
            (b"Content-Type: text/html", b"--=_alternative\r\nContent-Type: text/html"),
            (b"--=_alternative--", b"--=_alternative"),
            (b"kropka", b"kropka\nline"),
            (b"kropka", b"kropka\rline"),
            (b"kropka", b"kropka\0"),
            (b"kropka", "żółć".encode()),
            (b"kropka", b"x" * 999),
        ],
    )
    def test_finds_what_is_not_ours(self, old: bytes, new: bytes) -> None:
        assert self.CONTENT.count(old) >= 1

        with pytest.raises(LetterInvalid, match="the finished message has"):
            check_finished(self.CONTENT.replace(old, new, 1), LETTER)

    @pytest.mark.parametrize("name", ["recipient", "sender_address", "message_id", "html", "sender_name"])
    def test_finds_the_message_of_another_letter(self, name: str) -> None:
        other = {"html": None, "sender_name": "", "message_id": "<1@sender.example>"}.get(name, "x@leads.example")

        with pytest.raises(LetterInvalid, match="the finished message has"):
            check_finished(self.CONTENT, changed(**{name: other}))


class TestTheText:
    @pytest.mark.parametrize("name", ["text", "html"])
    @pytest.mark.parametrize("evil", ["\x00", "\x1b]0;owned\x07", "\ud800", "\x9b31m"])
    def test_with_a_control_character_is_refused(self, name: str, evil: str) -> None:
        with pytest.raises(LetterInvalid, match=f"the {name} has a control character"):
            build(changed(**{name: f"Dear {evil}"}), DATE)


BLANK = [
    "",
    " ",
    "\n\t\n",
    "\u00a0\u3000",
    "\u200b\u200d\ufeff",
    "\u2800",
    "\u3164\u115f",
    "\u00ad\u2060",
    "\ufe0f\U000e0020",
]
BLANK_HTML = [
    *("<p></p>", "<html><body>\n<br>&nbsp;&#8203;&zwnj;&#xFEFF;</body></html>", "<!-- a comment -->", "<!-- left open"),
    *("<head><title>A title</title><style>p { color: red }</style></head><p> </p>", "<script>x</script>", "<p", "<hr>"),
    *(
        "<div style='color: red; DISPLAY:none'>preview<div>more</div></div>",
        "<p hidden>x</p>",
        "<b hidden><b>x</b>y</b>",
        "<span hidden><b>x</b>",
    ),
    *("<img src=a.png width='1px' height=\"1px\">", "<img src=a.png style='display:block;width:1px;height:1px'>"),
    *("<p style='opacity: 0'>x</p>", "<div style='max-height:0px; overflow:hidden'>x</div>"),
    *("<img>", "<img src=''>", "<img src='https://a.example/' width=1 height=1>", "<!--[if mso]>x<![endif]-->"),
]
SEEN_HTML = [
    *(
        "x",
        "<p>x",
        "&lt;",
        "a < b",
        "<3",
        "&",
        "<!-- a -->x<!-- b",
        "<![endif]-->x",
        "<!--[if !mso]><!-->x<!--<![endif]-->",
    ),
    *("<head><title>t</title></head>x", "<style>p{}</style>x", "<p hidden>a<p>x", "<div hidden><div>a</div></div>x"),
    *("<td style='display:none'>a<td>x", "<input hidden>x", "<meta style='display:none'>x", "<div>x", "🎉"),
    *("<img src=a.png style='width:100px;max-height:1px'>", "<p style='opacity:0.9;line-height:0;overflow:hidden'>x"),
    *("<img src=cid:1>", "<a href=x><img src='https://a.example/' width=600></a>", "<svg/>"),
]


class TestALetterThatLooksBlank:
    @pytest.mark.parametrize("name", ["subject", "text", "html"])
    @pytest.mark.parametrize("blank", BLANK)
    def test_is_refused_with_what_is_blank(self, name: str, blank: str) -> None:
        blank = blank.replace("\n", "").replace("\t", "") if name == "subject" else blank

        with pytest.raises(LetterInvalid, match=f"the {name} is empty"):
            build(changed(**{name: blank}), DATE)

    @pytest.mark.parametrize("blank", BLANK_HTML)
    def test_is_refused_when_its_html_shows_nothing(self, blank: str) -> None:
        with pytest.raises(LetterInvalid, match="the html is empty: it shows no text and no picture"):
            build(changed(html=blank), DATE)

    @pytest.mark.parametrize("html", SEEN_HTML)
    def test_is_none_when_there_is_something_to_see(self, html: str) -> None:
        assert build(changed(html=html), DATE)

    @given(
        st.lists(st.sampled_from([*BLANK_HTML, *SEEN_HTML, *"<>!-[]&;='\"/", "<!", "<![", "</", "]]>", "<?"])).map(
            "".join
        )
    )
    def test_any_html_is_judged(self, html: str) -> None:
        assert is_blank_html(html) in (True, False)
        assert not is_blank_html(f"<p>x</p>{html}")
