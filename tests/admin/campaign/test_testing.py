"""`campaign test`: a letter to oneself, through a real mailbox, within its limits, and once."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from peewee import IntegrityError

from models.email import gates, moves
from models.email.limits import mailboxes_used
from models.owner import campaigns, mail_tests, mailboxes
from models.owner.mail_tests import TestMailRefused as Refused
from models.people import suppressions
from models.states import Status
from models.store import database, tables
from models.store.tables import Campaign, CampaignStep, Mailbox
from models.views import letters
from scheduling.window import warsaw_day
from tests import factories as make
from tests.forking import admin
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.usefixtures("db")
TO = "ola@her-own.example"


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def draft(smtp: SmtpServer) -> Campaign:
    mailbox = make.a_mailbox("ola@sender.example", smtp_port=smtp.port, daily_limit=3)
    leads = ["anna@leads.example", "jan@leads.example"]
    row = Campaign.get_by_id(make.a_campaign([mailbox], leads=leads, active=False))
    CampaignStep.update(html="<p>Dear {{ name }}</p>").execute()
    return row


def used(mailbox_id: int) -> int:
    return mailboxes_used([mailbox_id], warsaw_day(make.now())).get(mailbox_id, 0)


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


class TestATestMail:
    def test_is_the_leads_letter_to_the_named_address_and_marked(self, smtp: SmtpServer, draft: Campaign) -> None:
        result = admin("campaign", "test", draft.name, "--to", TO, "--lead", "jan@leads.example")

        assert result.returncode == 0, result.stderr
        [mail] = smtp.accepted
        message = read(mail.content)
        assert (mail.recipient, message["To"], message["X-Punktual-Test"]) == (TO, TO, "yes")
        assert message["Subject"] == "[Test] Hello Lead jan@leads.example"
        assert b"Dear Lead jan@leads.example, how are you?" in mail.content

    def test_of_a_follow_up_has_its_subject_and_names_no_letter_of_the_lead(
        self, smtp: SmtpServer, draft: Campaign
    ) -> None:
        later = {"text": "Still there, {{ name }}?", "html": "<p>Dear {{ name }}</p>"}
        CampaignStep.insert(campaign=draft.id, position=2, wait_count=1, wait_unit="days", **later).execute()
        assert letters.of_lead(draft, step=2).thread_ids

        result = admin("campaign", "test", draft.name, "--to", TO, "--step", "2")

        assert result.returncode == 0, result.stderr
        [mail] = smtp.accepted
        message = read(mail.content)
        own_id = str(message["Message-ID"])
        assert message["Subject"] == "[Test] Re: Hello Lead anna@leads.example"
        assert (message["In-Reply-To"], message["References"]) == (None, f"<thread.{own_id[1:]}")
        assert "unsubscribe-000000" in message["List-Unsubscribe"]
        html = message.get_body(("html",))
        assert html is not None
        assert html.get_content().strip() == "<p>Dear Lead anna@leads.example</p>"

    def test_of_a_letter_that_cannot_be_composed_names_lead_and_letter(self, smtp: SmtpServer, draft: Campaign) -> None:
        later = {"text": "{{ nick }}", "wait_count": 1, "wait_unit": "days"}
        CampaignStep.insert(campaign=draft.id, position=2, **later).execute()

        complaint = admin("campaign", "test", draft.name, "--to", TO, "--step", "2").stderr

        assert "letter 2 to anna@leads.example cannot be composed: " in complaint
        assert "'nick'" in complaint
        assert (
            "has no letter 3; its letters: 1, 2"
            in admin("campaign", "test", draft.name, "--to", TO, "--step", "3").stderr
        )
        assert smtp.connections == tables.TestMail.select().count() == 0

    def test_counts_towards_its_mailboxs_limit_and_gap_and_changes_no_email(
        self, smtp: SmtpServer, draft: Campaign
    ) -> None:
        admin("campaign", "test", draft.name, "--to", TO)

        box = Mailbox.get()
        assert used(box.id) == 1
        assert box.last_start_at is not None
        assert tables.CampaignEmailQueue.select().count() == 0
        assert Campaign.get().status == "draft"

    @pytest.mark.parametrize(
        ("local", "said", "outcome", "counts"),
        [
            ("550", "not sent to 550@her-own.example from ola@sender.example: rcpt: 550", "refused", 0),
            ("451", "not sent to 451@her-own.example from ola@sender.example: rcpt: 451", "deferred", 0),
            ("dot-554", "not sent to dot-554@her-own.example from ola@sender.example: dot: 554", "refused", 0),
            ("drop-after-dot", "nobody knows whether it was sent", "unanswered", 1),
        ],
    )
    def test_that_does_not_arrive_says_why_and_counts_only_if_it_may_have(
        self, smtp: SmtpServer, draft: Campaign, local: str, said: str, outcome: str, counts: int
    ) -> None:
        result = admin("campaign", "test", draft.name, "--to", f"{local}@her-own.example")

        assert result.returncode == 1
        assert said in result.stdout
        assert tables.TestMail.get().outcome == outcome
        assert used(Mailbox.get().id) == counts
        assert smtp.connections == 1

    def test_is_refused_beyond_the_daily_limit(self, smtp: SmtpServer, draft: Campaign) -> None:
        for _ in range(3):
            assert admin("campaign", "test", draft.name, "--to", TO).returncode == 0

        result = admin("campaign", "test", draft.name, "--to", TO)

        assert result.returncode == 1
        assert "cannot send it now: the mailbox's daily limit of 3 is used up" in result.stderr
        assert len(smtp.accepted) == 3

    @pytest.mark.parametrize(
        ("order", "complaint"),
        [
            (lambda row: suppressions.add(TO, "she asked us to", "tests"), "nothing may be sent to this address"),
            (lambda row: mailboxes.pause(row.id, "tests"), "the mailbox is paused"),
            (lambda row: mailboxes.close(row.id, "535 no", lambda faults: timedelta(hours=1)), "closed: 535 no"),
            (lambda row: mailboxes.edit(row.id, "tests", mailboxes.Edit(daily_limit=0)), "daily limit is 0"),
            (lambda row: database.execute("UPDATE installation SET disarmed_reason = 'restored'"), "restored"),
            (lambda row: CampaignStep.update(text="{{ nick }}").execute(), "'nick' is undefined"),
            (
                lambda row: Mailbox.update(gap_seconds=3600, last_start_at=make.now()).execute(),
                "the mailbox sent an e-mail a moment ago; try again from",
            ),
        ],
        ids=["suppressed", "paused", "closed", "limit 0", "disarmed", "letter", "gap"],
    )
    def test_is_refused_before_anything_is_said_to_the_server(
        self, smtp: SmtpServer, draft: Campaign, order: Callable[[Mailbox], object], complaint: str
    ) -> None:
        order(Mailbox.get())

        result = admin("campaign", "test", draft.name, "--to", TO)

        assert result.returncode == 1
        assert complaint in result.stderr
        assert smtp.connections == tables.TestMail.select().count() == 0

    def test_goes_through_a_mailbox_of_the_campaign_only(self, smtp: SmtpServer, draft: Campaign) -> None:
        make.a_mailbox("other@sender.example", smtp_port=smtp.port)

        result = admin("campaign", "test", draft.name, "--to", TO, "--mailbox", "other@sender.example")

        assert "other@sender.example is none of the campaign's mailboxes" in result.stderr
        assert smtp.connections == 0


class TestItsMailbox:
    def begun(self) -> tuple[int, mail_tests.Order]:
        email_id = make.an_email()
        row = make.row(email_id)
        return email_id, mail_tests.begin(row.campaign_id, row.mailbox_id, TO, "tests")

    def test_sends_nothing_else_meanwhile(self) -> None:
        email_id, _ = self.begun()

        closed = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)

        assert isinstance(closed, gates.Closed)
        assert closed.gate == "mailbox_busy"

    def test_takes_no_test_while_it_sends(self) -> None:
        email_id, _ = make.in_status(Status.SENDING)
        row = make.row(email_id)

        with pytest.raises(Refused, match="is sending another e-mail"):
            mail_tests.begin(row.campaign_id, row.mailbox_id, TO, "tests")

    def test_never_has_two_under_way(self) -> None:
        _, order = self.begun()
        row = tables.TestMail.get_by_id(order.id)

        with pytest.raises(Refused, match="is sending another e-mail"):
            mail_tests.begin(Campaign.get().id, row.mailbox_id, TO, "tests")
        with pytest.raises(IntegrityError), database.database.atomic():
            tables.TestMail.insert(
                mailbox=row.mailbox_id, recipient=TO, by="x", message_id="x", lease_ends_at=make.now()
            ).execute()

    def test_is_free_again_after_the_lease_of_one_whose_process_died_which_keeps_counting(self) -> None:
        email_id, order = self.begun()
        assert mail_tests.hand_over(order.id) is None
        tables.TestMail.update(lease_ends_at=make.now() - timedelta(seconds=1)).execute()

        assert make.claimed(email_id)
        box = make.row(email_id).mailbox_id
        assert used(box) == 2


class TestAHandOver:
    @pytest.mark.parametrize("abandoned", [False, True])
    def test_is_given_once(self, abandoned: bool) -> None:
        row = make.row(make.an_email())
        order = mail_tests.begin(row.campaign_id, row.mailbox_id, TO, "tests")
        if abandoned:
            mail_tests.abandon(order.id)
        else:
            assert mail_tests.hand_over(order.id) is None

        assert mail_tests.hand_over(order.id) is not None

    def test_is_refused_where_a_person_said_no_meanwhile(self) -> None:
        row = make.row(make.an_email())
        order = mail_tests.begin(row.campaign_id, row.mailbox_id, TO, "tests")
        suppressions.add(TO, "she asked us to", "tests")

        assert "nothing may be sent to this address" in str(mail_tests.hand_over(order.id))

    @pytest.mark.parametrize(("handed_over", "outcome"), [(True, "unanswered"), (False, "withdrawn")])
    def test_tells_what_is_known_of_one_that_was_interrupted(self, handed_over: bool, outcome: str) -> None:
        row = make.row(make.an_email())
        order = mail_tests.begin(row.campaign_id, row.mailbox_id, TO, "tests")
        if handed_over:
            mail_tests.hand_over(order.id)

        mail_tests.abandon(order.id)

        assert tables.TestMail.get_by_id(order.id).outcome == outcome


def test_a_draft_of_which_a_test_was_sent_is_still_a_draft(smtp: SmtpServer, draft: Campaign) -> None:
    admin("campaign", "test", draft.name, "--to", TO)

    campaigns.start(draft.id, "tests")

    assert Campaign.get().status == "active"
