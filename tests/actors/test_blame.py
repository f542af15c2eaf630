"""Whose fault a refusal is, where its words do not say: told by what the server answers to others."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
from dramatiq import get_broker

from actors import deliver as pipeline
from actors import plan, reconcile
from models.audit import changes
from models.email.blame import Answer, is_the_mailboxes
from models.owner import campaigns, mailboxes
from models.planning import plans
from models.states import Status
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox
from models.views import history, overview
from tests import factories as make
from tests.smtp_server import SmtpServer

Q = CampaignEmailQueue
_numbers = count()
UNCLEAR, OTHER, TEMPORARY, CONTENT = "554-5.0.0", "550-5.7.1", "451-4.3.0", "dot-554"


@pytest.fixture
def smtp(db: None) -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running
    get_broker().flush_all()


@pytest.fixture
def box(smtp: SmtpServer) -> int:
    return make.a_mailbox(smtp_port=smtp.port)


def delivered(mailbox_id: int, *wishes: str) -> list[CampaignEmailQueue]:
    """What becomes of a campaign's mails from this mailbox, one after the other, each to a lead that wishes for it."""
    leads = [wish if "@" in wish else f"{wish}+{next(_numbers)}@leads.example" for wish in wishes]
    campaign_id = make.a_campaign([mailbox_id], leads=leads)
    ids = make.planned(campaign_id, mailbox_id, *[make.now()] * len(leads))
    return [deliver(email_id) for email_id in ids]


def deliver(email_id: int) -> CampaignEmailQueue:
    """Its next attempt, had its time come and its mailbox been opened."""
    make.rested(make.row(email_id).campaign_id)
    Mailbox.update(closed_until=None).execute()
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
    pipeline.deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))
    return make.row(email_id)


def faults(mailbox_id: int) -> int:
    return int(Mailbox.get_by_id(mailbox_id).faults)


def missing(leads: int, domains: int) -> list[str]:
    """Leads whose server says that they do not exist."""
    return [f"550+{number}@domain{number % domains}.example" for number in range(leads)]


class TestAnUnclearRefusal:
    @pytest.mark.parametrize("wish", [UNCLEAR, OTHER, TEMPORARY, "dot-550-5.7.1"])
    def test_of_one_or_two_leads_never_closes_their_mailbox(self, box: int, wish: str) -> None:
        rows = delivered(box, wish, wish)
        for _ in range(4):
            rows = [deliver(row.id) for row in rows]

        assert faults(box) == 0
        assert [(row.status, row.attempts) for row in rows] == [(Status.PENDING, 5)] * 2
        assert overview.email(rows[0].id).deferred_until == rows[0].scheduled_at

    @pytest.mark.parametrize("wish", [UNCLEAR, OTHER, TEMPORARY, "dot-550-5.7.1"])
    def test_of_three_in_a_row_is_the_mailboxes_and_costs_no_lead_anything(self, box: int, wish: str) -> None:
        rows = delivered(box, wish, wish, wish, wish)

        closed = Mailbox.get_by_id(box)
        assert {row.status for row in rows} == {Status.PENDING}
        assert [row.attempts for row in rows] == [1, 1, 0, 0]
        assert closed.faults == 2
        assert str(closed.closed_reason).endswith("as the address asked")

    def test_counts_over_all_campaigns_of_the_mailbox(self, box: int) -> None:
        for _ in range(3):
            delivered(box, UNCLEAR)

        assert faults(box) == 1

    def test_counts_one_person_once_however_many_campaigns_write_to_it(self, box: int) -> None:
        for _ in range(4):
            delivered(box, f"{UNCLEAR}@leads.example")

        assert faults(box) == 0

    def test_counts_of_this_mailbox_alone(self, smtp: SmtpServer) -> None:
        boxes = [make.a_mailbox(smtp_port=smtp.port) for _ in range(3)]
        for each in boxes:
            delivered(each, UNCLEAR, UNCLEAR)

        assert [faults(each) for each in boxes] == [0, 0, 0]

    def test_of_another_kind_does_not_add_to_it(self, box: int) -> None:
        delivered(box, UNCLEAR, OTHER, TEMPORARY, UNCLEAR, OTHER)

        assert faults(box) == 0

    def test_before_an_acceptance_does_not_count_after_it(self, box: int) -> None:
        delivered(box, UNCLEAR, UNCLEAR, "anna", UNCLEAR, UNCLEAR)

        assert faults(box) == 0

    def test_that_a_lead_also_gets_while_others_are_accepted_is_never_the_mailboxes(self, box: int) -> None:
        """The last ones of a campaign: nothing is accepted between them any more."""
        rows = delivered(box, *[UNCLEAR, "anna"] * 4)
        for _ in range(2):
            for row in rows:
                if row.status == Status.PENDING:
                    deliver(row.id)

        assert faults(box) == 0

    def test_before_a_person_says_that_the_mailbox_works_does_not_count(self, box: int) -> None:
        delivered(box, *[UNCLEAR] * 4)

        mailboxes.resume(box, "ola")

        assert {row.status for row in delivered(box, UNCLEAR, UNCLEAR)} == {Status.PENDING}
        assert faults(box) == 0

    def test_that_the_same_leads_get_again_after_that_closes_it_again(self, box: int) -> None:
        rows = delivered(box, *[UNCLEAR] * 3)
        mailboxes.resume(box, "ola")
        two = [deliver(row.id) for row in rows[:2]]
        before = faults(box)

        third = deliver(rows[2].id)

        assert {row.status for row in (*two, third)} == {Status.PENDING}
        assert (before, faults(box)) == (0, 1)

    def test_that_three_get_for_being_put_off_by_their_own_servers_is_not_the_mailboxes(self, box: int) -> None:
        delivered(box, *["451"] * 5)

        assert faults(box) == 0

    def test_that_ten_of_several_domains_are_put_off_is_not_the_mailboxes_either(self, box: int) -> None:
        delivered(box, *[f"451+{number}@domain{number % 5}.example" for number in range(11)])

        assert faults(box) == 0

    def test_ends_with_the_first_mail_that_is_accepted(self, box: int) -> None:
        delivered(box, UNCLEAR, UNCLEAR, UNCLEAR)

        delivered(box, "anna")

        assert faults(box) == 0
        assert {row.status for row in delivered(box, UNCLEAR, UNCLEAR)} == {Status.PENDING}
        assert faults(box) == 0


class TestARefusalThatBlamesTheLead:
    def test_fails_each_at_once_and_leaves_the_mailbox_open(self, box: int) -> None:
        rows = delivered(box, *missing(12, domains=2))

        assert {row.status for row in rows} == {Status.FAILED}
        assert faults(box) == 0

    def test_told_to_ten_leads_of_several_domains_in_a_row_is_the_mailboxes_and_they_come_back(self, box: int) -> None:
        rows = delivered(box, *missing(10, domains=5))
        before = Mailbox.get_by_id(box)
        campaigns.complete_finished("tests")

        reconcile.reconcile()

        assert [row.status for row in rows] == [Status.FAILED] * 9 + [Status.PENDING]
        assert before.faults == 1
        again = [make.row(row.id) for row in rows]
        assert [(row.status, row.attempts, row.error) for row in again[:-1]] == [(Status.PENDING, 0, None)] * 9
        assert history.of_email(rows[0].id)[-1].reason == "it was refused because of its mailbox"
        assert Mailbox.get_by_id(box).blamed_from is None

    def test_with_an_acceptance_between_is_believed(self, box: int) -> None:
        rows = delivered(box, *missing(6, domains=6), "anna", *[f"550+x{n}@y{n}.example" for n in range(6)])
        reconcile.reconcile()

        assert [make.row(row.id).status for row in rows] == [Status.FAILED] * 6 + [Status.SENT] + [Status.FAILED] * 6

    def test_again_after_it_was_brought_back_is_believed(self, box: int) -> None:
        rows = delivered(box, *missing(10, domains=5))
        reconcile.reconcile()
        mailboxes.resume(box, "ola")

        again = [deliver(row.id) for row in rows[:-1]]
        reconcile.reconcile()

        assert {make.row(row.id).status for row in again} == {Status.FAILED}


class TestARefusalThatBlamesTheContent:
    def test_told_to_three_in_a_row_is_not_held_against_them(self, box: int) -> None:
        rows = delivered(box, CONTENT, CONTENT, CONTENT)
        reconcile.reconcile()

        assert [row.status for row in rows] == [Status.FAILED, Status.FAILED, Status.PENDING]
        assert {make.row(row.id).status for row in rows} == {Status.PENDING}
        assert faults(box) == 1

    def test_told_to_one_of_many_is_its_own(self, box: int) -> None:
        rows = delivered(box, "anna", CONTENT, "jan", CONTENT, "ola", CONTENT)
        reconcile.reconcile()

        assert [make.row(row.id).status for row in rows] == [Status.SENT, Status.FAILED] * 3
        assert faults(box) == 0


class TestWhatComesBack:
    def test_makes_a_completed_campaign_active_again_with_the_reason(self, box: int) -> None:
        delivered(box, CONTENT, CONTENT)
        campaigns.complete_finished("tests")
        first = Campaign.select().order_by(Campaign.id).first()
        delivered(box, CONTENT)

        reconcile.reconcile()

        assert first.status == "completed"
        assert Campaign.get_by_id(first.id).status == "active"
        [last, *_] = changes.of_campaign(first.id)
        assert (last.verb, last.reason) == ("retry", "it was refused because of its mailbox")

    def test_comes_back_although_a_mail_is_accepted_before_the_tick(self, box: int) -> None:
        rows = delivered(box, CONTENT, CONTENT, CONTENT)
        delivered(box, "anna")

        reconcile.reconcile()

        assert {make.row(row.id).status for row in rows} == {Status.PENDING}

    def test_is_nothing_of_a_cancelled_campaign(self, box: int) -> None:
        rows = delivered(box, CONTENT, CONTENT, CONTENT)
        campaigns.cancel(rows[0].campaign_id, "ola")

        reconcile.reconcile()

        assert [make.row(row.id).status for row in rows] == [Status.FAILED, Status.FAILED, Status.CANCELLED]
        assert Mailbox.get_by_id(box).blamed_from is None

    def test_comes_back_once(self, box: int) -> None:
        rows = delivered(box, CONTENT, CONTENT, CONTENT)
        reconcile.reconcile()
        reconcile.reconcile()

        moves = [line.move for line in history.of_email(rows[0].id)]
        assert moves.count("reopen") == 1

    def test_is_planned_behind_the_campaigns_others(self, box: int) -> None:
        campaign_id = make.a_campaign([box], leads=[f"{CONTENT}+{n}@leads.example" for n in range(3)] + ["a@b.example"])
        ids = make.planned(campaign_id, box, *[make.now()] * 4)
        for email_id in ids[:3]:
            deliver(email_id)
        Q.update(scheduled_at=make.now() + timedelta(hours=2)).where(Q.id == ids[3]).execute()

        reconcile.reconcile()

        assert min(make.row(ids[n]).scheduled_at for n in (0, 1)) > make.row(ids[3]).scheduled_at


class TestAMailboxThatAPersonOpens:
    def test_has_what_waits_for_it_planned_again_from_now(self, box: int) -> None:
        rows = delivered(box, *[UNCLEAR] * 4)
        later = make.now() + timedelta(hours=5)
        Q.update(scheduled_at=later).execute()

        mailboxes.resume(box, "ola")
        plan.replan()

        assert plans.to_replan() == {}
        assert max(make.row(row.id).scheduled_at for row in rows) < make.now() + timedelta(minutes=10)
        assert history.of_email(rows[0].id)[-1].reason == "resumed"


class TestTheDecision:
    """Pure: one refusal, and those that count beside it."""

    def alike(self, leads: int, scope: str, domains: int) -> list[Answer]:
        return [Answer(n, f"d{n % domains}.example", scope, 550, None) for n in range(leads)]

    @pytest.mark.parametrize(
        ("scope", "leads", "domains", "is_its"),
        [
            ("unclear", 2, 2, False),
            ("unclear", 3, 1, True),
            ("content", 2, 2, False),
            ("content", 3, 1, True),
            ("lead", 9, 9, False),
            ("lead", 10, 2, False),
            ("lead", 10, 3, True),
        ],
    )
    def test_is_by_how_many_leads_got_the_same(self, scope: str, leads: int, domains: int, is_its: bool) -> None:
        answer, *others = self.alike(leads, scope, domains)

        assert is_the_mailboxes(answer, others) is is_its

    def test_counts_only_the_same_kind(self) -> None:
        answer = Answer(0, "a.example", "unclear", 550, "5.7.1")
        others = [
            Answer(1, "a.example", "unclear", 550, "5.7.0"),
            Answer(2, "a.example", "unclear", 554, "5.7.1"),
            Answer(3, "a.example", "content", 550, "5.7.1"),
            Answer(4, "a.example", "unclear", 550, "5.7.1"),
        ]

        assert not is_the_mailboxes(answer, others)
        assert is_the_mailboxes(answer, [*others, Answer(5, "a.example", "unclear", 550, "5.7.1")])
