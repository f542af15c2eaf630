"""What a mailbox's Sent folder proves, asked of a real IMAP server."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import date, timedelta
from itertools import count
from typing import Self

import pytest

import clock
from mail import imap
from mail.connection import Server
from mail.imap import Evidence, Patience, SentFolder, SentFolderUnreadable, Step
from mail.message import Letter, build
from reasons import Code
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
        assert str(failure).startswith(
            "the certificate of localhost is from an authority that this machine does not trust"
        )

    @pytest.mark.parametrize("security", ["starttls", "none"])
    def test_on_a_port_that_begins_with_tls(self, dovecot: Dovecot, user: str, security: str) -> None:
        failure = fail(Server(dovecot.host, dovecot.tls_port, security, user, dovecot.password), dovecot)

        assert (failure.step, str(failure)) == (Step.CONNECT, Code.TLS_FIRST.template)

    def test_on_a_port_that_does_not_begin_with_tls(self, dovecot: Dovecot, user: str) -> None:
        failure = fail(Server(dovecot.host, dovecot.port, "tls", user, dovecot.password), dovecot)

        assert (failure.step, str(failure)) == (Step.CONNECT, Code.PLAIN_FIRST.template)

    def test_because_no_encryption_is_offered(self) -> None:
        with a_server_that_refuses("X-Punktual-Id") as port:
            failure = fail(Server("127.0.0.1", port, "starttls", "ola", "s3cret"))

        assert (failure.step, str(failure)) == (Step.CONNECT, Code.NO_STARTTLS.template)

    def test_because_the_password_would_leave_unencrypted(self, dovecot: Dovecot, user: str) -> None:
        """It does not say in a plain form that it is this machine, and so it counts as another."""
        failure = fail(Server("127.1", dovecot.port, "none", user, dovecot.password))

        assert failure.step is Step.LOGIN
        assert str(failure) == "a password is never sent over an unencrypted connection"

    def test_because_none_is_marked(self, user: str) -> None:
        with Dovecot(sent="Wysłane", marked=False) as unmarked:
            failure = fail(server(unmarked, user), unmarked)

        assert failure.step is Step.FOLDER
        assert str(failure) == "the server marks no folder as the Sent folder: name it with --sent-folder"

    def test_because_there_is_none_of_that_name(self, dovecot: Dovecot, user: str) -> None:
        with pytest.raises(SentFolderUnreadable, match="doesn't exist") as caught:
            look(dovecot, user, folder="Nowhere")

        assert caught.value.step is Step.FOLDER

    def test_because_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]

        assert fail(Server("127.0.0.1", port, "none", "ola", "s3cret")).step is Step.CONNECT

    def test_because_the_server_says_nothing(self) -> None:
        with a_server_that_repeats(b"") as port:
            failure = fail(Server("127.0.0.1", port, "none", "ola", "s3cret"), patience=Patience(0.2, 30))

        assert (failure.step, str(failure)) == (Step.CONNECT, "timed out")

    def test_because_the_server_talks_without_end(self) -> None:
        with a_server_that_repeats(b"*") as port:
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


def test_a_server_that_refuses_to_search_for_our_header_is_still_asked_for_the_next_mail() -> None:
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


class TestALogin:
    def test_takes_a_password_outside_ascii(self, user: str) -> None:
        with Dovecot(password="zażółć-gęślą") as dovecot:
            target = server(dovecot, user, password="zażółć-gęślą")
            with imap.sent_folder(target, None, QUICK, dovecot.certificate.trusting) as sent:
                assert sent.name == "Sent"

    def test_whose_password_is_asked_for_again_and_again_is_given_up(self) -> None:
        with a_server_that_says(offering="AUTH=PLAIN", without_end=("AUTHENTICATE", b"", b"+ go on\r\n")) as it:
            failure = fail(Server("127.0.0.1", it.port, "none", "ola", "s3cret"))

        assert str(failure) == "the server keeps asking for the password"

    def test_that_is_refused_is_not_tried_in_another_way(self) -> None:
        with a_server_that_says(offering="AUTH=PLAIN", to_login="NO [LIMIT] three more and you are locked out") as it:
            failure = fail(Server("127.0.0.1", it.port, "none", "ola", "s3cret"))

        assert (failure.step, str(failure)) == (Step.LOGIN, "[LIMIT] three more and you are locked out")
        assert it.commands == ["CAPABILITY", "AUTHENTICATE PLAIN", "LOGOUT"]

    def test_is_in_the_plain_way_where_the_server_knows_no_other(self) -> None:
        with a_server_that_says(offering="") as it:
            ask(it.port, refused=False)

        assert it.commands[:2] == ["CAPABILITY", 'LOGIN ola "s3cret"']

    def test_with_letters_that_the_server_cannot_be_told_is_not_tried(self) -> None:
        with a_server_that_says(offering="") as it:
            failure = fail(Server("127.0.0.1", it.port, "none", "ola", "hasło"))

        assert "characters outside ASCII" in str(failure)
        assert not [command for command in it.commands if "LOGIN" in command]

    def test_that_the_server_has_disabled_is_not_tried(self) -> None:
        with a_server_that_says(offering="LOGINDISABLED") as it:
            failure = fail(Server("127.0.0.1", it.port, "none", "ola", "s3cret"))

        assert "LOGINDISABLED" in str(failure)
        assert not [command for command in it.commands if "LOGIN" in command]

    @pytest.mark.parametrize("echo", ["s3cret-w\u00f3rd", "{line}", 'LOGIN ola "s3cret', "czNjcmV0LXfDs3Jk"])
    def test_whose_password_the_server_repeats_does_not_tell_it(self, echo: str) -> None:
        with a_server_that_says(offering="AUTH=PLAIN", to_login=f"NO not {echo}") as it:
            failure = fail(Server("127.0.0.1", it.port, "none", "ola", "s3cret-wórd"))

        assert "***" in str(failure)
        assert not re.search("s3cret|w.rd|czNj|AG9s", str(failure))


class TestAMaliciousServer:
    """It can cost a worker some megabytes and its time up to the deadline, and its mailbox a look."""

    ENDLESS = {
        "line": (b"* OK ", b"x" * 10_000),
        "literal": (b"* LIST () {1500000000}\r\n", b"x" * 10_000),
        "literals": (b"", b"* LIST () {100000}\r\n" + b"x" * 100_000 + b"\r\n"),
        "untagged replies": (b"", b"* 1 EXISTS\r\n" * 1000),
        "continuations": (b"", b"+ go on\r\n" * 1000),
        "empty lines": (b"", b"\r\n" * 1000),
        "parentheses": (b"* 1 FETCH ", b"(" * 10_000),
    }

    @pytest.mark.parametrize("when", ["GREETING", "FETCH"])
    @pytest.mark.parametrize("what", ENDLESS)
    def test_is_not_listened_to_without_end(self, what: str, when: str) -> None:
        begin, again = self.ENDLESS[what]
        with a_server_that_says(offering="AUTH=PLAIN", without_end=(when, begin, again)) as it:
            ask(it.port)

        assert it.took < 40_000_000  # what the kernel holds for us is in it

    @pytest.mark.parametrize("when", ["CAPABILITY", "AUTHENTICATE", "EXAMINE", "SEARCH", "LOGOUT"])
    def test_is_not_listened_to_at_any_point(self, when: str) -> None:
        begin, again = self.ENDLESS["literal"]
        with a_server_that_says(offering="AUTH=PLAIN", without_end=(when, begin, again)) as it:
            ask(it.port, refused=when != "LOGOUT")

        assert it.took < 40_000_000

    def test_may_not_say_much_in_all_either(self) -> None:
        header = b"* 1 FETCH (UID 1 BODY[HEADER] {1500000}\r\n" + b"x" * 1_500_000 + b")\r\n"
        with (
            a_server_that_says(offering="AUTH=PLAIN", nonsense=header.decode()[10:-2]) as it,
            imap.sent_folder(Server("127.0.0.1", it.port, "none", "ola", "s3cret"), "Sent", QUICK) as sent,
            pytest.raises(SentFolderUnreadable, match="answer is too long"),
        ):
            ask_again_and_again(sent)

    @pytest.mark.parametrize(
        "answer",
        ["(" * 5000 + ")" * 5000, "{99999999999999999999999}", "{-1}", '"', "NIL NIL", "UID 1", "(UID x)", "\udcff"],
    )
    def test_may_answer_nonsense(self, answer: str) -> None:
        with a_server_that_says(offering="AUTH=PLAIN", nonsense=answer) as it:
            ask(it.port)


def ask_again_and_again(sent: SentFolder) -> None:
    for _ in range(20):
        sent.find(MESSAGE_ID, YESTERDAY)


def ask(port: int, refused: bool = True) -> None:
    with (
        pytest.raises(SentFolderUnreadable) if refused else nullcontext(),
        imap.sent_folder(Server("127.0.0.1", port, "none", "ola", "s3cret"), "Sent", QUICK) as sent,
    ):
        assert sent.find(MESSAGE_ID, YESTERDAY) is None


class a_server_that_says:
    """Takes one connection and agrees to everything that it is not told to do otherwise.

    without_end: (command, what it begins with, what it repeats) instead of the answer to the command. took: the bytes
    that the client let it say so. challenge: a second one at a login, before it is decided. answers: to challenges.
    """

    def __init__(
        self,
        *,
        offering: str,
        to_login: str = "OK come in",
        without_end: tuple[str, bytes, bytes] = ("", b"", b""),
        nonsense: str = "(UID 1)",
        challenge: str = "",
    ) -> None:
        self.challenge, self.answers = challenge, list[str]()
        self.offering, self.to_login, self.without_end, self.nonsense = offering, to_login, without_end, nonsense
        self.commands: list[str] = []
        self.took = 0

    def __enter__(self) -> Self:
        self._open = serving(self._serve)
        self.port = self._open.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.__exit__(None, None, None)

    def _serve(self, listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rwb", buffering=0) as wire, suppress(OSError):
            self._say(wire, "GREETING", b"* OK ready\r\n")
            while line := wire.readline().decode():
                tag, _, command = line.strip().partition(" ")
                self.commands.append(command)
                verb = command.removeprefix("UID ").split(" ")[0]
                self._say(wire, verb, self._answer(wire, tag, verb).encode("utf-8", "surrogateescape"))

    def _answer(self, wire: socket.SocketIO, tag: str, verb: str) -> str:
        match verb:
            case "CAPABILITY":
                return f"* CAPABILITY IMAP4rev1 {self.offering}\r\n{tag} OK done\r\n"
            case "AUTHENTICATE" | "LOGIN":
                sent = ""
                if verb == "AUTHENTICATE":
                    wire.write(b"+ \r\n")
                    sent = wire.readline().decode().strip()
                    self.answers.append(sent)
                if self.challenge:
                    wire.write(f"+ {self.challenge}\r\n".encode())
                    self.answers.append(wire.readline().decode().strip())
                return f"{tag} {self.to_login.format(line=sent)}\r\n"
            case "SEARCH":
                return f"* SEARCH 1\r\n{tag} OK done\r\n"
            case "FETCH":
                return f"* 1 FETCH {self.nonsense}\r\n{tag} OK done\r\n"
        return f"{tag} OK done\r\n"

    def _say(self, wire: socket.SocketIO, verb: str, answer: bytes) -> None:
        when, said, again = self.without_end
        while when == verb:
            wire.write(said or again)
            self.took += len(said or again)
            said = b""
        wire.write(answer)


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
def a_server_that_repeats(byte: bytes) -> Iterator[int]:
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
