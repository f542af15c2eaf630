"""What one hint does, from the claim to the recorded answer, against a real mail server."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dramatiq import get_broker

import clock
from actors import deliver as pipeline
from actors.hint import AHEAD, wait_for
from mail import unsubscribe
from models.email import hints
from models.email.gates import Action
from models.people import suppressions
from models.states import Move, Status
from models.store import database, vault
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignStep, Mailbox
from models.views import history, overview
from tests import factories as make
from tests.conftest import Override
from tests.mail import reader
from tests.smtp_server import SmtpServer

Q = CampaignEmailQueue


@pytest.fixture
def smtp(db: None) -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running
    get_broker().flush_all()


def due(smtp: SmtpServer, *addresses: str, **mailbox: Any) -> list[int]:
    """E-mails to these addresses, due now, each of a mailbox and campaign of its own."""
    ids = []
    for address in addresses:
        mailbox_id = make.a_mailbox(smtp_port=smtp.port, **mailbox)
        ids += make.planned(make.a_campaign([mailbox_id], leads=[address]), mailbox_id, make.now())
    return ids


def deliver(email_id: int) -> CampaignEmailQueue:
    pipeline.deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))
    return make.row(email_id)


def again(email_id: int) -> CampaignEmailQueue:
    """What its next attempt comes to, had its time come."""
    make.rested(make.row(email_id).campaign_id)
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
    return deliver(email_id)


def put_off_longer(by: timedelta) -> None:
    Q.update(deferred_since=Q.deferred_since - by).execute()


def waiting() -> int:
    """Messages published for later."""
    return int(get_broker().queues["deliver.DQ"].qsize())


class TestAMailThatArrives:
    def test_is_sent_with_its_fields_filled_in_and_its_history_complete(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "anna@leads.example")

        row = deliver(email_id)

        [mail] = smtp.accepted
        assert (row.status, row.attempts) == (Status.SENT, 1)
        assert mail.message_id == row.message_id
        assert b"Dear Lead anna@leads.example" in mail.content
        assert [line.move for line in history.of_email(email_id)] == ["plan", "claim", "hand_over", "accept"]
        assert overview.content(email_id) is not None

    def test_bears_the_time_of_its_attempt_with_the_offset_of_warsaw(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "anna@leads.example")

        deliver(email_id)

        found = re.search(rb"\r\nDate: ([^\r]+)\r\n", smtp.accepted[0].content)
        assert found
        date = datetime.strptime(found[1].decode(), "%a, %d %b %Y %H:%M:%S %z")
        assert date.utcoffset() == date.astimezone(ZoneInfo("Europe/Warsaw")).utcoffset()

    def test_takes_the_default_for_an_empty_field(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        CampaignStep.update(text="How is {{ city|default('your city') }}?").execute()
        CampaignLead.update(fields={"email": "anna@leads.example", "name": "Anna", "city": ""}).execute()

        deliver(email_id)

        assert b"How is your city?" in smtp.accepted[0].content

    def test_ahead_of_its_time_waits_for_it(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        at = make.now() + AHEAD
        Q.update(scheduled_at=at).where(Q.id == email_id).execute()

        row = deliver(email_id)

        assert row.status == Status.SENT
        assert row.claimed_at >= row.scheduled_at

    def test_ahead_of_its_time_goes_on_no_sooner(self) -> None:
        at = clock.now() + AHEAD

        wait_for(at)

        assert clock.now() >= at

    def test_the_same_hint_again_sends_nothing(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        deliver(email_id)

        deliver(email_id)

        assert len(smtp.accepted) == 1


PAGE = "https://stop.sender.example"


class TestUnsubscribing:
    """What an independent parser reads in the message that arrived."""

    def arrived(self, smtp: SmtpServer, text: str = "Dear {{ name }}", **mailbox: Any) -> tuple[int, reader.Message]:
        [email_id] = due(smtp, "anna@leads.example", address="ola@sender.example", **mailbox)
        CampaignStep.update(text=text).execute()
        deliver(email_id)
        return email_id, reader.read(smtp.accepted[0].content)

    def names(self, token: str) -> str:
        id = unsubscribe.email_of(token, vault.derived_keys(unsubscribe.PURPOSE))
        return f"<{id}@sender.example>"

    def test_is_offered_by_a_mail_to_the_mailbox_without_any_setting(self, smtp: SmtpServer) -> None:
        email_id, message = self.arrived(smtp)

        found = re.fullmatch(r"<mailto:ola@sender\.example\?subject=(.+)>", message["List-Unsubscribe"])
        assert found
        token = unsubscribe.token_in(found[1])
        assert token is not None
        assert self.names(token) == make.row(email_id).message_id
        assert "List-Unsubscribe-Post" not in dict(message.headers)

    def test_is_offered_on_the_public_page_too_in_the_leads_language(
        self, smtp: SmtpServer, settings: Override
    ) -> None:
        settings(UNSUBSCRIBE_URL=PAGE)

        email_id, message = self.arrived(smtp, "Cześć {{ name }}: {{ unsubscribe_url }}")

        [_, uri] = message["List-Unsubscribe"].split(", ")
        assert f": {uri[1:-1]}" in message.parts["plain"]
        assert uri.startswith(f"<{PAGE}/unsubscribe/pl/")
        assert self.names(uri[1:-1].rpartition("/")[2]) == make.row(email_id).message_id
        assert "List-Unsubscribe-Post" not in dict(message.headers)

    def test_by_one_click_is_offered_where_the_owner_says_that_dkim_signs_it(
        self, smtp: SmtpServer, settings: Override
    ) -> None:
        settings(UNSUBSCRIBE_URL=PAGE)

        _, message = self.arrived(smtp, one_click=True)

        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    def test_by_one_click_is_not_offered_without_a_public_page(self, smtp: SmtpServer) -> None:
        _, message = self.arrived(smtp, one_click=True)

        assert "List-Unsubscribe-Post" not in dict(message.headers)

    def test_has_a_link_in_the_letter_even_if_the_page_was_taken_away_since(self, smtp: SmtpServer) -> None:
        _, message = self.arrived(smtp, "Stop: {{ unsubscribe_url }}")

        assert f"Stop: {message['List-Unsubscribe'][1:-1]}" in message.parts["plain"]

    def test_without_a_key_the_mail_waits_and_no_lead_fails(self, smtp: SmtpServer, settings: Override) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        settings(SECRET_KEY="")

        row = deliver(email_id)

        assert (row.status, smtp.accepted) == (Status.PENDING, [])
        assert "PUNKTUAL_SECRET_KEY" in (Mailbox.get().closed_reason or "")


class TestTheLeadsFault:
    def test_a_temporary_one_is_tried_again_later_and_counts_an_attempt(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "451@leads.example")
        before = make.row(email_id).scheduled_at

        row = deliver(email_id)

        assert (row.status, row.attempts) == (Status.PENDING, 1)
        assert row.scheduled_at - before >= timedelta(seconds=48)
        assert (history.of_email(email_id)[-1].detail or {})["code"] == 451
        assert waiting() == 1

    @pytest.mark.parametrize("address", ["451@leads.example", "554-5.0.0@leads.example"])
    def test_is_tried_for_days_and_then_given_up(self, smtp: SmtpServer, address: str) -> None:
        [email_id] = due(smtp, address)
        for _ in range(6):
            assert again(email_id).status == Status.PENDING
        put_off_longer(timedelta(days=4.9))
        still = again(email_id)
        put_off_longer(timedelta(days=0.2))

        row = again(email_id)

        assert still.status == Status.PENDING
        assert row.status == Status.FAILED
        assert str(row.error).startswith(f"gave up after 8 attempts in 5 days: {address[:3]}")

    def test_is_given_up_only_after_some_attempts_however_long_it_was_paused(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "451@leads.example")
        again(email_id)
        put_off_longer(timedelta(days=30))

        assert again(email_id).status == Status.PENDING
        assert again(email_id).status == Status.FAILED

    def test_that_its_mailboxes_fault_interrupts_is_counted_anew(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "451@leads.example")
        for _ in range(3):
            again(email_id)
        put_off_longer(timedelta(days=6))
        smtp.greeting = "421 4.7.0 too many connections"
        again(email_id)
        Mailbox.update(closed_until=None).execute()
        smtp.greeting = "220 ready"

        assert again(email_id).status == Status.PENDING

    def test_a_final_one_fails_at_once_with_the_servers_words(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "550@leads.example")

        row = deliver(email_id)

        assert (row.status, row.error) == (Status.FAILED, "550 5.1.1 no such user")


class TestTheContentsFault:
    def test_refused_at_the_dot_it_has_failed(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "dot-554@leads.example")

        assert deliver(email_id).status == Status.FAILED

    def test_deferred_at_the_dot_it_is_tried_again(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "dot-451@leads.example")

        row = deliver(email_id)

        assert (row.status, row.attempts, row.handed_over_at) == (Status.PENDING, 1, None)

    def test_a_template_that_this_lead_cannot_fill_fails_before_any_conversation(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        CampaignStep.update(text="{{ nickname }}").execute()

        row = deliver(email_id)

        assert row.status == Status.FAILED
        assert "text line 1: 'nickname' is undefined" in str(row.error)
        assert smtp.connections == 0

    @pytest.mark.parametrize(
        ("template", "reason"),
        [
            ({"text": "How is {{ city }}?"}, "'city' is empty: fill it in, or give it a default in text line 1"),
            ({"subject": "{{ city|default('') }}"}, "the subject is empty: it has no visible text"),
            ({"text": "{{ city|default('') }}"}, "the text is empty: it has no visible text"),
            ({"html": ""}, "the html is empty: it shows no text and no picture"),
            ({"html": "<p>{{ city|default('') }}&nbsp;</p>"}, "the html is empty: it shows no text and no picture"),
        ],
    )
    def test_a_stored_letter_that_would_look_blank_fails_with_its_reason(
        self, smtp: SmtpServer, template: dict[str, str], reason: str
    ) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        CampaignStep.update(**template).execute()
        CampaignLead.update(fields={"email": "anna@leads.example", "name": "Anna", "city": ""}).execute()

        row = deliver(email_id)

        assert (row.status, row.error) == (Status.FAILED, reason)
        assert (history.of_email(email_id)[-1].detail or {})["scope"] == "content"
        assert smtp.connections == 0

    @pytest.mark.parametrize("fields", [5, "text", ["a"], {"name": 5}, {"name": None}])
    def test_fields_that_are_no_texts_fail_their_lead_alone(self, smtp: SmtpServer, fields: Any) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        CampaignLead.update(fields=fields).execute()

        row = deliver(email_id)

        assert (row.status, row.error) == (Status.FAILED, "the lead's fields are not names with texts")


class TestTheMailboxesFault:
    @pytest.mark.parametrize(
        ("sender", "told"),
        [
            ({"name": "Ola\r\nBcc: x@y.example"}, "the sender name has a control character"),
            ({"address": "ola"}, "'ola' cannot be used in a header: 'ola' is not an e-mail address"),
        ],
    )
    def test_a_sender_that_no_letter_can_come_from_fails_no_lead(
        self, smtp: SmtpServer, sender: dict[str, str], told: str
    ) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        Mailbox.update(**sender).execute()

        row = deliver(email_id)

        assert row.status == Status.PENDING
        assert str(Mailbox.get_by_id(row.mailbox_id).closed_reason).startswith(told)

    @pytest.mark.parametrize("address", ["421@leads.example", "454@leads.example", "550-5.4.5@leads.example"])
    def test_closes_the_mailbox_and_gives_the_mail_back_unharmed(self, smtp: SmtpServer, address: str) -> None:
        [email_id] = due(smtp, address)

        row = deliver(email_id)

        mailbox = Mailbox.get_by_id(row.mailbox_id)
        assert (row.status, row.attempts) == (Status.PENDING, 0)
        assert mailbox.closed_until is not None
        assert str(mailbox.closed_reason).startswith(address[:3])

    def test_each_fault_after_the_other_closes_it_longer(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "421@leads.example")
        pauses = []
        for _ in range(3):
            deliver(email_id)
            mailbox = Mailbox.get()
            pauses.append(mailbox.closed_until - mailbox.last_start_at)
            Mailbox.update(closed_until=None, last_start_at=None).execute()
            Campaign.update(last_start_at=None).execute()

        assert pauses[0] * 2 < pauses[1] < pauses[2] / 2

    def test_a_wrong_password_is_in_no_row(self, smtp: SmtpServer) -> None:

        with SmtpServer(credentials=("ola", "right")) as strict:
            [email_id] = due(
                strict, "anna@leads.example", username="ola", password_encrypted=vault.encrypt("wr0ng-one")
            )
            row = deliver(email_id)

        assert row.status == Status.PENDING
        everything = [
            *Mailbox.select().dicts(),
            *Q.select().dicts(),
            *[vars(line) for line in history.of_email(email_id)],
        ]
        assert "wr0ng-one" not in repr(everything)


class TestNoAnswerAfterTheDot:
    @pytest.mark.parametrize("local", ["drop-after-dot", "reset-after-dot", "garbage-at-dot"])
    def test_it_is_unknown_and_is_not_sent_again(self, smtp: SmtpServer, local: str) -> None:
        [email_id] = due(smtp, f"{local}@leads.example")

        row = deliver(email_id)
        deliver(email_id)

        assert row.status == Status.UNKNOWN
        assert len(smtp.accepted) == 1
        assert "no answer" in str(row.error) or "cannot be understood" in str(row.error)


class TestAClosedGate:
    def test_that_opens_by_itself_is_asked_again_then(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        Campaign.update(last_start_at=make.now()).execute()

        row = deliver(email_id)

        assert row.status == Status.PENDING
        assert waiting() == 1

    def test_that_needs_another_time_is_left_to_the_tick(self, smtp: SmtpServer) -> None:
        [email_id] = due(smtp, "anna@leads.example")
        Mailbox.update(status="paused").execute()

        deliver(email_id)

        assert waiting() == 0
        assert [line.move for line in history.of_email(email_id)] == [Move.PLAN]

    def test_a_suppressed_lead_cancels_the_mail_with_the_reason(self, smtp: SmtpServer) -> None:
        suppressions.add("anna@leads.example", "she asked us to", "tests")
        [email_id] = due(smtp, "anna@leads.example")

        row = deliver(email_id)

        assert (row.status, row.error) == (Status.CANCELLED, "suppressed: she asked us to")


class TestAnOldHint:
    """Its time was minutes ago."""

    @pytest.fixture
    def late(self, smtp: SmtpServer) -> int:
        [email_id] = due(smtp, "anna@leads.example")
        make.age(email_id, timedelta(seconds=400))
        return email_id

    def claims(self, email_id: int) -> list[str]:
        """The statements that lock something, while its hint is handled."""
        seen: list[str] = []

        def hook(query: Any) -> None:
            seen.append(query.sql if hasattr(query, "sql") else str(query))

        database.database.query_hooks.append(hook)
        try:
            deliver(email_id)
        finally:
            database.database.query_hooks.remove(hook)
        return [sql for sql in seen if "lock_around" in sql]

    def test_of_a_mail_that_is_too_late_locks_nothing(self, late: int) -> None:
        assert self.claims(late) == []
        assert make.row(late).status == Status.PENDING

    def test_of_a_mail_that_may_be_sent_within_two_delays_of_its_campaign_sends_it(self, late: int) -> None:
        Campaign.update(delay_seconds=300.0).execute()

        assert self.claims(late) != []
        assert make.row(late).status == Status.SENT

    def test_of_a_mail_that_has_another_time_by_now_locks_nothing_and_leaves_it(self, late: int) -> None:
        Campaign.update(delay_seconds=300.0).execute()
        old = make.row(late).scheduled_at
        Q.update(scheduled_at=make.now()).where(Q.id == late).execute()

        seen = hints.refused_anyway(hints.Hint(late, old))

        assert seen is not None
        assert (seen.gate, seen.action) == ("hint", Action.DROP)

    def test_of_a_mail_whose_campaign_has_just_sent_another_locks_nothing_and_waits(self, late: int) -> None:
        just_now = make.now()
        Campaign.update(delay_seconds=300.0, last_start_at=just_now).execute()

        assert self.claims(late) == []
        seen = hints.refused_anyway(hints.Hint(late, make.row(late).scheduled_at))
        assert seen is not None
        assert (seen.gate, seen.action, seen.until) == ("pace", Action.WAIT, just_now + timedelta(seconds=240))

    def test_of_no_mail_is_left_to_the_claim(self, db: None) -> None:
        assert hints.refused_anyway(hints.Hint(0, make.now())) is None
