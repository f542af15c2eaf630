"""A mailbox is closed when DNS records of its domain have been missing for three days, and opens when they are back."""

from datetime import timedelta

import pytest

from models.audit import changes
from models.email import gates, moves
from models.health import domains
from models.owner import mailboxes, missing_records, notices
from models.states import PROTECTION, MailboxStatus
from models.store.database import clock
from models.store.tables import Campaign, DomainFinding, Mailbox
from models.views import gauges, overview, standings
from reasons import Code, Reason
from tests import factories as make
from tests.conftest import Override

pytestmark = pytest.mark.usefixtures("db")

HOUR = timedelta(hours=1)
LONG = timedelta(hours=72)
DOMAIN = "sender.example"
WHY = "sender.example has long been missing DNS records (SPF): it opens when they are back"


def found(state: str, record: str = "spf") -> None:
    """What the next check finds, and what follows from it."""
    domains.keep(DOMAIN, [(record, state, Reason(Code.SPF_MISSING, domain=DOMAIN))])
    missing_records.protect()


def closed(mailbox_id: int) -> bool:
    row = Mailbox.get_by_id(mailbox_id)
    assert (row.status == MailboxStatus.PAUSED) == (row.paused_by == PROTECTION)
    return bool(row.status == MailboxStatus.PAUSED)


class TestItCloses:
    @pytest.mark.parametrize("record", ["mx", "spf", "dmarc"])
    def test_at_the_first_check_after_72_hours_and_not_before(self, record: str) -> None:
        box = make.a_mailbox()
        found("missing", record)
        make.everything_older(LONG - HOUR)
        found("missing", record)
        assert not closed(box)

        make.everything_older(HOUR)
        assert not closed(box)
        found("missing", record)

        assert closed(box)

    @pytest.mark.parametrize("state", ["weak", "wrong", "ok"])
    def test_not_for_a_record_that_is_there(self, state: str) -> None:
        box = make.a_mailbox()
        found(state)
        make.everything_older(10 * LONG)
        found(state)

        assert not closed(box)

    def test_not_while_name_servers_are_silent(self) -> None:
        box = make.a_mailbox()
        found("unknown")
        make.everything_older(10 * LONG)
        found("unknown")
        assert not closed(box)

        found("missing")

        assert not closed(box)

    def test_not_by_a_silence_after_a_record_was_missing(self) -> None:
        box = make.a_mailbox()
        found("missing")
        make.everything_older(LONG)

        found("unknown")

        assert not closed(box)

    def test_although_name_servers_were_silent_in_between(self) -> None:
        box = make.a_mailbox()
        found("missing")
        make.everything_older(LONG / 2)
        found("unknown")
        make.everything_older(LONG / 2)

        found("missing")

        assert closed(box)

    def test_not_if_the_record_was_there_in_between(self) -> None:
        box = make.a_mailbox()
        found("missing")
        make.everything_older(LONG / 2)
        found("weak")
        make.everything_older(LONG / 2)

        found("missing")

        assert not closed(box)

    def test_not_if_the_previous_version_saw_the_record_in_between(self) -> None:
        """It leaves missing_since as it was."""
        box = make.a_mailbox()
        found("missing")
        DomainFinding.update(state="ok").execute()
        make.everything_older(LONG)

        found("missing")

        assert not closed(box)

    def test_only_mailboxes_of_that_domain(self) -> None:
        make.a_mailbox()
        other = make.a_mailbox("ola@another.example")
        found("missing")
        make.everything_older(LONG)
        found("missing")

        assert not closed(other)

    def test_not_if_the_setting_says_so(self, settings: Override) -> None:
        settings(DNS_CLOSE_AFTER_MISSING_HOURS="off")
        box = make.a_mailbox()
        found("missing")
        make.everything_older(LONG)
        found("missing")

        assert not closed(box)


def a_closed_one() -> int:
    box = make.a_mailbox()
    found("missing")
    make.everything_older(LONG)
    found("missing")
    assert closed(box)
    return box


class TestAClosedOne:
    def test_opens_when_the_record_is_back(self) -> None:
        box = a_closed_one()
        campaign = make.a_campaign([box])

        found("weak")

        assert not closed(box)
        assert Campaign.get_by_id(campaign).replan_reason == "resumed"
        assert [(it.verb, it.by) for it in changes.of_mailbox(box, 5)][:2] == [
            ("resume", "protection"),
            ("pause", "protection"),
        ]

    def test_stays_closed_while_name_servers_are_silent(self) -> None:
        box = a_closed_one()

        found("unknown")

        assert closed(box)

    def test_stays_closed_while_another_record_is_missing(self) -> None:
        box = a_closed_one()
        found("missing", "mx")

        found("ok")

        assert closed(box)

    def test_keeps_the_pause_after_a_fault_when_it_opens(self) -> None:
        box = make.a_mailbox()
        mailboxes.close(box, "421 later", lambda faults: LONG + HOUR, "dot", 421)
        found("missing")
        make.everything_older(LONG)
        found("missing")

        found("ok")

        assert Mailbox.get_by_id(box).closed_until > clock()

    def test_that_a_person_resumes_has_as_long_again(self) -> None:
        box = a_closed_one()

        mailboxes.resume(box, "ola")
        found("missing")
        assert not closed(box)
        make.everything_older(LONG)
        found("missing")

        assert closed(box)

    def test_that_a_person_pauses_stays_paused(self) -> None:
        box = a_closed_one()
        mailboxes.pause(box, "ola")

        found("ok")

        assert Mailbox.get_by_id(box).status == MailboxStatus.PAUSED

    def test_is_asked_for_again_within_the_hour(self) -> None:
        a_closed_one()
        assert domains.due(10) == []

        make.everything_older(HOUR)

        assert domains.due(10) == [DOMAIN]

    def test_sends_nothing_and_says_why(self) -> None:
        box = make.a_mailbox()
        found("missing")
        make.everything_older(LONG)
        found("missing")
        [email_id] = make.planned(make.a_campaign([box]), box, make.now())

        refused = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)

        assert isinstance(refused, gates.Closed)
        assert (refused.gate, refused.reason) == ("mailbox", f"closed: {WHY}")

    def test_is_told_everywhere(self) -> None:
        box = a_closed_one()
        campaign = make.a_campaign([box], leads=1)

        [line] = overview.mailboxes(mailboxes.every())
        assert (line.status, line.reason, line.closed_until) == ("closed", WHY, None)
        assert [it.state for it in gauges.read().mailboxes] == ["dns"]
        assert [(it.kind, it.subject, it.reason) for it in notices.causes()] == [("records", box, WHY)]
        assert (
            str(standings.standing(Campaign.get_by_id(campaign)).why)
            == "waiting: none of its mailboxes is open: DNS records of their domains are missing"
        )
