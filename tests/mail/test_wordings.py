"""Whose fault real servers' refusals are taken for: see wordings.py for who says so."""

from collections.abc import Callable

import pytest

from mail.answers import KNOWN
from mail.outcome import Deferred, Outcome, Phase, Refused, Reply, Scope, judge, reply
from tests.mail import wordings
from tests.mail.wordings import Wording


def told(it: Wording) -> Outcome:
    return judge(it.phase, reply(it.code, it.words))


def every(found: list[Wording]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("it", found, ids=lambda it: f"{it.phase} {it.code} {it.words[:60]}")


class TestARefusal:
    @every(wordings.NO_SUCH_RECIPIENT)
    def test_that_is_plainly_the_recipients_fails_its_mail_at_once(self, it: Wording) -> None:
        outcome = told(it)

        assert isinstance(outcome, Refused)
        assert outcome.scope is Scope.LEAD

    @every(wordings.MESSAGE)
    def test_that_is_plainly_the_messages_fails_its_mail_at_once(self, it: Wording) -> None:
        outcome = told(it)

        assert isinstance(outcome, Refused)
        assert outcome.scope is Scope.CONTENT

    @every(wordings.WAITS_FOR_ITS_RECIPIENT)
    def test_that_passes_waits_although_its_code_may_say_for_ever(self, it: Wording) -> None:
        outcome = told(it)

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.LEAD

    @every(wordings.TOO_LARGE)
    def test_of_the_letters_size_is_about_all_its_leads(self, it: Wording) -> None:
        outcome = told(it)

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.CAMPAIGN

    @every(wordings.MAILBOX)
    def test_for_the_senders_limit_or_name_is_the_mailboxes(self, it: Wording) -> None:
        outcome = told(it)

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX

    @every(wordings.UNCLEAR)
    def test_that_is_plainly_nobodys_fails_no_mail(self, it: Wording) -> None:
        outcome = told(it)

        assert isinstance(outcome, Deferred)
        assert outcome.scope in (Scope.UNCLEAR, Scope.MAILBOX)


class TestContradictions:
    """Words and codes that do not agree are no reason to give a lead up."""

    @pytest.mark.parametrize("phase", [Phase.RCPT, Phase.DATA, Phase.DOT])
    @pytest.mark.parametrize("detail", ["1", "25", "510", "0"])
    def test_a_security_code_never_blames_a_person(self, phase: Phase, detail: str) -> None:
        assert isinstance(judge(phase, reply(550, f"5.7.{detail} no such user")), Deferred)

    @pytest.mark.parametrize("code", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])
    @pytest.mark.parametrize(
        "words",
        [
            "sender is blocked",
            "try again later",
            "rejected by policy",
            "daily limit reached",
            "relay denied",
            "spam",
            "SPF",
        ],
    )
    def test_a_recipients_code_with_words_about_the_sender_fails_nobody(self, code: str, words: str) -> None:
        assert isinstance(judge(Phase.RCPT, reply(550, f"{code} {words}")), Deferred)

    @pytest.mark.parametrize("code", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])
    @pytest.mark.parametrize("phase", [Phase.RCPT, Phase.DATA, Phase.DOT])
    def test_a_recipients_code_alone_is_plain_wherever_it_is_told(self, code: str, phase: Phase) -> None:
        outcome = judge(phase, Reply(550, code, ""))

        assert isinstance(outcome, Refused)
        assert outcome.scope is Scope.LEAD

    @pytest.mark.parametrize("lead", ["policy@relay.example", "spam-limit@blocked.example", "later@ip.example"])
    def test_a_leads_own_address_accuses_nobody(self, lead: str) -> None:
        outcome = judge(Phase.RCPT, reply(550, f"5.1.1 <{lead}>: no such user {lead}"))

        assert isinstance(outcome, Refused)

    @pytest.mark.parametrize("lead", ["no-such-user@leads.example", "user-unknown@leads.example"])
    def test_nor_is_it_words_about_a_missing_person(self, lead: str) -> None:
        assert isinstance(judge(Phase.RCPT, reply(550, f"<{lead}> refused")), Deferred)

    @pytest.mark.parametrize("phase", [Phase.CONNECT, Phase.TLS, Phase.AUTH, Phase.MAIL])
    def test_before_its_recipient_was_named_no_answer_is_about_it(self, phase: Phase) -> None:
        outcome = judge(phase, reply(550, "5.1.1 no such user"))

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.MAILBOX


class TestTheSendersName:
    """An answer that names the mailbox, and not the lead, is not plainly about the lead, whatever else it says."""

    @pytest.mark.parametrize(
        "words",
        [
            "Account ola@sender.example is disabled",
            "Konto ola@Sender.Example jest nieaktywne",
            "5.2.1 <ola@sender.example>: this account is disabled",
            "Domain sender.example is inactive",
            "5.1.1 The domain sender.example. has been suspended, unknown user",
        ],
    )
    def test_is_doubted_in_the_mailboxs_favour(self, words: str) -> None:
        outcome = judge(Phase.RCPT, reply(550, words), "ola@sender.example", "anna@leads.example")

        assert isinstance(outcome, Deferred)
        assert outcome.scope is Scope.UNCLEAR

    @pytest.mark.parametrize(
        ("words", "lead"),
        [
            ("5.1.1 <anna@leads.example>: no such user (ola@sender.example)", "anna@leads.example"),
            ("5.1.1 no such user, told by mx.sender.example", "anna@leads.example"),
            ("5.1.1 no such user in sender.example.org", "anna@leads.example"),
            ("5.1.1 no such user in notsender.example", "anna@leads.example"),
            ("5.1.1 no such user in sender.example", "anna@sender.example"),
        ],
    )
    def test_accuses_it_only_where_it_stands_for_it(self, words: str, lead: str) -> None:
        assert isinstance(judge(Phase.RCPT, reply(550, words), "ola@sender.example", lead), Refused)

    def test_makes_a_mail_of_its_own_domain_wait_too(self) -> None:
        it = reply(550, "account ola@sender.example is disabled")

        assert isinstance(judge(Phase.RCPT, it, "ola@sender.example", "anna@sender.example"), Deferred)


def test_every_known_answer_has_its_source() -> None:
    assert all(row.source for row in KNOWN)
    assert len({(row.words, row.enhanced, row.unless) for row in KNOWN}) == len(KNOWN)
