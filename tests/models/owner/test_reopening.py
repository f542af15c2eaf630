"""A failed mail is tried again by a person's word, and never one that may have been accepted."""

from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from models.audit import changes
from models.email import moves
from models.health import invariants
from models.owner import campaigns, reopening
from models.owner.reopening import Reopened, ReopeningRefused
from models.people import suppressions
from models.states import Status
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, EmailHistory, Lead, Mailbox
from models.views import history
from tests import factories as make
from tests.conftest import Override

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue


def failed(code: int = 550, enhanced: str | None = "5.7.1", leads: int = 1) -> list[int]:
    """E-mails of one campaign, each refused at the dot."""
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], leads=leads, delay=0.001)
    ids = make.planned(campaign_id, mailbox_id, *[make.now()] * leads)
    for email_id in ids:
        refuse(email_id, code, enhanced)
    return ids


def refuse(email_id: int, code: int = 550, enhanced: str | None = "5.7.1") -> None:
    make.rested(make.row(email_id).campaign_id)
    held = make.handed_over(email_id).held
    assert moves.reject(held, make.no(code, enhanced=enhanced, phase="dot"))


def campaign_of(email_id: int) -> Campaign:
    return Campaign.get_by_id(make.row(email_id).campaign_id)


class TestAFailedMail:
    def test_is_pending_again_as_if_nothing_had_been_tried_with_the_reason_in_its_history(self) -> None:
        [email_id] = failed()

        reopening.one(email_id, "the provider lifted its block", "ola")

        row, last = make.row(email_id), history.of_email(email_id)[-1]
        assert (row.status, row.attempts, row.error, row.handed_over_at) == (Status.PENDING, 0, None, None)
        assert (last.move, last.from_status, last.to_status) == ("reopen", "failed", "pending")
        assert (last.reason, last.by) == ("the provider lifted its block", "ola")

    def test_can_be_sent_then_and_breaks_no_invariant(self) -> None:
        [email_id] = failed()
        reopening.one(email_id, "lifted", "ola")
        make.rested(make.row(email_id).campaign_id)

        claim = make.claimed(email_id)

        assert moves.hand_over(claim.held, b"Subject: again\r\n\r\nHello") is None
        assert moves.accept(claim.held, make.YES)
        assert [finding.rule for finding in invariants.check() if not finding.holds] == []

    def test_is_planned_behind_the_campaigns_others_and_moves_none_of_them(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3, delay=60)
        later = make.now() + timedelta(hours=3)
        first, *others = make.planned(campaign_id, mailbox_id, make.now(), later, later + timedelta(minutes=1))
        refuse(first)

        reopening.one(first, "lifted", "ola")

        assert make.row(first).scheduled_at > later + timedelta(minutes=1)
        assert [make.row(id).scheduled_at for id in others] == [later, later + timedelta(minutes=1)]

    def test_of_a_completed_campaign_makes_that_active_again_which_is_recorded(self) -> None:
        [email_id] = failed()
        campaigns.complete_finished("tests")

        reopening.one(email_id, "lifted", "ola")

        assert campaign_of(email_id).status == "active"
        last = changes.of_campaign(campaign_of(email_id).id)[0]
        assert (last.verb, last.by, last.reason) == ("retry", "ola", "lifted")
        assert last.values == {"status": ["completed", "active"]}

    def test_whose_mailboxes_are_all_paused_comes_back_all_the_same(self) -> None:
        [email_id] = failed()
        Mailbox.update(status="paused").execute()

        reopening.one(email_id, "lifted", "ola")

        assert make.row(email_id).status == Status.PENDING


class TestReopeningIsRefused:
    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.FAILED])
    def test_for_a_mail_that_has_not_failed(self, status: Status) -> None:
        email_id, _ = make.in_status(status)

        with pytest.raises(ReopeningRefused, match="only a failed one can be tried again"):
            reopening.one(email_id, "lifted", "ola")

    def test_for_a_hand_over_that_was_not_answered_with_a_refusal(self) -> None:
        """No move leads there; a row that was changed by hand may stand there all the same."""
        email_id, _ = make.in_status(Status.UNKNOWN)
        Q.update(status=Status.FAILED).where(Q.id == email_id).execute()

        with pytest.raises(ReopeningRefused, match="no proof"):
            reopening.one(email_id, "lifted", "ola")

        assert make.row(email_id).status == Status.FAILED

    def test_for_a_cancelled_campaign(self) -> None:
        [email_id] = failed()
        campaigns.cancel(campaign_of(email_id).id, "ola")

        with pytest.raises(ReopeningRefused, match="its campaign was cancelled"):
            reopening.one(email_id, "lifted", "ola")

    def test_for_a_suppressed_lead(self) -> None:
        [email_id] = failed()
        suppressions.add(Lead.get().address, "she asked us to", "tests")

        with pytest.raises(ReopeningRefused, match="must not be written to"):
            reopening.one(email_id, "lifted", "ola")

    def test_for_a_lead_without_a_legal_basis_where_one_is_required(self, settings: Override) -> None:
        settings(SENDING_REQUIRE_LEGAL_BASIS="true")
        [email_id] = failed_without_asking()

        with pytest.raises(ReopeningRefused, match="must not be written to"):
            reopening.one(email_id, "lifted", "ola")

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
    def test_without_a_reason_or_with_an_endless_one(self, reason: str) -> None:
        [email_id] = failed()

        with pytest.raises(ReopeningRefused):
            reopening.one(email_id, reason, "ola")

        assert make.row(email_id).status == Status.FAILED


def failed_without_asking() -> list[int]:
    [email_id] = [make.an_email()]
    Q.update(status=Status.FAILED, error="550 no").execute()
    told = {"move": "reject", "from_status": "sending", "to_status": "failed", "mailbox": 1, "by": "t"}
    EmailHistory.insert(email=email_id, **told, claim_token=uuid4(), detail={"code": 550}).execute()
    return [email_id]


class TestAllOfACampaign:
    def several(self) -> list[int]:
        """Of one campaign: 550 5.7.1, 550 5.1.1, 554 5.7.1."""
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3, delay=0.001)
        ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 3)
        for email_id, (code, enhanced) in zip(ids, [(550, "5.7.1"), (550, "5.1.1"), (554, "5.7.1")], strict=True):
            refuse(email_id, code, enhanced)
        return ids

    @pytest.mark.parametrize(
        ("code", "enhanced", "back"), [(550, None, [0, 1]), (550, "5.7.1", [0]), (554, None, [2]), (551, None, [])]
    )
    def test_comes_back_by_code(self, code: int, enhanced: str | None, back: list[int]) -> None:
        ids = self.several()

        done = reopening.of_campaign(campaign_of(ids[0]).id, code, enhanced, "lifted", "ola")

        assert done == Reopened(len(back), 0)
        assert [number for number, id in enumerate(ids) if make.row(id).status == Status.PENDING] == back

    def test_comes_back_without_those_who_must_not_be_written_to(self) -> None:
        ids = failed(leads=3)
        suppressed = CampaignLead.get_by_id(make.row(ids[1]).campaign_lead_id).lead
        suppressions.add(suppressed.address, "she asked us to", "tests")

        done = reopening.of_campaign(campaign_of(ids[0]).id, 550, None, "lifted", "ola")

        assert done == Reopened(2, 1)
        assert [make.row(id).status for id in ids] == [Status.PENDING, Status.FAILED, Status.PENDING]

    def test_comes_back_in_its_order_at_the_campaigns_pace(self) -> None:
        ids = failed(leads=4)
        Campaign.update(delay_seconds=100).execute()

        reopening.of_campaign(campaign_of(ids[0]).id, 550, None, "lifted", "ola")

        times = [make.row(id).scheduled_at for id in ids]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
        assert gaps == [gap for gap in gaps if 79 <= gap <= 121]

    def test_said_twice_changes_nothing_more(self) -> None:
        ids = failed(leads=2)
        campaign_id = campaign_of(ids[0]).id
        reopening.of_campaign(campaign_id, 550, None, "lifted", "ola")

        assert reopening.of_campaign(campaign_id, 550, None, "lifted", "ola") == Reopened(0, 0)


@pytest.mark.parametrize("move", ["hand_over", "doubt", "recover", "settle", "accept"])
def test_one_whose_last_proof_is_not_a_refusal_is_left_alone(move: str) -> None:
    """No move leads there; if a row said so all the same, sending it again could be a second time."""
    [email_id] = failed()
    row = make.row(email_id)
    later = {"email": email_id, "mailbox": row.mailbox_id, "move": move, "by": "tests"}
    EmailHistory.insert(from_status="sending", to_status="failed", **later).execute()

    with pytest.raises(ReopeningRefused):
        reopening.one(email_id, "she wrote to us", "tests")

    assert make.row(email_id).status == Status.FAILED
