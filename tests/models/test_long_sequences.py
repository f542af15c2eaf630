"""What a sequence that has been running for long is asked: by the plans of Postgres, whatever it sent before."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.email import moves
from models.health import heartbeats
from models.owner import campaigns
from models.planning import follow_ups, plans, unplanned
from models.states import Status
from models.store import database
from models.store.database import by_indexes
from models.store.tables import CampaignEmailQueue
from models.views import calendars, forecast, sequences
from tests import factories as make
from tests.million import Plan
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
THROUGH, OPEN = 10_000, 20
# Each lead got both letters two months ago. Without the triggers of the foreign keys, which take longer.
SENT = """
SET session_replication_role = replica;
INSERT INTO lead (address) SELECT 'old' || n || '@leads.example' FROM generate_series(1, %(leads)s) n;
INSERT INTO campaign_lead (campaign_id, lead_id, position, address, fields)
SELECT %(campaign)s, id, 1000 + id, address, '{}' FROM lead WHERE address LIKE 'old%%';
INSERT INTO campaign_email_queue (campaign_id, campaign_lead_id, step_id, mailbox_id, status, scheduled_at, message_id,
    claim_token, claimed_at, handed_over_at, sent_at)
SELECT %(campaign)s, l.id, s.id, %(mailbox)s, 'sent', old.at, '<' || l.id || '@sender.example>', gen_random_uuid(),
    old.at, old.at, old.at
FROM campaign_lead l JOIN campaign_step s ON s.campaign_id = l.campaign_id AND s.position = 1
CROSS JOIN LATERAL (SELECT now() - interval '60 days' AS at) old
WHERE l.campaign_id = %(campaign)s AND l.position > 1000;
INSERT INTO campaign_email_queue (campaign_id, campaign_lead_id, step_id, predecessor_id, mailbox_id, status,
    scheduled_at, message_id, claim_token, claimed_at, handed_over_at, sent_at, wait_ends_at, looked_at)
SELECT q.campaign_id, q.campaign_lead_id, s.id, q.id, q.mailbox_id, 'sent', old.at, 'again' || q.message_id,
    gen_random_uuid(), old.at, old.at, old.at, old.at, old.at
FROM campaign_email_queue q JOIN campaign_step s ON s.campaign_id = q.campaign_id AND s.position = 2
CROSS JOIN LATERAL (SELECT q.sent_at + interval '1 day' AS at) old
WHERE q.sent_at < now() - interval '1 day';
SET session_replication_role = DEFAULT;
"""


@pytest.fixture
def campaign_id() -> int:
    """With a sequence of which thousands are through and a few open: sent this minute, or planned for tomorrow."""
    mailbox_id = make.a_mailbox()
    campaign_id = make.a_campaign(
        [mailbox_id], leads=OPEN, follow_ups=["1 day"], follow_up_without_inbox=True, delay=0.001
    )
    first, *_ = make.planned(campaign_id, mailbox_id, *[make.now() + timedelta(days=1)] * OPEN)
    Q.update(scheduled_at=make.now()).where(Q.id == first).execute()
    assert moves.accept(make.handed_over(first).held, make.YES)
    follow_ups.allow_second_emails()
    # VACUUM takes no row for visible to all whose commit is not on the disk.
    database.execute("SET synchronous_commit = on")
    database.execute(SENT, {"campaign": campaign_id, "mailbox": mailbox_id, "leads": THROUGH})
    heartbeats.beat("tick")
    until(everything_is_visible, "an autovacuum beside this one to end")
    database.execute("RESET synchronous_commit")
    return campaign_id


# But for its last page, which is still being filled.
ALL_VISIBLE = "SELECT relallvisible >= relpages - 1 FROM pg_class WHERE oid = 'campaign_email_queue'::regclass"


def everything_is_visible() -> bool:
    """Whether VACUUM found no row that somebody beside it might not see: autovacuum's ANALYZE has a snapshot too."""
    database.execute("VACUUM ANALYZE")
    return bool(database.fetch(ALL_VISIBLE)[0][0])


READS: dict[str, Callable[[int], object]] = {
    "its letters": sequences.steps,
    "its forecast": lambda it: forecast.future(it),
    "its calendar": lambda it: calendars.of(campaigns.get(it), 1000, 0),
    # But for those minutes in which a tick looks at the whole past.
    "the tick's follow-ups": lambda it: unplanned.follow_ups([it], unplanned.unfollowed_since([it])),
    "the tick's new leads": lambda _: plans.situation(),
}
# How many e-mails there are is counted: in an index, once the table is as large as that of test_million.
COUNTS = (unplanned.PASSED_OVER, calendars.UNSENT)


def test_nothing_that_is_asked_of_it_reads_what_was_sent(
    campaign_id: int, plans_of: Callable[[Callable[[], object]], list[Plan]]
) -> None:
    for name, read in READS.items():
        with by_indexes():
            found = plans_of(lambda read=read: read(campaign_id))  # type: ignore[misc]

        assert found, name
        rows = {it.sql: it.rows_examined for it in found if it.sql not in COUNTS}
        examined = {sql: count for sql, count in rows.items() if count > 1000}
        assert examined == {}, name


def test_its_letters_are_counted_as_they_are(campaign_id: int) -> None:
    first, second = (it.counts for it in sequences.steps(campaign_id))

    assert (first[Status.SENT], first[Status.PENDING]) == (THROUGH + 1, OPEN - 1)
    assert (second[Status.SENT], second[Status.PENDING]) == (THROUGH, 0)
