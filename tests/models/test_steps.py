"""What a campaign of two steps asks of plans, moves and invariants.

A unique index that the version before needs keeps a lead to one e-mail a campaign: it is dropped here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from actors import deliver
from actors.disk import handover_log
from actors.plan import plan_new, replan
from models.audit import changes
from models.email import batch_moves, moves, recipients, recovery, remaining
from models.email.batch_moves import FollowUpSlot
from models.email.claims import Claim
from models.health import invariants
from models.owner import campaigns, reopening
from models.owner.campaigns import Edit
from models.people import suppressions
from models.planning import preview
from models.states import Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignStep
from models.views import forecast, mails, overview
from scheduling.planner import Slot
from tests import factories as make

Q = CampaignEmailQueue
OF_THE_VERSION_BEFORE = make.ONE_EMAIL
FIRST = "one_first_email"
OF_THE_STEP = "campaign_email_queue_campaign_lead_id_step_id"
INDEX = "SELECT pg_get_indexdef(%(name)s::regclass), obj_description(%(name)s::regclass)"
EACH = f"""
SELECT campaign_lead_id, step_id, may_be_written_to FROM campaign c CROSS JOIN LATERAL {remaining.REMAINING} r
WHERE c.id = %(id)s ORDER BY turn, step
"""
COUNTS = (
    f"SELECT {remaining.COUNT}, {remaining.LEADS}, {remaining.IS_TO_BE_PLANNED} FROM campaign c WHERE c.id = %(id)s"
)


@contextmanager
def without(index: str) -> Iterator[None]:
    """In the end all rows are gone, and it is back."""
    [(definition, comment)] = database.fetch(INDEX, {"name": index})
    database.execute(f"DROP INDEX {index}")
    try:
        yield
    finally:
        make.nothing_left()
        database.execute(definition.replace("INDEX", "INDEX IF NOT EXISTS", 1))
        database.execute(f"COMMENT ON INDEX {index} IS %s", (comment,))


@pytest.fixture(autouse=True)
def sequences(db: None) -> Iterator[None]:
    with without(OF_THE_VERSION_BEFORE):
        yield


def of_two_steps(leads: int = 2) -> tuple[int, int, list[int]]:
    """A campaign, its mailbox, and its steps."""
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads)
    later = {"subject": "Once more", "text": "Still there?", "wait_count": 1, "wait_unit": "hours"}
    CampaignStep.insert(campaign=campaign_id, position=2, **later).execute()
    steps = CampaignStep.select().where(CampaignStep.campaign == campaign_id).order_by(CampaignStep.position)
    return campaign_id, mailbox_id, [step.id for step in steps]


def leads_of(campaign_id: int) -> list[int]:
    rows = CampaignLead.select().where(CampaignLead.campaign == campaign_id).order_by(CampaignLead.position)
    return [row.id for row in rows]


def followed(email_id: int, step_id: int) -> int:
    """The e-mail of a later step to the same lead, an hour after this one."""
    row = make.row(email_id)
    slot = Slot(row.campaign_id, row.campaign_lead_id, step_id, row.mailbox_id, row.scheduled_at + timedelta(hours=1))
    assert (
        batch_moves.follow(row.campaign_id, [FollowUpSlot(email_id, slot, row.scheduled_at)], "tests", only_sent=False)
        == 1
    )
    return int(Q.get(Q.campaign_lead == row.campaign_lead_id, Q.step == step_id).id)


def allow_follow_ups_without_inbox(campaign_id: int) -> None:
    Campaign.update(follow_up_without_inbox=True).where(Campaign.id == campaign_id).execute()


def sent(email_id: int | None) -> None:
    assert email_id is not None
    assert moves.accept(make.handed_over(email_id).held, make.YES)
    make.rested(make.row(email_id).campaign_id)


def claimed_and_released(email_id: int) -> Claim:
    claim = make.claimed(email_id)
    assert moves.release(claim.held, "not sent")
    return claim


def what_remains(campaign_id: int) -> list[tuple[int, int, bool]]:
    return [tuple(row) for row in database.fetch(EACH, {**recipients.rules(), "id": campaign_id})]


def counted(campaign_id: int) -> tuple[int, int, bool]:
    [row] = database.fetch(COUNTS, {**recipients.rules(), "id": campaign_id})
    return row[0], row[1], row[2]


def broken() -> set[str]:
    return {it.rule for it in invariants.check() if not it.holds}


class TestWhatRemains:
    def test_is_each_step_that_a_lead_has_no_email_of(self) -> None:
        campaign_id, mailbox_id, (first, second) = of_two_steps()
        anna, jan = leads_of(campaign_id)
        assert what_remains(campaign_id) == [(it, step, True) for it in (anna, jan) for step in (first, second)]

        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        assert what_remains(campaign_id) == [(anna, second, True), (jan, first, True), (jan, second, True)]
        followed(email_id, second)

        assert what_remains(campaign_id) == [(jan, first, True), (jan, second, True)]
        assert counted(campaign_id) == (2, 1, True)

    def test_of_a_lead_that_must_not_be_written_to_is_told_apart(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps()
        _, jan = leads_of(campaign_id)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        followed(email_id, second)
        suppressions.add(CampaignLead.get_by_id(jan).address, "she asked us to", "tests")

        assert {(lead, may) for lead, _, may in what_remains(campaign_id)} == {(jan, False)}
        assert counted(campaign_id) == (2, 1, False)

    def test_is_counted_as_it_is_listed_whatever_is_planned(self) -> None:
        for planned, follow_ups in ((0, 0), (1, 0), (3, 1), (3, 3)):
            campaign_id, mailbox_id, (_, second) = of_two_steps(leads=3)
            emails = make.planned(campaign_id, mailbox_id, *[make.now()] * planned) if planned else []
            for email_id in emails[:follow_ups]:
                followed(email_id, second)

            left = what_remains(campaign_id)

            assert counted(campaign_id) == (len(left), len({lead for lead, _, _ in left}), bool(left))


class TestPlanning:
    def test_begins_with_the_first_step_of_each_lead(self) -> None:
        campaign_id, _, (first, _) = of_two_steps(leads=3)

        plan_new()
        plan_new()

        assert [(row.campaign_lead_id, row.step_id) for row in Q.select().order_by(Q.scheduled_at)] == [
            (lead, first) for lead in leads_of(campaign_id)
        ]
        assert [it.lead_id for it in forecast.forecast(campaign_id)] == leads_of(campaign_id)

    def test_again_moves_each_of_a_leads_emails_by_itself(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now() - timedelta(hours=2))
        follower = followed(email_id, second)
        Q.update(scheduled_at=make.now() + timedelta(hours=3)).where(Q.id == follower).execute()
        before = make.row(follower).scheduled_at

        replan()

        assert make.row(email_id).scheduled_at > make.now() - timedelta(minutes=1)
        assert make.row(follower).scheduled_at == before

    def test_anew_shows_each_of_a_leads_emails_that_moves(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now() + timedelta(hours=1))
        followed(email_id, second)

        [shift] = preview.of(lambda: campaigns.edit(campaign_id, "tests", Edit(delay_seconds=30.0)), [campaign_id])

        assert shift.moved == 2

    def test_what_failed_again_leaves_the_leads_other_emails_as_they_are(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        follower = followed(email_id, second)
        allow_follow_ups_without_inbox(campaign_id)
        sent(email_id)
        Q.update(scheduled_at=make.now()).where(Q.id == follower).execute()
        moves.reject(make.handed_over(follower).held, make.no(550))

        reopening.one(follower, "she has a new address", "tests")

        assert [make.row(it).status for it in (email_id, follower)] == [Status.SENT, Status.PENDING]


class TestACampaign:
    def test_is_not_complete_while_a_step_remains(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        moves.accept(make.handed_over(email_id).held, make.YES)
        assert campaigns.complete_finished("tests") == []

        moves.cancel(followed(email_id, second), "a test", "tests")

        assert campaigns.complete_finished("tests") == [campaign_id]
        assert broken() == set()

    def test_completed_tells_how_many_leads_were_left_out_and_not_how_many_emails(self) -> None:
        campaign_id, _, _ = of_two_steps(leads=3)
        for lead in CampaignLead.select():
            suppressions.add(lead.address, "she asked us to", "tests")

        assert campaigns.complete_finished("tests") == [campaign_id]

        assert changes.of_campaign(campaign_id)[0].values["leads_left_out"] == [0, 3]
        assert broken() == set()

    def test_completed_with_a_step_left_is_found_out(self) -> None:
        campaign_id, mailbox_id, _ = of_two_steps(leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        sent(email_id)
        database.execute("UPDATE campaign SET status = 'completed'")

        assert "completed campaigns have nothing left to send" in broken()

    def test_has_as_many_emails_as_its_leads_times_its_steps(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=3)
        followed(make.planned(campaign_id, mailbox_id, make.now())[0], second)

        [line] = overview.campaigns([campaigns.get(campaign_id)])

        assert (line.leads, line.emails, line.counts["pending"]) == (3, 6, 2)
        assert campaigns.subjects(campaign_id) == ["Hello {{ name }}", "Once more"]

    def test_shows_all_emails_of_a_lead(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=2)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        follower = followed(email_id, second)
        address = CampaignLead.get_by_id(leads_of(campaign_id)[0]).lead.address

        assert [it.id for it in mails.page(campaign_id, lead=address).lines] == [email_id, follower]
        assert {it.id for it in mails.find(address)} == {email_id, follower}


class TestALaterStep:
    def test_is_sent_with_its_own_letter(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=1)
        follower = followed(make.planned(campaign_id, mailbox_id, make.now())[0], second)
        allow_follow_ups_without_inbox(campaign_id)
        sent(make.row(follower).predecessor_id)
        make.age(follower, timedelta(hours=1))

        claim = make.claimed(follower)

        assert (claim.step_id, claim.step, claim.subject, claim.text) == (second, 2, "Once more", "Still there?")

    def test_without_a_subject_is_claimed_with_the_letters_of_its_thread(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=1)
        CampaignStep.update(subject=None).where(CampaignStep.id == second).execute()
        allow_follow_ups_without_inbox(campaign_id)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        sent(email_id)
        Q.update(wire_message_id="<changed@provider.example>").where(Q.id == email_id).execute()
        follower = followed(email_id, second)
        Q.update(scheduled_at=make.now()).where(Q.id == follower).execute()

        claim = make.claimed(follower)

        assert claim.subject is None
        assert (claim.thread_ids, claim.thread_first_id) == (
            ["<changed@provider.example>"],
            make.row(email_id).message_id,
        )
        assert claim.thread_subject == "Hello {{ name }}"
        assert claim.thread_head is not None
        content = deliver.compose(claim)
        assert isinstance(content, bytes)
        assert b"Subject: Re: hello\r\n" in content
        assert b"In-Reply-To: <changed@provider.example>\r\n" in content

    def test_is_recovered_as_itself_after_a_backup_from_before_its_plan(self) -> None:
        campaign_id, mailbox_id, (first, second) = of_two_steps(leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        claim = replace(claimed_and_released(email_id), step_id=second, step=2)
        claim = replace(claim, held=replace(claim.held, email_id=email_id + 1), message_id="<second@sender.example>")
        handover_log.note(recovery.of(claim, make.now()), claim.history_position)

        [recovered] = recovery.recover(handover_log.forgotten(), "restored", "tests")

        assert [(row.step_id, row.status) for row in Q.select().order_by(Q.id)] == [
            (first, Status.PENDING),
            (second, Status.UNKNOWN),
        ]
        assert make.row(recovered).message_id == "<second@sender.example>"

    def test_that_the_backup_does_not_have_recovers_nothing(self) -> None:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=1)
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        claim = replace(claimed_and_released(email_id), step_id=second + 1, step=3)
        handover_log.note(recovery.of(claim, make.now()), claim.history_position)

        assert recovery.recover(handover_log.forgotten(), "restored", "tests") == []
        assert make.row(email_id).status == Status.PENDING


class TestAChainOfEmails:
    RULE = "each lead's e-mails follow the order of the campaign's steps"

    @pytest.fixture
    def chain(self) -> tuple[int, int]:
        campaign_id, mailbox_id, (_, second) = of_two_steps(leads=2)
        email_id, _ = make.planned(campaign_id, mailbox_id, make.now(), make.now())
        return email_id, followed(email_id, second)

    def test_by_its_steps_breaks_no_rule(self, chain: tuple[int, int]) -> None:
        assert broken() == set()

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE campaign_email_queue SET predecessor_id = 3 - predecessor_id WHERE predecessor_id IS NOT NULL",
            "UPDATE campaign_step SET position = 4 - position, wait_count = 1, wait_unit = 'days'",
            "UPDATE campaign_email_queue SET campaign_id = (SELECT max(id) FROM campaign) WHERE predecessor_id IS NULL",
        ],
        ids=["of another lead", "of an earlier step", "of another campaign"],
    )
    def test_that_is_none_is_found_out(self, chain: tuple[int, int], change: str) -> None:
        make.a_campaign([make.a_mailbox()])

        database.execute(change)

        assert self.RULE in broken()

    def test_with_two_first_ones_is_found_out(self, chain: tuple[int, int]) -> None:
        with without(FIRST):
            database.execute("UPDATE campaign_email_queue SET predecessor_id = NULL")

            assert self.RULE in broken()

    def test_of_which_two_are_of_one_step_is_found_out(self) -> None:
        row = make.row(make.an_email())
        twin = {"campaign": row.campaign_id, "campaign_lead": row.campaign_lead_id, "step": row.step_id}
        with without(OF_THE_STEP), without(FIRST):
            Q.insert(**twin, mailbox=row.mailbox_id, scheduled_at=make.now(), message_id="<twin@x>").execute()

            assert broken() >= {
                "no lead has two e-mails of one step",
                "all constraints and unique indexes exist",
                self.RULE,
            }
