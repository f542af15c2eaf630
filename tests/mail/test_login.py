"""A login at an SMTP server: once, by what works, in UTF-8, and told as the server told it."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mail import smtp
from mail.connection import Server, Timeouts
from mail.outcome import Deferred, Outcome, Phase, Scope
from tests.smtp_server import SmtpServer

QUICK = Timeouts(command_seconds=5, conversation_seconds=20, answer_seconds=5, dot_after_hand_over_seconds=10)
RIGHT = ("ola", "zażółć gęślą jaźń")
ALL = "CRAM-MD5 PLAIN LOGIN"


def log_in(server: SmtpServer, password: str = RIGHT[1], username: str = RIGHT[0]) -> Outcome | None:
    return smtp.log_in(Server("localhost", server.port, "none", username, password), "ola@sender.example", QUICK)


@contextmanager
def a_server_that_says(*answers: str) -> Iterator[int]:
    """Its port. It says the first at once, and each other one after a line."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines:
                for answer in answers:
                    connection.sendall(answer.encode() + b"\r\n")
                    lines.readline()

        thread = threading.Thread(target=talk)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


class TestAPasswordOutsideAscii:
    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
    def test_is_right_by_each_mechanism(self, mechanism: str) -> None:
        with SmtpServer(credentials=RIGHT, mechanisms=mechanism) as server:
            assert log_in(server) is None

    def test_may_belong_to_a_user_name_outside_ascii(self) -> None:
        with SmtpServer(credentials=("łukasz@żółw.example", "pässwörd")) as server:
            assert log_in(server, "pässwörd", "łukasz@żółw.example") is None

    @pytest.mark.parametrize("echo", ["535 no: {line}", "535 zażółć gęślą jaźń it was", "535 'zażółć gęśl'"])
    def test_that_is_repeated_by_the_server_is_not_told(self, echo: str) -> None:
        with SmtpServer(credentials=("ola", "right"), refusal=echo) as server:
            outcome = log_in(server)

        assert isinstance(outcome, Deferred)
        assert "***" in outcome.reply.text
        assert not re.search(r"za.{4}|gęśl|jaźń|AG9sYQ", outcome.reply.text)


class TestARefusedLogin:
    @pytest.mark.parametrize("mechanisms", [ALL, "PLAIN LOGIN", "LOGIN CRAM-MD5", "CRAM-MD5"])
    @pytest.mark.parametrize("answer", ["535 5.7.8 no", "534 5.7.9 which app?", "454 4.7.0 later", "501 5.7.0 no"])
    def test_is_not_tried_by_another_mechanism(self, mechanisms: str, answer: str) -> None:
        with SmtpServer(credentials=RIGHT, mechanisms=mechanisms, refusal=answer) as server:
            outcome = log_in(server, "another")

        assert len(server.logins) == 1
        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, Phase.AUTH)
        assert str(outcome.reply) == answer

    def test_is_told_though_the_server_hangs_up_after_it(self) -> None:
        with SmtpServer(credentials=RIGHT, refusal="535 5.7.8 bad protocol", hangs_up_after_refusal=True) as server:
            outcome = log_in(server, "another")

        assert isinstance(outcome, Deferred)
        assert str(outcome.reply) == "535 5.7.8 bad protocol"
        assert server.logins == ["PLAIN"]


class TestAMechanismThatDoesNotWork:
    @pytest.mark.parametrize(("bad", "good"), [("PLAIN", "LOGIN"), ("LOGIN", "CRAM-MD5"), ("PLAIN", "CRAM-MD5")])
    def test_because_the_server_hangs_up_at_it_is_given_up_for_another(self, bad: str, good: str) -> None:
        with SmtpServer(credentials=RIGHT, mechanisms=f"{bad} {good}", hangs_up_at=[bad]) as server:
            assert log_in(server) is None

        assert server.logins == [bad, good]

    def test_is_not_tried_first_in_the_next_conversation(self) -> None:
        with SmtpServer(credentials=RIGHT, mechanisms=ALL, hangs_up_at=["PLAIN"]) as server:
            log_in(server)
            log_in(server)

        assert server.logins == ["PLAIN", "LOGIN", "LOGIN"]

    def test_because_the_server_does_not_know_it_after_all_is_given_up_for_another(self) -> None:
        with SmtpServer(credentials=RIGHT, mechanisms="LOGIN", features=["AUTH PLAIN LOGIN"]) as server:
            assert log_in(server) is None

        assert server.logins == ["PLAIN", "LOGIN"]

    @pytest.mark.parametrize("mechanisms", [ALL, "PLAIN"])
    def test_like_all_others_is_told(self, mechanisms: str) -> None:
        with SmtpServer(credentials=RIGHT, mechanisms=mechanisms, hangs_up_at=ALL.split()) as server:
            outcome = log_in(server)

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, Phase.AUTH)
        assert outcome.reply.text == f"the server closed the connection during the login with {server.logins[-1]}"
        assert len(server.logins) <= 2

    def test_may_be_all_that_is_offered(self) -> None:
        with SmtpServer(credentials=RIGHT, mechanisms="XOAUTH2") as server:
            outcome = log_in(server)

        assert isinstance(outcome, Deferred)
        assert outcome.reply.text == "the server offers no supported login mechanism, only XOAUTH2"

    def test_may_be_the_whole_login(self) -> None:
        with SmtpServer() as server:
            outcome = log_in(server)

        assert isinstance(outcome, Deferred)
        assert outcome.reply.text == "the server offers no login on this port"


class TestAnAnswerThatCannotBeUnderstood:
    @pytest.mark.parametrize(
        ("answers", "told"),
        [
            (("HTTP/1.1 400 Bad Request",), "the server's answer cannot be understood: it is not SMTP"),
            (
                ("220 mx", "250-mx\r\n250 AUTH PLAIN", "hello there"),
                "the server's answer cannot be understood: it is not SMTP",
            ),
            (
                ("220 mx", "250-mx\r\n250 AUTH CRAM-MD5", "334 a"),
                "the server's CRAM-MD5 challenge cannot be understood",
            ),
        ],
    )
    def test_is_told_in_words_of_ours(self, answers: tuple[str, ...], told: str) -> None:
        with a_server_that_says(*answers) as port:
            outcome = smtp.log_in(Server("127.0.0.1", port, "none", *RIGHT), "ola@sender.example", QUICK)

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX
        assert (outcome.reply.code, outcome.reply.text) == (None, told)
