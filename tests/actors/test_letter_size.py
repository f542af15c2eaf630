"""A letter that a mailbox's server does not take is told once, of the campaign, and no lead is failed for it."""

from collections.abc import Iterator

import pytest
from dramatiq import get_broker

from actors import deliver as pipeline
from actors import plan, record
from mail.outcome import Deferred, Phase, Reply, Scope
from models.audit import changes
from models.email import moves
from models.owner import campaigns, mailboxes, notices, protection
from models.states import Status
from models.store.tables import Campaign, CampaignEmailQueue, CampaignMailbox
from models.views import history, overview
from tests import factories as make
from tests.smtp_server import SmtpServer

Q = CampaignEmailQueue


@pytest.fixture(autouse=True)
def no_hints_left(db: None) -> Iterator[None]:
    yield
    get_broker().flush_all()


@pytest.fixture
def small() -> Iterator[SmtpServer]:
    """It announces that it takes next to nothing."""
    with SmtpServer(size="SIZE 100") as running:
        yield running


@pytest.fixture
def large() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


def deliver(email_id: int) -> CampaignEmailQueue:
    make.rested(make.row(email_id).campaign_id)
    Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
    pipeline.deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))
    return make.row(email_id)


class TestTheOnlyMailbox:
    def test_that_does_not_take_it_pauses_the_campaign_with_the_sizes(self, small: SmtpServer) -> None:
        box = make.a_mailbox("ola@sender.example", smtp_port=small.port)
        campaign_id = make.a_campaign([box], leads=3)
        ids = make.planned(campaign_id, box, *[make.now()] * 3)

        rows = [deliver(email_id) for email_id in ids]

        campaign = Campaign.get_by_id(campaign_id)
        standing = str(overview.standing(campaign))
        assert [(row.status, row.attempts) for row in rows] == [(Status.PENDING, 0)] * 3
        assert (campaign.status, campaign.paused_by) == ("paused", protection.BY)
        assert standing.startswith(
            "the campaign paused itself: its letter is too large for ola@sender.example: the letter"
        )
        assert standing.endswith("bytes, and the server accepts at most 100")
        assert not any(command.upper().startswith("DATA") for command in small.commands)
        assert small.connections == 1
        assert changes.of_campaign(campaign_id)[0].verb == "pause"
        assert notices.any_due()

    def test_is_tried_again_once_its_owner_resumes_the_campaign(self, small: SmtpServer) -> None:
        box = make.a_mailbox(smtp_port=small.port)
        campaign_id = make.a_campaign([box])
        [email_id] = make.planned(campaign_id, box, make.now())
        deliver(email_id)
        small.size = "SIZE 100000"

        campaigns.resume(campaign_id, "ola")

        assert deliver(email_id).status == Status.SENT

    def test_that_says_so_only_at_the_dot_pauses_it_too(self, large: SmtpServer) -> None:
        box = make.a_mailbox(smtp_port=large.port)
        campaign_id = make.a_campaign([box], leads=["dot-552-5.3.4@leads.example"])
        [email_id] = make.planned(campaign_id, box, make.now())

        row = deliver(email_id)

        assert (row.status, row.handed_over_at) == (Status.PENDING, None)
        assert Campaign.get_by_id(campaign_id).status == "paused"
        assert "552 5.3.4" in str(overview.standing(Campaign.get_by_id(campaign_id)))


class TestOneOfTwoMailboxes:
    def test_that_does_not_take_it_leaves_the_mails_to_the_other(self, small: SmtpServer, large: SmtpServer) -> None:
        narrow, wide = make.a_mailbox(smtp_port=small.port), make.a_mailbox(smtp_port=large.port)
        campaign_id = make.a_campaign([narrow, wide], leads=3)
        ids = make.planned(campaign_id, narrow, *[make.now()] * 3)
        deliver(ids[0])

        plan.replan()

        assert Campaign.get_by_id(campaign_id).status == "active"
        assert {make.row(email_id).mailbox_id for email_id in ids} == {wide}
        assert history.of_email(ids[0])[-1].reason == "mailbox"
        assert list(mailboxes.too_small_for(campaign_id)) == [narrow]
        assert {deliver(email_id).status for email_id in ids} == {Status.SENT}

    def test_goes_on_for_another_campaign_whose_letter_it_takes(self, small: SmtpServer) -> None:
        box = make.a_mailbox(smtp_port=small.port)
        too_large, fitting = make.a_campaign([box]), make.a_campaign([box])
        [first], [second] = (make.planned(it, box, make.now()) for it in (too_large, fitting))
        deliver(first)
        small.size = "SIZE 100000"

        assert deliver(second).status == Status.SENT
        assert Campaign.get_by_id(too_large).status == "paused"

    @pytest.mark.parametrize("order", ["resume", "edit"])
    def test_is_tried_again_once_a_person_says_that_it_was_mended(
        self, small: SmtpServer, large: SmtpServer, order: str
    ) -> None:
        narrow, wide = make.a_mailbox(smtp_port=small.port), make.a_mailbox(smtp_port=large.port)
        campaign_id = make.a_campaign([narrow, wide])
        [email_id] = make.planned(campaign_id, narrow, make.now())
        deliver(email_id)
        closed = CampaignMailbox.select().where(CampaignMailbox.closed_reason.is_null(False))
        before = closed.count()

        if order == "resume":
            mailboxes.resume(narrow, "ola")
        else:
            mailboxes.edit(narrow, "ola", mailboxes.Edit(smtp_port=large.port))

        assert (before, closed.count()) == (1, 0)


def test_a_mailbox_taken_from_the_campaign_meanwhile_gives_its_email_back(db: None) -> None:
    box, other = make.a_mailbox(), make.a_mailbox()
    campaign_id = make.a_campaign([box, other])
    [email_id] = make.planned(campaign_id, box, make.now())
    claim = make.claimed(email_id)
    campaigns.edit(campaign_id, "ola", campaigns.Edit(mailbox_ids=[other]))

    record.record(claim, Deferred(Scope.CAMPAIGN, Phase.MAIL, Reply(552, "5.3.4", "too large")))

    assert make.row(email_id).status == Status.PENDING
    assert Campaign.get_by_id(campaign_id).status == "active"
    assert mailboxes.too_small_for(campaign_id) == {}


def test_an_answer_for_a_claim_that_is_over_closes_nothing(db: None) -> None:
    claim = make.claimed(make.an_email())
    moves.release(claim.held, "a test")

    closed = campaigns.close_to_its_letter(claim, make.no(552, enhanced="5.3.4", scope="campaign"))

    assert closed is None
    assert Campaign.get_by_id(claim.campaign_id).status == "active"
    assert mailboxes.too_small_for(claim.campaign_id) == {}
