"""What a mailbox's Sent folder proves, asked of a real IMAP server."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import count

import pytest

import clock
from mail import imap
from mail.connection import Server
from mail.imap import Evidence, Patience, SentFolderUnreadable, Step
from mail.message import Letter, build
from tests.dovecot import Dovecot
from tests.waiting import BOUND

QUICK = Patience(command_seconds=10, conversation_seconds=30)
TODAY = clock.now().date()
YESTERDAY = TODAY - timedelta(days=1)
UNIQUE = "6f1c2f9e-3b0a-4b52-9d5e-0d7c0c5e9a11"
MESSAGE_ID = f"<{UNIQUE}@sender.example>"

_numbers = count(1)


@pytest.fixture
def user() -> str:
    return f"user{next(_numbers)}"


def a_mail(message_id: str = MESSAGE_ID, text: str = "Dear lead") -> bytes:
    letter = Letter("ola@sender.example", "Ola", "lead@leads.example", "Hello", text, None, message_id)
    return build(letter, clock.now())


def rewritten(content: bytes) -> bytes:
    """As by a provider that gives every mail a Message-ID of its own."""
    return content.replace(MESSAGE_ID.encode(), b"<0123@provider.example>")


def server(dovecot: Dovecot, user: str, security: str = "tls", password: str = Dovecot.password) -> Server:
    return Server(dovecot.host, dovecot.tls_port if security == "tls" else dovecot.port, security, user, password)


def look(
    dovecot: Dovecot, user: str, folder: str | None = None, security: str = "tls", since: date = YESTERDAY
) -> Evidence | None:
    trusting = dovecot.certificate.trusting
    with imap.sent_folder(server(dovecot, user, security), folder, QUICK, trusting) as sent:
        return sent.find(MESSAGE_ID, since)


def fail(target: Server, dovecot: Dovecot | None = None, patience: Patience = QUICK) -> SentFolderUnreadable:
    trusting = dovecot.certificate.trusting if dovecot else None
    with pytest.raises(SentFolderUnreadable) as caught, imap.sent_folder(target, None, patience, trusting):
        raise AssertionError("it was opened")
    assert Dovecot.password not in repr(caught.value)
    return caught.value


class TestACopy:
    @pytest.mark.parametrize("security", ["tls", "starttls", "none"])
    def test_is_found_by_its_message_id(self, dovecot: Dovecot, user: str, security: str) -> None:
        dovecot.file(user, a_mail("<another@sender.example>"))
        dovecot.file(user, a_mail())

        evidence = look(dovecot, user, security=security)

        assert evidence
        assert (evidence.folder, evidence.uid, evidence.header) == ("Sent", 2, "Message-ID")
        assert abs(evidence.filed_at - clock.now()) < timedelta(hours=1)

    def test_whose_message_id_the_provider_rewrote_is_found_by_our_own_header(
        self, dovecot: Dovecot, user: str
    ) -> None:
        dovecot.file(user, rewritten(a_mail()))

        evidence = look(dovecot, user)

        assert evidence
        assert evidence.header == "X-Punktual-Id"

    def test_is_found_in_a_folder_with_polish_letters(self, dovecot: Dovecot, user: str) -> None:
        dovecot.file(user, a_mail(), folder="Wysłane")

        evidence = look(dovecot, user, folder="Wysłane")

        assert evidence
        assert evidence.folder == "Wysłane"
        assert look(dovecot, user) is None

    def test_stays_as_unread_and_recent_as_it_was(self, dovecot: Dovecot, user: str) -> None:
        dovecot.file(user, a_mail())

        look(dovecot, user)

        assert dovecot.flags(user) == [(rb"\Recent",)]


class TestWhatIsNoCopy:
    def test_an_empty_folder_proves_nothing(self, dovecot: Dovecot, user: str) -> None:
        assert look(dovecot, user) is None

    @pytest.mark.parametrize("header", ["X-Punktual-Id", "Message-ID"])
    def test_a_header_that_only_contains_ours(self, dovecot: Dovecot, user: str, header: str) -> None:
        value = {"X-Punktual-Id": f"{UNIQUE}0", "Message-ID": f"<x{MESSAGE_ID}"}[header]
        dovecot.file(user, f"{header}: {value}\r\nSubject: another\r\n\r\nhello\r\n".encode())

        assert look(dovecot, user) is None

    def test_our_headers_in_the_text_of_another_mail(self, dovecot: Dovecot, user: str) -> None:
        quoted = f"X-Punktual-Id: {UNIQUE}\nMessage-ID: {MESSAGE_ID}\n"
        dovecot.file(user, a_mail("<another@sender.example>", text=quoted))

        assert look(dovecot, user) is None

    def test_a_reply_to_it(self, dovecot: Dovecot, user: str) -> None:
        headers = f"In-Reply-To: {MESSAGE_ID}\r\nReferences: {MESSAGE_ID}\r\nMessage-ID: <reply@sender.example>"
        dovecot.file(user, f"{headers}\r\n\r\nhello\r\n".encode())

        assert look(dovecot, user) is None

    def test_a_mail_that_was_filed_before_ours_can_have_been_sent(self, dovecot: Dovecot, user: str) -> None:
        dovecot.file(user, a_mail())

        assert look(dovecot, user, since=TODAY + timedelta(days=2)) is None


class TestAFolderThatCannotBeLookedInto:
    def test_for_a_wrong_password(self, dovecot: Dovecot, user: str) -> None:
        failure = fail(server(dovecot, user, password="wr0ng-one"), dovecot)

        assert failure.step is Step.LOGIN
        assert str(failure) == "[AUTHENTICATIONFAILED] Authentication failed."

    @pytest.mark.parametrize("security", ["tls", "starttls"])
    def test_for_a_certificate_that_nobody_vouches_for(self, dovecot: Dovecot, user: str, security: str) -> None:
        failure = fail(server(dovecot, user, security))

        assert failure.step is Step.CONNECT
        assert "certificate verify failed" in str(failure)

    def test_because_the_password_would_leave_unencrypted(self, dovecot: Dovecot, user: str) -> None:
        """It does not say in a plain form that it is this machine, and so it counts as another."""
        failure = fail(Server("127.1", dovecot.port, "none", user, dovecot.password))

        assert failure.step is Step.LOGIN
        assert str(failure) == "a password is never sent over an unencrypted connection"

    def test_because_none_is_marked(self, user: str) -> None:
        with Dovecot(sent="Wysłane", marked=False) as unmarked:
            failure = fail(server(unmarked, user), unmarked)

        assert failure.step is Step.FOLDER
        assert str(failure) == "the server marks no folder as the one of sent mails: it must be named"

    def test_because_there_is_none_of_that_name(self, dovecot: Dovecot, user: str) -> None:
        with pytest.raises(SentFolderUnreadable, match="doesn't exist") as caught:
            look(dovecot, user, folder="Nowhere")

        assert caught.value.step is Step.FOLDER

    def test_because_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]

        assert fail(Server("127.0.0.1", port, "none", "ola", "s3cret")).step is Step.CONNECT

    def test_because_the_server_says_nothing(self) -> None:
        with a_server_that_says(b"") as port:
            failure = fail(Server("127.0.0.1", port, "none", "ola", "s3cret"), patience=Patience(0.2, 30))

        assert (failure.step, str(failure)) == (Step.CONNECT, "timed out")

    def test_because_the_server_talks_without_end(self) -> None:
        with a_server_that_says(b"*") as port:
            failure = fail(Server("127.0.0.1", port, "none", "ola", "s3cret"), patience=Patience(30, 0.3))

        assert (failure.step, str(failure)) == (Step.CONNECT, "the conversation took too long")

    @pytest.mark.parametrize("security", ["tls", "starttls"])
    def test_when_the_whole_conversation_takes_too_long(self, dovecot: Dovecot, user: str, security: str) -> None:
        target, trusting = server(dovecot, user, security), dovecot.certificate.trusting

        def ask_for_ever() -> None:
            with imap.sent_folder(target, None, Patience(30, 0.5), trusting) as sent:
                while True:
                    sent.find(MESSAGE_ID, YESTERDAY)

        with pytest.raises(SentFolderUnreadable, match="the conversation took too long"):
            ask_for_ever()


def test_a_server_that_refuses_to_search_for_our_header_is_asked_for_the_next_mail_all_the_same() -> None:
    with a_server_that_refuses("X-Punktual-Id") as port:
        target = Server("127.0.0.1", port, "none", "ola", "s3cret")
        with imap.sent_folder(target, "Sent", QUICK) as sent:
            assert [sent.find(MESSAGE_ID, YESTERDAY), sent.find(MESSAGE_ID, YESTERDAY)] == [None, None]


def test_a_server_that_refuses_to_search_at_all_cannot_be_asked() -> None:
    with a_server_that_refuses("Message-ID") as port:
        target = Server("127.0.0.1", port, "none", "ola", "s3cret")
        with (
            imap.sent_folder(target, "Sent", QUICK) as sent,
            pytest.raises(SentFolderUnreadable, match="not that one"),
        ):
            sent.find(MESSAGE_ID, YESTERDAY)


@contextmanager
def a_server_that_refuses(header: str) -> Iterator[int]:
    """Takes one connection, agrees to everything, finds nothing, and refuses to search for this header."""

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rwb", buffering=0) as wire:
            wire.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
            while line := wire.readline().decode():
                tag, _, command = line.partition(" ")
                if header in command:
                    wire.write(f"{tag} NO not that one\r\n".encode())
                else:
                    found = "* SEARCH\r\n" if "SEARCH" in command else "* CAPABILITY IMAP4rev1\r\n"
                    wire.write(f"{found}{tag} OK done\r\n".encode())

    with serving(serve) as port:
        yield port


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        thread.join(BOUND)


@contextmanager
def a_server_that_says(byte: bytes) -> Iterator[int]:
    """Takes one connection and repeats the byte until the client has gone."""
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            while not over.wait(0.02):
                try:
                    connection.sendall(byte)
                except OSError:
                    return

    with serving(serve) as port:
        yield port
        over.set()
