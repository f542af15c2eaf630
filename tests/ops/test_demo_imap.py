"""The demo's inbox, read as the product reads a provider's."""

from datetime import timedelta

import clock
from mail.inbox import Bounds, opened
from mail.login import Server
from ops.demo_imap import DemoInbox, reply_to

LETTER = (
    b"From: Ola <ola@sender.example>\r\nTo: anna@leads.example\r\nSubject: Hello\r\nMessage-ID: <1@x>\r\n\r\nDear Anna"
)
BOUNDS = Bounds(messages=10, message_bytes=10_000, bytes=100_000, seconds=30)


def read(answers: DemoInbox, user: str, after: int = 0) -> list[tuple[int, bytes]]:
    server = Server("127.0.0.1", answers.port, "none", user, "any")
    with opened(server, 10, BOUNDS) as inbox:
        [name] = inbox.folders()
        folder = inbox.open(name)
        found = [it.message for it in folder.after(after, clock.now().date() - timedelta(days=3))]
    return [(it.uid, it.raw) for it in found if it is not None]


def test_what_came_in_is_read_once_and_by_its_own_user() -> None:
    with DemoInbox() as answers:
        assert read(answers, "ola") == []
        for text in ("first", "second"):
            answers.receive("ola", reply_to(LETTER, text))

        both = read(answers, "ola")

        assert [uid for uid, _ in both] == [1, 2]
        assert both[1][1].endswith(b"\r\n\r\nsecond\r\n")
        assert [uid for uid, _ in read(answers, "ola", after=1)] == [2]
        assert read(answers, "jan") == []


def test_a_reply_names_the_letter_that_it_answers() -> None:
    reply = reply_to(LETTER, "Yes, please")

    assert b"In-Reply-To: <1@x>\r\n" in reply
    assert reply.startswith(b"From: anna@leads.example\r\nTo: Ola <ola@sender.example>\r\nSubject: Re: Hello\r\n")
