"""A login with an OAuth2 access token, at SMTP servers that know XOAUTH2 or OAUTHBEARER."""

import re

import pytest

from mail import smtp
from mail.connection import Server, Timeouts
from mail.login import why_no_login
from mail.outcome import Deferred, Outcome, Phase, Scope
from reasons import Code
from tests.smtp_server import SmtpServer

QUICK = Timeouts(command_seconds=5, conversation_seconds=20, answer_seconds=5, dot_after_hand_over_seconds=10)
OLA = "ola@sender.example"
SHORT = "ya29.A0Ash0rt-token_of.Google"
# As long as those of Microsoft: it does not fit into one command.
LONG = "EwBYA8l6BAAU" + "0123456789abcdefGHIJ" * 50
MECHANISMS = ("XOAUTH2", "OAUTHBEARER")


def log_in(server: SmtpServer, token: str = SHORT, username: str = OLA) -> Outcome | None:
    return smtp.log_in(Server("localhost", server.port, "none", username, token=token), OLA, QUICK)


def a_server(token: str = SHORT, mechanisms: str = "PLAIN LOGIN XOAUTH2", **more: str) -> SmtpServer:
    return SmtpServer(
        is_token_of=lambda name, given: (name, given) == (OLA, token),
        mechanisms=mechanisms,
        **more,  # type: ignore[arg-type]
    )


class TestAToken:
    @pytest.mark.parametrize("token", [SHORT, LONG], ids=["short", "long"])
    @pytest.mark.parametrize("mechanism", MECHANISMS)
    def test_logs_in_by_each_mechanism(self, mechanism: str, token: str) -> None:
        with a_server(token, mechanism) as server:
            assert log_in(server, token) is None

        assert server.logins == [mechanism]

    def test_that_is_long_is_sent_after_the_command(self) -> None:
        with a_server(LONG) as server:
            log_in(server, LONG)

        assert [line for line in server.commands if line.startswith("AUTH")] == ["AUTH XOAUTH2"]

    def test_that_is_short_is_sent_with_the_command(self) -> None:
        with a_server() as server:
            log_in(server)

        assert max(len(line) for line in server.commands if line.startswith("AUTH XOAUTH2 ")) <= 510

    def test_is_sent_by_the_form_that_providers_document_where_there_are_both(self) -> None:
        with a_server(mechanisms="OAUTHBEARER XOAUTH2 PLAIN") as server:
            assert log_in(server) is None

        assert server.logins == ["XOAUTH2"]

    def test_is_never_sent_as_a_password(self) -> None:
        with SmtpServer(credentials=(OLA, SHORT), mechanisms="PLAIN LOGIN") as server:
            outcome = log_in(server)

        assert server.logins == []
        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, Phase.AUTH)
        assert outcome.reply.instead
        assert outcome.reply.instead.code is Code.NO_OAUTH_LOGIN

    def test_is_not_sent_in_clear_to_another_machine(self) -> None:
        refusal = why_no_login(Server("smtp.example", 25, "none", OLA, token=SHORT))

        assert refusal
        assert refusal.code is Code.NO_TOKEN_IN_CLEAR

    def test_stands_in_no_repr(self) -> None:
        assert SHORT not in repr(Server("smtp.example", 587, "starttls", OLA, token=SHORT))


class TestARefusedToken:
    @pytest.mark.parametrize("token", [SHORT, LONG], ids=["short", "long"])
    @pytest.mark.parametrize("mechanism", MECHANISMS)
    def test_is_the_mailboxs_fault_after_the_servers_error_was_answered(self, mechanism: str, token: str) -> None:
        with a_server("another", mechanism) as server:
            outcome = log_in(server, token)

        assert server.logins == [mechanism]
        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, Phase.AUTH)
        assert str(outcome.reply) == "535 5.7.8 wrong username or password (status 400)"
        assert outcome.reply.instead
        assert outcome.reply.instead.code is Code.TOKEN_NOT_ACCEPTED

    @pytest.mark.parametrize(
        "error", ["no json", "[" * 2900, '["a list"]', '{"status":{}}', '{"status":"a b {token}"}', "{token}"]
    )
    def test_by_an_error_that_cannot_be_understood_is_told_by_the_refusal(self, error: str) -> None:
        with a_server("another", oauth_error=error) as server:
            outcome = log_in(server)

        assert isinstance(outcome, Deferred)
        assert str(outcome.reply).startswith("535 5.7.8 wrong username or password")
        assert SHORT not in str(outcome)

    @pytest.mark.parametrize("token", [SHORT, LONG], ids=["short", "long"])
    @pytest.mark.parametrize("mechanism", MECHANISMS)
    def test_that_the_server_repeats_is_masked(self, mechanism: str, token: str) -> None:
        with a_server("another", mechanism, refusal="535 no: {line}") as server:
            outcome = log_in(server, token)

        assert isinstance(outcome, Deferred)
        assert "***" in outcome.reply.text
        said = f"{outcome.reply.text} {outcome.reply.instead}"
        assert not any(part in said for part in (token[:8], token[-8:], "dXNlcj1v", "bixhPW9s"))

    def test_is_of_another_account_where_the_name_is_not_its_own(self) -> None:
        with a_server() as server:
            outcome = log_in(server, username="admin@sender.example")

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX


MEANINGS = {
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.": (
        Code.SMTP_AUTH_OFF,
        Code.SMTP_AUTH_OFF,
    ),
    "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.": (
        Code.NO_PASSWORDS_ANY_MORE,
        Code.NO_PASSWORDS_ANY_MORE,
    ),
    "550 5.7.30 Basic authentication is not supported for Client Submission.": (
        Code.NO_PASSWORDS_ANY_MORE,
        Code.NO_PASSWORDS_ANY_MORE,
    ),
    "534 5.7.9 Application-specific password required.": (Code.APP_PASSWORD_NEEDED, Code.TOKEN_NOT_ACCEPTED),
    "535 5.7.8 Username and Password not accepted.": (Code.PASSWORD_REFUSED, Code.TOKEN_NOT_ACCEPTED),
    "535 5.7.3 Authentication unsuccessful": (Code.PASSWORD_REFUSED, Code.TOKEN_NOT_ACCEPTED),
}


class TestARefusedLogin:
    """In providers' words: whoever reads it learns what to do."""

    @pytest.mark.parametrize(("words", "code"), [(words, codes[0]) for words, codes in MEANINGS.items()])
    def test_with_a_password_says_what_it_means(self, words: str, code: Code) -> None:
        with SmtpServer(credentials=(OLA, "right"), refusal=words) as server:
            outcome = smtp.log_in(Server("localhost", server.port, "none", OLA, "wrong-one"), OLA, QUICK)

        assert self._meaning(outcome, words) is code

    @pytest.mark.parametrize(("words", "code"), [(words, codes[1]) for words, codes in MEANINGS.items()])
    def test_with_a_token_says_what_it_means(self, words: str, code: Code) -> None:
        with a_server("another", refusal=words) as server:
            outcome = log_in(server)

        assert self._meaning(outcome, words) is code

    @pytest.mark.parametrize("words", ["454 4.7.0 Temporary authentication failure", "421 4.3.2 not now"])
    def test_that_is_temporary_is_told_as_it_was_said(self, words: str) -> None:
        with SmtpServer(credentials=(OLA, "right"), refusal=words) as server:
            outcome = smtp.log_in(Server("localhost", server.port, "none", OLA, "wrong-one"), OLA, QUICK)

        assert isinstance(outcome, Deferred)
        assert (str(outcome.reply), outcome.reply.instead) == (words, None)

    def _meaning(self, outcome: Outcome | None, words: str) -> Code:
        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX
        assert outcome.reply.instead
        assert re.split(r" \(status", words)[0] in str(outcome.reply.instead)
        return outcome.reply.instead.code


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "dot"])
def test_a_password_that_is_refused_only_after_the_login_is_the_mailboxs_fault_too(phase: str) -> None:
    """Microsoft checks some of it only when a mail is sent."""
    said = "550 5.7.30 Basic authentication is not supported for Client Submission."
    with SmtpServer(credentials=(OLA, "s3cret"), instead={phase: said}) as server:
        target = Server("localhost", server.port, "none", OLA, "s3cret")
        with smtp.conversation(
            target, OLA, "lead@leads.example", b"Subject: x\r\n\r\nx\r\n", QUICK, lambda: None
        ) as outcome:
            pass

    assert isinstance(outcome, Deferred)
    assert outcome.scope is Scope.MAILBOX
    assert outcome.reply.instead
    assert outcome.reply.instead.code is Code.NO_PASSWORDS_ANY_MORE
