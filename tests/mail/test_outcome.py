"""What a server's reply means, by phase and code."""

import pytest

from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Reply, Scope, Unanswered, judge, reply


def told(phase: Phase, code: int, text: str = "") -> Outcome:
    return judge(phase, reply(code, text))


class TestTheDot:
    @pytest.mark.parametrize("code", [250, 251, 200])
    def test_any_positive_reply_accepts(self, code: int) -> None:
        assert isinstance(told(Phase.DOT, code), Accepted)

    @pytest.mark.parametrize("code", [None, -1, 99, 354, 600])
    def test_what_is_no_answer_leaves_it_unknown(self, code: int | None) -> None:
        assert isinstance(judge(Phase.DOT, Reply(code, None, "what?")), Unanswered)


class TestWhoseFault:
    @pytest.mark.parametrize(
        ("phase", "code", "text"),
        [
            (Phase.CONNECT, 554, ""),
            (Phase.CONNECT, 421, ""),
            (Phase.AUTH, 535, "5.7.8 wrong"),
            (Phase.AUTH, 454, "4.7.0 later"),
            (Phase.MAIL, 550, "5.7.1 you may not send"),
            (Phase.MAIL, 451, "4.3.0 busy"),
            (Phase.RCPT, 421, "4.7.0 too many"),
            (Phase.RCPT, 550, "5.4.5 Daily user sending limit exceeded"),
            (Phase.RCPT, 450, "4.4.5 quota"),
            (Phase.DATA, 550, "5.1.90 Your message can't be sent because you've reached your daily limit"),
            (Phase.DOT, 550, "5.4.5 Daily user sending limit exceeded"),
            (Phase.DOT, 421, "4.3.0 closing"),
        ],
    )
    def test_the_mailboxes_is_never_held_against_the_lead(self, phase: Phase, code: int, text: str) -> None:
        outcome = told(phase, code, text)

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX

    @pytest.mark.parametrize("text", ["4.7.1 greylisted", "4.2.2 mailbox full", "4.1.1 user unknown"])
    def test_the_leads_temporary_one_is_tried_again(self, text: str) -> None:
        outcome = told(Phase.RCPT, 451, text)

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.LEAD

    def test_the_leads_final_one_is_not(self) -> None:
        outcome = told(Phase.RCPT, 550, "5.1.1 no such user")

        assert isinstance(outcome, Refused)
        assert outcome.scope is Scope.LEAD

    @pytest.mark.parametrize("phase", [Phase.DATA, Phase.DOT])
    def test_the_contents_is_its_own(self, phase: Phase) -> None:
        final, temporary = told(phase, 554, "5.6.0 headers too large"), told(phase, 451, "4.6.0 hm")

        assert isinstance(final, Refused)
        assert isinstance(temporary, Deferred)
        assert {final.scope, temporary.scope} == {Scope.CONTENT}

    @pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.DOT, Phase.COMPOSE)])
    @pytest.mark.parametrize("code", [None, -1, 250, 354, 600])
    def test_a_server_that_does_not_speak_smtp_is_the_mailboxes(self, phase: Phase, code: int | None) -> None:
        outcome = judge(phase, Reply(code, None, ""))

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX


class TestTheServersWords:
    def test_the_enhanced_code_is_told_apart(self) -> None:
        assert reply(550, "5.1.1 no such user") == Reply(550, "5.1.1", "no such user")

    def test_they_are_cut_and_cleaned(self) -> None:
        words = reply(550, "a\r\nb\x1b[31m" + "x" * 10_000).text

        assert len(words) == 500
        assert words.startswith("a b [31m")
