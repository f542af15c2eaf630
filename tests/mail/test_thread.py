"""Follow-ups and the letters before them are one conversation in the mail programs that people use."""

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mail.blank import is_blank
from mail.compose import Envelope, Sender, Templates, compose
from mail.incoming import classify
from mail.message import LONGEST_SUBJECT, LetterInvalid
from mail.thread import Thread, first_of, id_of, subject_of
from tests.mail import reader
from tests.mail.conversations import PROGRAMS, Letter, seen
from tests.mail.test_message import LINE, SUBJECTS

START = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
# Stock rules of SpamAssassin 4.0 (72_active.cf): with another Thread-Index, a letter is taken for spam.
GOOD_INDEX = re.compile(
    r"A[A-Za-z0-9][A-Za-z0-9+/]{27}(?:[A-Za-z0-9+/]{20})?"
    r"(?:[AQgw]==|[A-Za-z0-9+/]{7}|[A-Za-z0-9+/]{13}[AEIMQUYcgkosw048]=)"
)
Program = Callable[[Sequence[Letter]], list[list[Letter]]]


def id_at(place: int, lead: int = 1) -> str:
    return f"<{UUID(int=lead * 1000 + place)}@sender.example>"


def letter(subject: str | None, place: int, lead: int = 1, thread: Thread | None = None) -> bytes:
    sender, recipient = Sender("ola@sender.example", "Ola"), f"lead{lead}@leads.example"
    envelope = Envelope(sender, recipient, id_at(place, lead), None, thread)
    return compose(
        Templates.of(None if thread else "{{ s }}", "Hello", None), {"s": subject or ""}, envelope, at(place)
    )


def at(place: int) -> datetime:
    return START + timedelta(days=4 * place)


def sequence(subject: str, count: int = 3, lead: int = 1, wire: Callable[[str], str] = str) -> list[bytes]:
    """The letters that one lead gets. wire: what the provider makes of a Message-ID, as far as it is known."""
    letters = [letter(subject, 0, lead)]
    while len(letters) < count:
        before = tuple(wire(id_at(place, lead)) for place in range(len(letters)))
        thread = Thread(id_at(0, lead), subject_of(letters[0]) or "", before)
        letters.append(letter(None, len(letters), lead, thread))
    return letters


def changed(message_id: str) -> str:
    """As Exchange Online does."""
    return f"<AS8PR{abs(hash(message_id))}@AS8PR07MB1.eurprd07.prod.outlook.com>"


SEEN = LINE.map(lambda line: line[:LONGEST_SUBJECT]).filter(lambda line: not is_blank(line))


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
class TestInAMailProgram:
    @settings(max_examples=30)
    @given(subject=st.sampled_from(SUBJECTS) | SEEN, count=st.integers(2, 12))
    @example(subject="Re: about your shop", count=3)
    @example(subject="Odp: w sprawie sklepu", count=3)
    @example(subject="Info: Re: x", count=2)
    @example(subject="ż" * LONGEST_SUBJECT, count=2)
    def test_a_sequence_is_one_conversation(self, program: Program, subject: str, count: int) -> None:
        letters = [seen(each) for each in sequence(subject, count)]

        assert program(letters) == [letters]

    @pytest.mark.parametrize("known", [True, False], ids=["known", "not known"])
    def test_also_if_the_provider_changed_the_message_ids(self, program: Program, known: bool) -> None:
        contents = sequence("Zażółć gęślą jaźń", 4, wire=changed if known else str)
        letters = [seen(each, changed(id_at(place))) for place, each in enumerate(contents)]

        assert program(letters) == [letters]

    @settings(max_examples=20)
    @given(subject=st.sampled_from(SUBJECTS) | SEEN)
    @example(subject="Re: about your shop")
    def test_the_letters_to_two_leads_are_two_in_the_folder_of_sent_letters(
        self, program: Program, subject: str
    ) -> None:
        first, second = ([seen(each) for each in sequence(subject, lead=lead)] for lead in (1, 2))

        assert sorted(map(len, program(sorted([*first, *second], key=lambda each: each.date)))) == [3, 3]

    @settings(max_examples=20)
    @given(subject=st.sampled_from(SUBJECTS) | SEEN)
    def test_two_campaigns_with_one_subject_are_two_in_the_leads_inbox(self, program: Program, subject: str) -> None:
        """Their ids differ as those of two leads do; sender, recipient, subject and day are the same."""
        contents = [*sequence(subject), *sequence(subject, lead=2)]
        letters = [seen(each.replace(b"lead2@", b"lead1@")) for each in contents]

        assert program(letters) == [letters[:3], letters[3:]]

    def test_a_step_with_a_subject_of_its_own_begins_another(self, program: Program) -> None:
        letters = [seen(each) for each in [*sequence("About your shop", 2), letter("A new idea", 2)]]

        assert program(letters) == [letters[:2], letters[2:]]


def test_a_leads_answer_and_the_letter_that_it_answers_are_one_conversation_where_programs_look_at_references() -> None:
    first, second = map(seen, sequence("About your shop", 2))
    answer = Letter(
        "<1@leads.example>", (*second.refers_to, second.id), "Re: About your shop", second.people, at(9), b""
    )

    for name in ("Gmail", "Apple Mail"):
        assert PROGRAMS[name]([first, second, answer]) == [[first, second, answer]]


class TestTheHeaders:
    def test_of_a_first_letter_name_its_thread_alone(self) -> None:
        message = reader.read(letter("Hello", 0))

        assert message["References"] == id_of(id_at(0)) != message["Message-ID"]
        assert "In-Reply-To" not in dict(message.headers)

    def test_of_a_follow_up_name_the_letters_before_as_they_went_over_the_wire(self) -> None:
        *_, last = sequence("Hello", 4, wire=changed)

        message = reader.read(last)

        before = [changed(id_at(place)) for place in range(3)]
        assert message["In-Reply-To"] == before[-1]
        assert message["References"].split(" ") == [id_of(id_at(0)), *before]

    @settings(max_examples=50)
    @given(
        ids=st.lists(
            st.from_regex(r"<[!-;=?-~]{1,30}>", fullmatch=True)
            | st.sampled_from(
                [
                    "",
                    "<>",
                    "x",
                    "<a b>",
                    "<a>\r\nBcc: <b>",
                    "<a>\r\n <b>",
                    "<ż@x>",
                    "<\0>",
                    f"<{'a' * 901}>",
                    f"<{'a' * 900}>",
                ]
            )
        )
    )
    def test_are_in_their_form_whatever_a_server_said_the_ids_are(self, ids: list[str]) -> None:
        fit = [each for each in ids if re.fullmatch(r"<[!-;=?-~]{1,900}>", each)]

        content = letter(None, 1, thread=Thread(id_at(0), "Hello", tuple(ids)))

        head = content.decode("ascii").partition("\r\n\r\n")[0]
        fields = dict(field.split(": ", 1) for field in re.sub(r"\r\n(?= )", "", head).split("\r\n"))
        assert fields["References"].split(" ") == [id_of(id_at(0)), *fit]
        assert fields.get("In-Reply-To") == (fit[-1] if fit else None)
        assert max(map(len, head.split("\r\n"))) < 998
        assert "Bcc" not in fields

    @pytest.mark.parametrize("count", range(1, 13))
    def test_for_outlook_are_of_the_form_that_spam_filters_know(self, count: int) -> None:
        indexes = [reader.read(each)["Thread-Index"] for each in sequence("Hello", count)]

        assert all(GOOD_INDEX.fullmatch(each) for each in indexes)
        assert [len(b64decode(each)) for each in indexes] == [22, *[27] * (count - 1)]
        assert indexes[1:] == sorted(set(indexes[1:]))

    def test_name_the_first_letter_to_whoever_gets_an_answer_although_all_message_ids_were_changed(self) -> None:
        thread_id = id_of(id_at(0)).encode()
        answer = (
            b"From: a@leads.example\r\nIn-Reply-To: <2@other>\r\nReferences: " + thread_id + b" <1@other> <2@other>"
        )

        cited = [each.message_id for each in classify.cited(answer + b"\r\n\r\nYes\r\n")]

        assert cited == ["<2@other>", "<1@other>", thread_id.decode(), id_at(0)]
        assert first_of("<1@other>") is None


class TestTheSubject:
    @pytest.mark.parametrize(
        ("sent", "answer"),
        [
            ("About your shop", "Re: About your shop"),
            ("Zażółć gęślą jaźń", "Re: Zażółć gęślą jaźń"),
            *((each, each) for each in ("Re: x", "RE: x", "re:x", " Re : x", "Re[2]: x", "Re (3): x", "Re\uff1ax")),
            *((each, each) for each in ("Odp: x", "ODP: x", "AW: x", "SV: x", "Re: Odp: Re: x")),
            ("Reklama: x", "Re: Reklama: x"),
            ("Odpowiedź na pytanie", "Re: Odpowiedź na pytanie"),
            ("Fwd: x", "Re: Fwd: x"),
            ("PD: x", "Re: PD: x"),
            ("Re", "Re: Re"),
        ],
    )
    def test_of_a_follow_up_is_the_first_one_as_an_answer_once(self, sent: str, answer: str) -> None:
        subjects = [reader.read(each).subject for each in sequence(sent, 3)]

        assert subjects == [sent, answer, answer]

    @given(subject=st.sampled_from(SUBJECTS) | SEEN)
    @example(subject="ż" * LONGEST_SUBJECT)
    def test_as_it_was_sent_is_read_from_the_letter_or_its_beginning(self, subject: str) -> None:
        content = letter(subject, 0)

        assert subject_of(content) == subject_of(content[: content.index(b"\r\n\r\n")]) == subject

    def test_of_no_letter_is_none(self) -> None:
        assert subject_of(b"") is None
        assert subject_of(b"From: x\r\n\r\nSubject x\r\n") is None

    def test_may_be_as_long_as_another_and_no_longer_without_the_prefix(self) -> None:
        with pytest.raises(LetterInvalid):
            letter("x" * (LONGEST_SUBJECT + 1), 0)
        with pytest.raises(LetterInvalid):
            letter(None, 1, thread=Thread(id_at(0), "x" * (LONGEST_SUBJECT + 1), (id_at(0),)))
        assert letter(None, 1, thread=Thread(id_at(0), "x" * LONGEST_SUBJECT, (id_at(0),)))

    def test_is_missing_without_a_thread(self) -> None:
        envelope = Envelope(Sender("ola@sender.example", ""), "lead1@leads.example", id_at(0))

        with pytest.raises(ValueError, match="needs the thread"):
            compose(Templates.of(None, "Hello", None), {}, envelope, START)
