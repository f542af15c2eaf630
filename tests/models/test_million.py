"""What people look at, asked of a million e-mails: by the plans of Postgres, never by the clock."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from models.audit import changes
from models.email import facts, hints, recipients, retention
from models.owner import campaigns, mailboxes, protection
from models.people import lead_import, mentions
from models.people.lead_import import NewLead
from models.planning import plans, refusals
from models.planning.refusals import Kind
from models.states import Status
from models.store import database
from models.views import forecast, found_leads, gauges, history, mails, overview, today, unknowns
from scheduling.window import warsaw_day
from tests.million import BIG, Million, Plan

PlansOf = Callable[[Callable[[], object]], list[Plan]]
IT = Million()
# A mail, a page or a day's line is found among a few rows; what is counted is counted in an index.
A_FEW, A_PAGE, A_DAY = 50, 1_000, 50_000


def the_middle() -> str:
    """The cursor of a page with hundreds of thousands of mails before it."""
    return str(mails.Cursor(True, database.clock().replace(microsecond=0), 0))


def the_last_hour() -> tuple[datetime, datetime]:
    now = database.clock()
    return now - timedelta(hours=1), now


def before_the_middle() -> str | None:
    return mails.page(IT.running, cursor=the_middle()).previous


READS: dict[str, tuple[int, Callable[[], object]]] = {
    "one e-mail": (A_FEW, lambda: overview.email(400_000)),
    "its history": (A_FEW, lambda: history.of_email(400_000)),
    "a person's mails": (A_FEW, lambda: mails.find("lead40000@leads.example")),
    "a campaign's mail to a person": (A_FEW, lambda: mails.page(IT.running, lead="lead400000@leads.example")),
    # Besides those found, ten thousand are read that are not in the index yet.
    "leads by a part of their address": (A_DAY, lambda: found_leads.find("AD2999@leads")),
    "leads by what a great many have": (A_DAY, lambda: found_leads.find("lead example")),
    "a campaign's mails to leads by a part": (
        A_DAY,
        lambda: mails.page(IT.running, places=found_leads.places("ead1234@", IT.running)),
    ),
    "mails to leads by a part": (A_DAY, lambda: overview.emails(places=found_leads.places("ead1234@"))),
    "a campaign's first page": (A_PAGE, lambda: mails.page(IT.running)),
    "a page from the middle": (A_PAGE, lambda: mails.page(IT.running, cursor=the_middle())),
    "the page before": (
        A_PAGE,
        lambda: mails.page(IT.running, cursor=before_the_middle()),
    ),
    "a page of the few that failed": (A_PAGE, lambda: mails.page(IT.running, status=Status.FAILED)),
    "a page of a status that has none": (A_FEW, lambda: mails.page(IT.running, status=Status.CANCELLED)),
    "the unknown ones": (A_FEW, lambda: unknowns.page()),
    "one of the unknown": (A_FEW, lambda: unknowns.one(400_000)),
    "the changes of a campaign": (A_FEW, lambda: changes.of_campaign(IT.running)),
    "the mailboxes": (A_DAY, lambda: overview.mailboxes(mailboxes.every())),
    "the campaigns": (A_DAY, lambda: overview.campaigns(campaigns.every())),
    "today's lines": (A_DAY, lambda: today.now_and_lines(campaigns.every())),
    "the stretches of today": (
        A_DAY,
        lambda: today.stretches(campaigns.every(), today.whole_day(database.clock()), timedelta(minutes=15)),
    ),
    "what moved within today": (A_DAY, lambda: today.moved_within([IT.running], database.clock())),
    "a stretch of a campaign": (A_DAY, lambda: mails.page(IT.running, stretch=the_last_hour())),
    "a week of a campaign": (2 * A_DAY, lambda: mails.days(IT.running, most=7)),
    "how many mails there are": (A_FEW, overview.counts),
    "what monitoring is told": (A_DAY, gauges.read),
    # Each link between a campaign and a mailbox is read, of which there are a hundred.
    "why a campaign of unknowns waits": (A_PAGE, lambda: overview.standing(campaigns.get(IT.in_doubt))),
    "why a finished campaign waits": (A_PAGE, lambda: overview.standing(campaigns.get(IT.finished))),
    "what a campaign has before it": (A_DAY, lambda: forecast.future(IT.running)),
    # Of each lead it is also asked whether it may be written to.
    "which leads are to be planned": (3 * A_DAY, plans.situation),
    "which campaigns may have leads to plan": (A_FEW, plans.wanting),
    "which mails may not be sent any more": (A_FEW, recipients.forbidden),
    "which mails are to be planned again": (10 * A_PAGE, plans.to_replan),
    "which hints are due soon": (A_DAY, hints.soon),
    "which hints are due": (A_DAY, hints.due),
    "which hints may be lost": (A_DAY, hints.lost),
    # The hundred links of campaigns to mailboxes are on one page here, which is read as a whole.
    "what a claim looks at": (3 * A_FEW, lambda: facts.read(400_000)),
    # After some times Postgres takes one plan for all that may be asked.
    "what a claim looks at by its last plan": (30 * A_FEW, lambda: [facts.read(400_000) for _ in range(10)]),
    "whom a refusal is blamed on": (10 * A_PAGE, lambda: refusals.read(400_000, Kind("lead", 550, None))),
    "when a mail is tried again": (A_DAY, lambda: refusals.read(400_000, put_off=True)),
    "how a campaign's latest mails were answered": (A_DAY, lambda: protection.results(campaigns.get(IT.running))),
}
pytestmark = pytest.mark.timeout(600)  # the first of these fills the database


@pytest.mark.parametrize(("most", "read"), READS.values(), ids=READS)
def test_it_is_answered_from_indexes(
    million: Million, plans_of: PlansOf, most: int, read: Callable[[], object]
) -> None:
    found = plans_of(read)

    assert found
    assert [it.sql for it in found if it.read_from_end_to_end & set(BIG)] == []
    assert sum(it.rows_examined for it in found) <= most


@pytest.fixture
def taken_back(million: Million) -> Iterator[None]:
    with database.database.atomic() as transaction:
        yield
        transaction.rollback()


@pytest.mark.usefixtures("taken_back")
def test_whom_another_campaign_wrote_to_is_found_from_indexes(plans_of: PlansOf) -> None:
    people = [f"lead{n}@leads.example" for n in range(1, 11)]
    lead_import.stage_only([NewLead(it, it, {"email": it}, None) for it in people])

    found = plans_of(lambda: lead_import.recently_mailed(None, 3660, 20))

    assert [it.sql for it in found if it.read_from_end_to_end & set(BIG)] == []
    assert sum(it.rows_examined for it in found) <= 10 * A_FEW


@pytest.mark.usefixtures("taken_back")
def test_a_campaign_that_has_ended_is_found_without_looking_at_its_mails(plans_of: PlansOf) -> None:
    found = plans_of(lambda: campaigns.complete_finished("tests"))

    assert [it.sql for it in found if it.read_from_end_to_end & set(BIG)] == []
    assert sum(it.rows_examined for it in found) <= A_FEW
    assert campaigns.get(IT.finished).status == "completed"
    assert campaigns.get(IT.in_doubt).status == "active"


@pytest.mark.usefixtures("taken_back")
def test_a_portion_of_old_letters_is_deleted_without_a_look_at_the_others(plans_of: PlansOf) -> None:
    for _ in range(3):
        assert retention.delete_letters(days=3) == retention.PORTION

    found = plans_of(lambda: retention.delete_letters(days=3))

    assert [it.sql for it in found if it.read_from_end_to_end & set(BIG)] == []
    assert sum(it.rows_examined for it in found) <= 15 * retention.PORTION
    [(deleted,)] = database.fetch("SELECT count(*) FROM email_content WHERE deleted_at IS NOT NULL")
    assert deleted == 4 * retention.PORTION


@pytest.mark.usefixtures("million")
class TestWhatIsRead:
    def test_it_counts_every_mail_once(self) -> None:
        lines = overview.campaigns(campaigns.every())

        assert sum(overview.counts().values()) == IT.mails
        assert sum(sum(it.counts.values()) for it in lines) == IT.mails

    def test_a_line_draws_the_thousand_nearest_to_now_and_tells_how_many_more_there_are(self) -> None:
        _, [line] = today.now_and_lines([campaigns.get(IT.running)])

        [in_doubt] = [it for it in mails.days(IT.running) if it.day == warsaw_day(line.marks[0].at)]
        assert len(line.marks) == 1000
        assert len(line.marks) + line.not_drawn == in_doubt.sent + in_doubt.failed + in_doubt.pending

    def test_an_end_too_far_off_to_be_simulated_is_not_said_but_that_it_comes_later(self) -> None:
        found = forecast.future(IT.running)

        assert len(found.slots) == 5000
        assert found.ends_at is None


@pytest.mark.usefixtures("taken_back")
def test_where_others_rows_name_a_person_is_found_from_indexes(plans_of: PlansOf) -> None:
    pattern = mentions.pattern_of("lead40000@leads.example")

    found = plans_of(lambda: mentions.lock_emails(pattern, 40_000))
    found += plans_of(lambda: mentions.erase_from_rows_of_people(pattern))

    # Each lead's legal basis is looked at, which is short.
    assert {table for it in found for table in it.read_from_end_to_end & set(BIG)} <= {"lead"}
    assert sum(it.rows_examined for it in found if "UPDATE lead " not in it.sql) <= A_PAGE
