"""A campaign of whose mails too many are refused pauses itself, and its owner resumes it knowingly."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest

from models.audit import changes
from models.email import locks, moves
from models.owner import campaigns, protection
from models.owner.protection import Paused, Results
from models.states import Status
from models.store import database, tables
from models.store.tables import Campaign, CampaignEmailQueue
from models.views import overview
from tests import factories as make
from tests import servers
from tests.conftest import Override
from tests.waiting import BOUND, until

Q = CampaignEmailQueue
ANSWERS = {
    "sent": make.YES,
    "lead": make.no(550),
    "content": make.no(554, scope="content", phase="dot"),
    "gave up": make.later(451),
    "unclear": make.later(550, scope="unclear"),
    "put off": make.later(451, scope="unclear"),
    "greylisted": make.later(450),
    "composed": make.no(None, scope="content", phase="compose"),
}
WAITING = {"unclear", "put off", "greylisted"}


@pytest.fixture(autouse=True)
def four_results_of_which_half(db: None, settings: Override) -> None:
    settings(SENDING_PAUSE_AFTER_RESULTS=4, SENDING_PAUSE_AT_FAILED_PERCENT=50)


def a_campaign(*answers: str) -> int:
    campaign_id = make.a_campaign([make.a_mailbox()], leads=20, delay=0.001)
    answered(campaign_id, *answers)
    return campaign_id


def answered(campaign_id: int, *answers: str) -> None:
    """What a server said to the campaign's next mails."""
    mailbox_id = tables.CampaignMailbox.get(tables.CampaignMailbox.campaign == campaign_id).mailbox_id
    for answer in answers:
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        make.rested(campaign_id)
        held = make.handed_over(email_id).held
        told = ANSWERS[answer]
        if answer == "sent":
            assert moves.accept(held, told)
        elif answer in WAITING:
            assert moves.retry(held, make.now() + timedelta(hours=1), told)
        else:
            assert moves.reject(held, told)


def status(campaign_id: int) -> str:
    return str(Campaign.get_by_id(campaign_id).status)


def standing(campaign_id: int) -> overview.Standing:
    return overview.standing(Campaign.get_by_id(campaign_id))


class TestACampaign:
    @pytest.mark.parametrize("waits", ["put off", "greylisted"])
    def test_is_not_paused_for_mails_that_are_put_off(self, waits: str) -> None:
        campaign_id = a_campaign("sent", waits, waits, waits, "sent", waits)

        assert protection.protect() == []
        assert status(campaign_id) == "active"

    @pytest.mark.parametrize("refusal", ["lead", "content", "gave up", "unclear"])
    def test_pauses_itself_when_enough_of_its_results_are_refusals(self, refusal: str) -> None:
        campaign_id = a_campaign("sent", refusal, "sent", refusal)

        paused = protection.protect()

        assert [(it.campaign_id, it.results) for it in paused] == [(campaign_id, Results(4, 2))]
        assert status(campaign_id) == "paused"

    def test_goes_on_below_the_share(self) -> None:
        campaign_id = a_campaign("sent", "lead", "sent", "lead", "sent")

        assert protection.protect() == []
        assert status(campaign_id) == "active"

    def test_is_not_judged_by_fewer_results(self) -> None:
        campaign_id = a_campaign("lead", "lead", "lead")

        assert protection.protect() == []
        assert status(campaign_id) == "active"

    def test_is_not_judged_by_mails_that_no_server_ever_saw(self) -> None:
        campaign_id = a_campaign("composed", "composed", "composed", "composed", "sent", "sent", "sent", "lead")

        assert protection.protect() == []
        assert protection.results(Campaign.get_by_id(campaign_id)) == Results(4, 1)

    def test_is_judged_by_its_own_results_alone(self) -> None:
        good, bad = a_campaign("sent", "sent", "sent", "sent"), a_campaign("lead", "lead", "lead", "lead")

        protection.protect()

        assert (status(good), status(bad)) == ("active", "paused")

    def test_never_pauses_itself_where_that_is_off(self, settings: Override) -> None:
        settings(SENDING_PAUSE_AT_FAILED_PERCENT="off")
        campaign_id = a_campaign("lead", "lead", "lead", "lead")

        assert protection.protect() == []
        assert status(campaign_id) == "active"

    def test_pauses_itself_once(self) -> None:
        campaign_id = a_campaign("lead", "lead", "lead", "lead")

        assert len(protection.protect()) == 1
        assert protection.protect() == []
        assert [it.verb for it in changes.of_campaign(campaign_id) if it.by == protection.BY] == ["pause"]

    def test_is_judged_by_its_latest_thousand_results(self, settings: Override) -> None:
        settings(SENDING_PAUSE_AFTER_RESULTS=4, SENDING_PAUSE_AT_FAILED_PERCENT=1)
        campaign_id = a_campaign("lead", "lead")
        thousand_sent_after(campaign_id)

        assert protection.results(Campaign.get_by_id(campaign_id)) == Results(1000, 0)


class TestItsOwner:
    def test_sees_who_paused_it_and_why(self) -> None:
        campaign_id = a_campaign("sent", "lead", "lead", "lead")

        protection.protect()

        [last, *_] = changes.of_campaign(campaign_id)
        assert (last.by, last.verb, last.reason) == ("protection", "pause", "3 of its last 4 e-mails were refused")
        assert str(standing(campaign_id)) == "the campaign paused itself: 3 of its last 4 e-mails were refused"
        assert standing(campaign_id).gate == "inactive"

    def test_resumes_it_and_what_was_refused_before_counts_no_more(self) -> None:
        campaign_id = a_campaign("lead", "lead", "lead", "lead")
        protection.protect()

        campaigns.resume(campaign_id, "ola")

        answered(campaign_id, "sent", "sent", "lead")
        assert protection.protect() == []
        assert protection.results(Campaign.get_by_id(campaign_id)) == Results(3, 1)
        answered(campaign_id, "lead")
        assert len(protection.protect()) == 1

    def test_who_gave_no_reason_for_a_pause_of_his_own_sees_none(self) -> None:
        campaign_id = a_campaign("lead", "lead", "lead", "lead")
        protection.protect()
        campaigns.resume(campaign_id, "ola")

        campaigns.pause(campaign_id, "ola")

        assert str(standing(campaign_id)) == "the campaign is paused"

    def test_who_gave_one_sees_it(self) -> None:
        campaign_id = a_campaign()

        campaigns.pause(campaign_id, "ola", reason="holidays")

        assert str(standing(campaign_id)) == "the campaign is paused: holidays"


class TestTheReason:
    def test_stands_in_the_row_as_a_code_with_its_numbers_and_in_english(self) -> None:
        campaign_id = a_campaign("lead", "lead", "sent", "sent")

        assert protection.protect() != []

        row = Campaign.get_by_id(campaign_id)
        assert (row.paused_reason_code, row.paused_reason_values) == ("too_many_refused", {"refused": 2, "count": 4})
        assert row.paused_reason == "2 of its last 4 e-mails were refused"
        assert standing(campaign_id).why.values["because"] == Results(4, 2).reason

    def test_in_a_sentence_of_the_version_before_is_told_as_it_stands(self) -> None:
        campaign_id = a_campaign("lead", "lead", "sent", "sent")
        protection.protect()
        Campaign.update(paused_reason="7 of its last 9 e-mails were refused").execute()

        assert standing(campaign_id).why.values["because"] == "7 of its last 9 e-mails were refused"


@pytest.fixture
def looks() -> Callable[[], "Future[list[Paused]]"]:
    """Has it looked for campaigns to pause, in a thread and on a connection of its own."""
    pool = ThreadPoolExecutor(4)

    def look() -> list[Paused]:
        try:
            return protection.protect()
        finally:
            database.close()

    return lambda: pool.submit(look)


class TestAtTheSameMoment:
    def test_an_owner_who_resumes_it_has_it_judged_by_what_is_true_then(
        self, looks: Callable[[], "Future[list[Paused]]"]
    ) -> None:
        campaign_id = a_campaign("lead", "lead", "lead", "lead")

        with database.database.atomic():
            campaigns.pause(campaign_id, "ola")
            looking = looks()
            until(lambda: servers.lock_waits() == 1, "the look to wait for the owner")
            campaigns.resume(campaign_id, "ola")

        assert looking.result(BOUND) == []
        assert status(campaign_id) == "active"

    def test_two_that_look_pause_it_once(self, looks: Callable[[], "Future[list[Paused]]"]) -> None:
        campaign_id = a_campaign("lead", "lead", "lead", "lead")

        with database.database.atomic():
            locks.lock_campaigns([campaign_id])
            looking = [looks(), looks()]
            until(lambda: servers.lock_waits() == 2, "both to wait")

        assert sum(len(each.result(BOUND)) for each in looking) == 1
        assert [it.verb for it in changes.of_campaign(campaign_id)].count("pause") == 1


THOUSAND_SENT = """
WITH lead AS (
    INSERT INTO lead (address) SELECT 'many' || n || '@leads.example' FROM generate_series(1, 1000) n RETURNING id
), campaign_lead AS (
    INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
    SELECT %(campaign)s, id, 1000 + id, 'many', '{}' FROM lead RETURNING id
)
INSERT INTO campaign_email_queue
    (campaign_id, campaign_lead_id, step_id, mailbox_id, scheduled_at, message_id, status, handed_over_at, sent_at)
SELECT %(campaign)s, l.id, s.id, %(mailbox)s, clock_timestamp() + interval '1 s', 'many' || l.id, 'sent', now(), now()
FROM campaign_lead l JOIN campaign_step s ON s.campaign_id = %(campaign)s
"""


def thousand_sent_after(campaign_id: int) -> None:
    [mailbox_id] = {row.mailbox_id for row in Q.select().where(Q.status == Status.FAILED)}
    database.execute(THOUSAND_SENT, {"campaign": campaign_id, "mailbox": mailbox_id})
