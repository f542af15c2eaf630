"""One conversation with a real server on a socket, phase by phase."""

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import clock
from mail import smtp
from mail.connection import Server, Timeouts
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Scope, Unanswered, Withdrawn
from reasons import Code
from tests.certificates import Certificate
from tests.smtp_server import SmtpServer
from tests.waiting import BOUND

CONTENT = b"From: a@b.example\r\nMessage-ID: <1@b.example>\r\n\r\nDear lead,\r\n.\r\n..two dots\r\nend"
PATIENT = Timeouts(BOUND, BOUND, BOUND, BOUND)
SOON = 2  # seconds: a server that is asked something answers sooner, however busy the machine is


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


def yes() -> None:
    """Nothing speaks against the dot."""


def send(
    server: SmtpServer,
    recipient: str = "lead@leads.example",
    *,
    hand_over: Callable[[], str | None] = yes,
    timeouts: Timeouts = PATIENT,
    content: bytes = CONTENT,
    context: ssl.SSLContext | None = None,
    **credentials: str,
) -> Outcome:
    target = Server("localhost", server.port, server.security, **credentials)
    with smtp.conversation(target, "ola@sender.example", recipient, content, timeouts, hand_over, context) as outcome:
        return outcome


class TestASentMail:
    def test_arrives_byte_for_byte_with_its_dots(self, server: SmtpServer) -> None:
        outcome = send(server)

        assert isinstance(outcome, Accepted)
        assert [mail.content for mail in server.accepted] == [CONTENT + b"\r\n"]

    def test_has_line_ends_as_smtp_wants_them(self, server: SmtpServer) -> None:
        send(server, content=b"a: b\n\nline\rline\n")

        assert server.accepted[0].content == b"a: b\r\n\r\nline\r\nline\r\n"

    def test_is_accepted_even_if_the_connection_breaks_right_after(self, server: SmtpServer) -> None:
        assert isinstance(send(server, "reset-after-250@leads.example"), Accepted)

    def test_is_told_before_leave_is_taken_of_the_server(self, server: SmtpServer) -> None:
        target = Server("localhost", server.port, "none")

        with smtp.conversation(target, "ola@sender.example", "lead@leads.example", CONTENT, PATIENT, yes) as outcome:
            assert isinstance(outcome, Accepted)
            assert "quit" not in server.commands

        assert server.commands[-1] == "quit"

    def test_tells_how_long_each_phase_took_and_not_what_was_done_between_them(self, server: SmtpServer) -> None:
        between: list[float] = []

        def send_another_mail() -> None:
            between.append(clock.boottime())
            send(server)
            between.append(clock.boottime())

        began = clock.boottime()
        outcome = send(server, hand_over=send_another_mail)
        ended = clock.boottime()

        assert list(outcome.seconds) == ["connect", "mail", "rcpt", "data", "body", "dot"]
        assert all(seconds >= 0 for seconds in outcome.seconds.values())
        assert sum(outcome.seconds.values()) <= (between[0] - began) + (ended - between[1])

    def test_tells_how_long_the_phase_took_that_it_ended_in(self, server: SmtpServer) -> None:
        assert list(send(server, "550@leads.example").seconds) == ["connect", "mail", "rcpt"]

    def test_introduces_itself_with_the_senders_domain(self, server: SmtpServer) -> None:
        send(server)

        assert server.commands[0].lower() == "ehlo sender.example"


class TestTheHandOver:
    def test_happens_when_everything_but_the_dot_is_written(self, server: SmtpServer) -> None:
        seen: list[int] = []

        def look() -> None:
            seen.append(len(server.accepted))

        send(server, hand_over=look)

        assert seen == [0]
        assert len(server.accepted) == 1

    def test_refused_no_dot_is_written(self, server: SmtpServer) -> None:
        outcome = send(server, hand_over=lambda: "the campaign was paused")

        assert outcome == Withdrawn("the campaign was paused")
        assert server.accepted == []

    def test_failing_no_dot_is_written_and_the_failure_is_told(self, server: SmtpServer) -> None:
        def fail() -> str:
            raise RuntimeError("the database is away")

        with pytest.raises(RuntimeError, match="away"):
            send(server, hand_over=fail)

        assert server.accepted == []

    def test_too_long_before_its_dot_no_dot_is_written(self, server: SmtpServer) -> None:
        late = replace(PATIENT, dot_after_hand_over_seconds=-1)

        outcome = send(server, timeouts=late)

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.WORKER
        assert server.accepted == []

    def test_is_not_asked_for_when_the_server_refused_before(self, server: SmtpServer) -> None:
        def never() -> str:
            raise AssertionError("asked for a hand-over")

        assert isinstance(send(server, "550@leads.example", hand_over=never), Refused)


class TestRepliesBeforeTheDot:
    @pytest.mark.parametrize("code", ["450", "451", "452"])
    def test_a_temporary_no_to_the_lead_is_deferred(self, server: SmtpServer, code: str) -> None:
        outcome = send(server, f"{code}@leads.example")

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase, outcome.reply.code) == (Scope.LEAD, Phase.RCPT, int(code))

    @pytest.mark.parametrize("code", ["550", "552", "553", "554"])
    def test_a_final_no_to_the_lead_is_refused(self, server: SmtpServer, code: str) -> None:
        outcome = send(server, f"{code}@leads.example")

        assert isinstance(outcome, Refused)
        assert (outcome.scope, outcome.phase) == (Scope.LEAD, Phase.RCPT)

    @pytest.mark.parametrize("local", ["421", "454", "550-5.4.5"])
    def test_the_providers_own_limits_are_the_mailboxes_fault(self, server: SmtpServer, local: str) -> None:
        outcome = send(server, f"{local}@leads.example")

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX

    def test_a_no_that_names_the_sender_is_not_the_leads(self, server: SmtpServer) -> None:
        outcome = send(server, "550-1.1.1@leads.example")

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.UNCLEAR, Phase.RCPT)

    def test_a_connection_that_breaks_in_the_body_is_proved_not_sent(self, server: SmtpServer) -> None:
        outcome = send(server, "drop-before-dot@leads.example", content=CONTENT * 100_000)

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX

    def test_a_250_in_the_middle_of_the_body_is_no_answer_to_the_dot(self, server: SmtpServer) -> None:
        with server.holding("early", "early-250@leads.example") as early:
            outcome = send(server, "early-250@leads.example", hand_over=early.wait)

        assert isinstance(outcome, Deferred)
        assert server.accepted == []

    def test_an_endless_reply_is_cut_off(self, server: SmtpServer) -> None:
        outcome = send(server, "endless@leads.example")

        assert isinstance(outcome, Deferred)
        assert outcome.phase is Phase.RCPT

    def test_silence_ends_with_the_command_timeout(self, server: SmtpServer) -> None:
        outcome = send(server, "stall-at-rcpt@leads.example", timeouts=replace(PATIENT, command_seconds=SOON))

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, Phase.RCPT)

    def test_a_greeting_that_says_no_is_the_mailboxes_fault(self) -> None:
        with SmtpServer(greeting="554 5.7.1 go away") as server:
            outcome = send(server)

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase, outcome.reply.code) == (Scope.MAILBOX, Phase.CONNECT, 554)

    def test_a_server_that_does_not_listen_is_the_mailboxes_fault(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]

        target = Server("127.0.0.1", port, "none")
        with smtp.conversation(target, "a@b.example", "c@d.example", CONTENT, PATIENT, yes) as outcome:
            pass

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, Phase.CONNECT)


class TestAMaliciousServer:
    """It can cost a worker its time up to the timeout, and its mailbox a pause; never a lead, and never the worker."""

    PHASES = {
        "GREETING": Phase.CONNECT,
        "EHLO": Phase.CONNECT,
        "AUTH": Phase.AUTH,
        "MAIL": Phase.MAIL,
        "RCPT": Phase.RCPT,
        "DATA": Phase.DATA,
    }

    @pytest.mark.parametrize("how", ["trickle", "endless line", "endless reply", "hang up"])
    @pytest.mark.parametrize("point", PHASES)
    def test_before_the_dot_ends_with_the_mailboxes_fault(self, point: str, how: str) -> None:
        with SmtpServer(credentials=("ola", "s3cret"), abuse=(point, how)) as server:
            outcome = send(server, timeouts=replace(PATIENT, command_seconds=SOON), username="ola", password="s3cret")

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, self.PHASES[point])
        assert server.accepted == []

    def test_may_offer_much_and_is_still_understood(self) -> None:
        with SmtpServer(features=[f"X-{number} {'x' * 3000}" for number in range(90)]) as server:
            assert isinstance(send(server), Accepted)

    def test_that_offers_without_end_is_not_listened_to(self) -> None:
        with SmtpServer(features=["X-MORE"] * 1000) as server:
            outcome = send(server)

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, Phase.CONNECT)

    def test_that_answers_a_login_with_what_is_no_base64_is_the_mailboxes_fault(self) -> None:
        with SmtpServer(credentials=("ola", "s3cret"), refusal="334 a") as server:
            outcome = send(server, username="ola", password="another")

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.MAILBOX, Phase.AUTH)

    @pytest.mark.parametrize(
        "echo", ["535 no: {line}", "500 unknown command '{line}'", "501 {line:.26}", "535 s3cret-word"]
    )
    def test_that_repeats_a_password_does_not_get_it_into_the_outcome(self, echo: str) -> None:
        with SmtpServer(credentials=("ola", "right"), refusal=echo, mechanisms="PLAIN") as server:
            outcome = send(server, username="ola", password="s3cret-word")

        assert isinstance(outcome, Deferred)
        assert outcome.phase is Phase.AUTH
        assert "***" in outcome.reply.text
        assert not re.search(r"s3cret|AG9sYQ", outcome.reply.text)


class TestALetterThatIsTooLarge:
    """The server says at EHLO what it takes (RFC 1870): nobody is offered more, and no lead is at fault."""

    SIZE = len(CONTENT) + 2  # its last line has an end on the wire

    def test_is_not_offered(self) -> None:
        with SmtpServer(size=f"SIZE {self.SIZE - 1}") as server:
            outcome = send(server)

            assert isinstance(outcome, Deferred)
            assert (outcome.scope, outcome.phase) == (Scope.CAMPAIGN, Phase.MAIL)
            assert (
                outcome.reply.text
                == f"the letter has {self.SIZE} bytes, and the server accepts at most {self.SIZE - 1}"
            )
            assert not any(command.upper().startswith(("MAIL", "DATA")) for command in server.commands)

    @pytest.mark.parametrize("size", [f"SIZE {len(CONTENT) + 2}", "SIZE 0", "SIZE", "SIZE many", "SIZE ²"])
    def test_is_none_where_the_server_names_no_smaller_size(self, size: str) -> None:
        with SmtpServer(size=size) as server:
            assert isinstance(send(server), Accepted)

    def test_is_announced_by_its_size_on_the_wire_without_doubled_dots(self, server: SmtpServer) -> None:
        send(server)

        [mail] = [command for command in server.commands if command.upper().startswith("MAIL")]
        assert mail.upper().endswith(f" SIZE={self.SIZE}")
        assert len(server.accepted[0].content) == self.SIZE

    def test_is_not_announced_to_a_server_that_does_not_ask(self) -> None:
        with SmtpServer(size="HELP") as server:
            assert isinstance(send(server), Accepted)

            assert not any("SIZE=" in command.upper() for command in server.commands)

    def test_for_the_server_that_says_so_only_at_the_dot_is_the_letters_fault_too(self, server: SmtpServer) -> None:
        outcome = send(server, "dot-552-5.3.4@leads.example")

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.CAMPAIGN, Phase.DOT)


class TestTheAnswerToTheDot:
    @pytest.mark.parametrize("code", ["451", "452"])
    def test_a_temporary_no_is_deferred(self, server: SmtpServer, code: str) -> None:
        outcome = send(server, f"dot-{code}@leads.example")

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase) == (Scope.CONTENT, Phase.DOT)

    @pytest.mark.parametrize("code", ["552", "554"])
    def test_a_final_no_is_refused(self, server: SmtpServer, code: str) -> None:
        outcome = send(server, f"dot-{code}@leads.example")

        assert isinstance(outcome, Refused)
        assert (outcome.scope, outcome.phase) == (Scope.CONTENT, Phase.DOT)

    @pytest.mark.parametrize(
        "local",
        ["drop-after-dot", "reset-after-dot", "garbage-at-dot", "yes-and-no-at-dot", "four-digits-at-dot"],
    )
    def test_anything_but_an_answer_leaves_it_unknown(self, server: SmtpServer, local: str) -> None:
        outcome = send(server, f"{local}@leads.example")

        assert isinstance(outcome, Unanswered)
        assert len(server.accepted) == 1

    def test_silence_leaves_it_unknown(self, server: SmtpServer) -> None:
        outcome = send(server, "stall-after-dot@leads.example", timeouts=replace(PATIENT, answer_seconds=0.2))

        assert isinstance(outcome, Unanswered)

    def test_an_answer_that_trickles_does_not_extend_the_timeout(self, server: SmtpServer) -> None:
        outcome = send(server, "trickle-at-dot@leads.example", timeouts=replace(PATIENT, answer_seconds=0.3))

        assert isinstance(outcome, Unanswered)


class TestEncryption:
    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_a_trusted_server_is_talked_to_in_private(self, security: str) -> None:
        with SmtpServer(security=security, credentials=("ola", "s3cret")) as server:
            assert server.certificate
            outcome = send(server, context=server.certificate.trusting, username="ola", password="s3cret")

        assert isinstance(outcome, Accepted)

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_a_250_in_the_middle_of_the_body_is_no_answer_there_either(self, security: str) -> None:
        with SmtpServer(security=security) as server, server.holding("early", "early-250@leads.example") as early:
            assert server.certificate
            trusting = server.certificate.trusting
            outcome = send(server, "early-250@leads.example", hand_over=early.wait, context=trusting)

        assert isinstance(outcome, Deferred)
        assert server.accepted == []

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_an_untrusted_certificate_ends_the_conversation_before_the_password(self, security: str) -> None:
        with SmtpServer(security=security, credentials=("ola", "s3cret")) as server:
            outcome = send(server, username="ola", password="s3cret")

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX
        assert "certificate" in outcome.reply.text.lower()
        assert not any(command.startswith("AUTH") for command in server.commands)

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    @pytest.mark.parametrize(
        ("host", "valid", "trusted", "told"),
        [
            ("localhost", (-2, -1), True, "the certificate of localhost has expired: its provider must renew it"),
            (
                "localhost",
                (1, 2),
                True,
                "the certificate of localhost is not valid yet: check this machine's clock",
            ),
            ("mail.example", (-1, 1), True, "the certificate is not for localhost: use the host name"),
            (
                "localhost",
                (-1, 1),
                False,
                "the certificate of localhost is from an authority that this machine does not",
            ),
        ],
    )
    def test_a_certificate_that_is_not_right_is_told_with_what_to_do(
        self, security: str, host: str, valid: tuple[float, float], trusted: bool, told: str
    ) -> None:
        with SmtpServer(security=security) as server:
            server.certificate = certificate = Certificate(host, valid)
            outcome = send(server, context=certificate.trusting if trusted else None)

        assert isinstance(outcome, Deferred)
        assert outcome.reply.text.startswith(told)

    @pytest.mark.parametrize("security", ["starttls", "none"])
    def test_a_port_that_begins_with_tls_is_told_to_be_one(self, security: str) -> None:
        with SmtpServer(security="tls") as server:
            outcome = smtp.log_in(Server("localhost", server.port, security), "ola@sender.example", PATIENT)

        assert isinstance(outcome, Deferred)
        assert (outcome.phase, outcome.reply.text) == (Phase.CONNECT, Code.TLS_FIRST.template)

    def test_a_port_that_does_not_begin_with_tls_is_told_to_be_one(self, server: SmtpServer) -> None:
        outcome = smtp.log_in(Server("localhost", server.port, "tls"), "ola@sender.example", PATIENT)

        assert isinstance(outcome, Deferred)
        assert (outcome.phase, outcome.reply.text) == (Phase.CONNECT, Code.PLAIN_FIRST.template)

    def test_a_server_that_hangs_up_when_tls_should_begin_is_told_to_do_so(self) -> None:
        with SmtpServer(abuse=("GREETING", "hang up")) as server:
            outcome = smtp.log_in(Server("localhost", server.port, "tls"), "ola@sender.example", PATIENT)

        assert isinstance(outcome, Deferred)
        assert outcome.reply.text == "the server closed the connection during the TLS handshake"

    def test_a_server_that_takes_its_time_to_greet_is_waited_for(self) -> None:
        patient = Timeouts(command_seconds=4, conversation_seconds=60, answer_seconds=5, dot_after_hand_over_seconds=10)
        with SmtpServer(greets_after=1.2) as server:
            assert smtp.log_in(Server("localhost", server.port, "none"), "ola@sender.example", patient) is None

    def test_a_server_that_does_not_offer_encryption_gets_no_mail(self, server: SmtpServer) -> None:
        target = Server("localhost", server.port, "starttls", "ola", "s3cret")

        with smtp.conversation(target, "ola@sender.example", "lead@leads.example", CONTENT, PATIENT, yes) as outcome:
            pass

        assert isinstance(outcome, Deferred)
        assert (outcome.phase, outcome.reply.text) == (Phase.TLS, Code.NO_STARTTLS.template)
        assert not any(command.startswith(("AUTH", "MAIL")) for command in server.commands)

    def test_a_wrong_password_is_the_mailboxes_fault_and_is_not_repeated(self) -> None:
        with SmtpServer(security="starttls", credentials=("ola", "s3cret")) as server:
            assert server.certificate
            outcome = send(server, context=server.certificate.trusting, username="ola", password="hunter2-wrong")

        assert isinstance(outcome, Deferred)
        assert (outcome.scope, outcome.phase, outcome.reply.code) == (Scope.MAILBOX, Phase.AUTH, 535)
        assert "hunter2" not in repr(outcome)

    def test_a_password_never_leaves_over_an_unencrypted_connection_to_another_machine(self) -> None:
        """The host does not say in a plain form that it is this machine, and so it counts as another."""
        with SmtpServer(credentials=("ola", "s3cret")) as server:
            target = Server("127.1", server.port, "none", "ola", "s3cret")
            outcome = smtp.log_in(target, "ola@sender.example", PATIENT)

        assert isinstance(outcome, Deferred)
        assert (outcome.phase, outcome.reply.text) == (
            Phase.AUTH,
            "a password is never sent over an unencrypted connection",
        )
        assert not any(command.startswith("AUTH") for command in server.commands)
        assert "s3cret" not in repr(target)
