"""What people are to be told: each thing that needs one, once while its cause lasts, and anew when it comes back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import pytest

from models.email import batch_moves, moves
from models.email.batch_moves import FollowUpSlot
from models.health import calibrations, domains
from models.inbox import looks
from models.owner import arming, campaigns, mailboxes, notices, protection, settlement
from models.owner.campaigns import Edit
from models.owner.notices import Due, Kind
from models.planning import follow_ups
from models.states import Status
from models.store import database
from models.store.tables import CampaignEmailQueue, CampaignStep, Incoming, Mailbox, Notice
from reasons import Code, Reason
from tests import factories as make
from tests.conftest import Override
from tests.waiting import BOUND

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
LEASE = timedelta(minutes=2)


def unknown(campaign_id: int, mailbox_id: int) -> int:
    """One more mail in doubt, whose time to be told has come."""
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    make.rested(campaign_id)
    assert moves.doubt(make.handed_over(email_id).held, "silence")
    make.age(email_id, timedelta(minutes=2))
    return email_id


def an_unknown_mail(campaign_id: int | None = None) -> int:
    mailbox_id = make.a_mailbox()
    campaign_id = campaign_id or make.a_campaign([mailbox_id], leads=2, delay=0.001)
    unknown(campaign_id, mailbox_id)
    return campaign_id


def a_closed_mailbox(mailbox_id: int | None = None) -> int:
    mailbox_id = mailbox_id or make.a_mailbox()
    mailboxes.close(mailbox_id, "535 5.7.8 wrong password", lambda faults: timedelta(minutes=1))
    return mailbox_id


def a_campaign_that_paused_itself(campaign_id: int | None = None) -> int:
    campaign_id = campaign_id or make.a_campaign([make.a_mailbox()])
    campaigns.pause(campaign_id, protection.BY, reason="3 of its last 50 e-mails were refused")
    return campaign_id


def a_disarmed_installation(_: int | None = None) -> int:
    arming.disarm("a backup was restored", "tests")
    return 0


_numbers = count(1)


def a_message(class_: str, mailbox_id: int | None) -> int:
    mailbox_id = mailbox_id or make.a_mailbox()
    number = next(_numbers)
    Incoming.insert(
        mailbox=mailbox_id,
        folder="INBOX",
        uidvalidity=1,
        uid=number,
        digest=str(number),
        received_at=make.now(),
        class_=class_,
        rule="a test",
        read_as=class_,
        sender="",
        subject="",
        excerpt="",
        evidence={},
    ).execute()
    return mailbox_id


def a_complaint(mailbox_id: int | None = None) -> int:
    return a_message("complaint", mailbox_id)


def an_unclear_reply(mailbox_id: int | None = None) -> int:
    return a_message("unclear", mailbox_id)


def judged(mailbox_id: int) -> None:
    Incoming.update(class_="other").where(Incoming.mailbox == mailbox_id).execute()


def settle(campaign_id: int) -> None:
    for row in Q.select().where(Q.campaign == campaign_id, Q.status == Status.UNKNOWN):
        settlement.sent(row.id, "it is in my Sent folder", "ola")


def no_faults(mailbox_id: int) -> None:
    """As after a mail that was accepted."""
    Mailbox.update(moves.WITHOUT_FAULTS).where(Mailbox.id == mailbox_id).execute()


def a_consent_that_ends(again: int | None) -> int:
    mailbox_id = again or make.a_mailbox()
    make.authorize(mailbox_id, consent_lasts=timedelta(days=1))
    return mailbox_id


def an_unreadable_inbox(again: int | None = None) -> int:
    mailbox_id = again or make.a_listening_mailbox()
    looks.ask(mailbox_id)
    for _ in range(3):
        look = looks.claim_due()
        assert look is not None
        looks.fail(look, "login", "NO wrong password")
        looks.ask(mailbox_id)
    return mailbox_id


def read(mailbox_id: int) -> None:
    look = looks.claim_due()
    assert look is not None
    looks.end(look, complete=True)


def a_domain_without_spf(again: int | None = None) -> int:
    mailbox_id = again or make.a_mailbox()
    domains.keep("sender.example", [("spf", "missing", Reason(Code.SPF_MISSING, domain="sender.example"))])
    return mailbox_id


def a_mailbox_without_dns(again: int | None = None) -> int:
    mailbox_id = again or make.a_mailbox("ola@nodns.example")
    mailboxes.pause(mailbox_id, "protection", Reason(Code.RECORDS_MISSING, domain="nodns.example", records="SPF"))
    return mailbox_id


def records_are_back(mailbox_id: int) -> None:
    mailboxes.reopen(mailbox_id, "protection")


def silent_name_servers(_: int) -> None:
    """Unknown is not missing."""
    domains.keep("sender.example", [("spf", "unknown", Reason(Code.DNS_SILENT, domain="sender.example"))])


def a_bad_calibration(again: int | None = None) -> int:
    mailbox_id = again or make.a_mailbox()
    calibrations.keep(mailbox_id, [("dkim", "missing", Reason(Code.CALIBRATION_UNSIGNED))])
    return mailbox_id


def calibrated(mailbox_id: int) -> None:
    calibrations.keep(mailbox_id, [("dkim", "unknown", Reason(Code.CALIBRATION_UNSIGNED))])


def a_stuck_follow_up(again: int | None = None) -> int:
    mailbox_id = again or make.a_mailbox()
    campaign_id = make.a_campaign([mailbox_id], follow_ups=["1 hour"])
    [email_id] = make.planned(campaign_id, mailbox_id, make.now())
    assert moves.accept(make.handed_over(email_id).held, make.YES)
    follow_ups.allow_second_emails()
    step = CampaignStep.get(CampaignStep.campaign == campaign_id, CampaignStep.position == 2).id
    at = make.now() - timedelta(days=10)
    slot = make.slot(make.row(email_id), at)._replace(step_id=step)
    batch_moves.follow(campaign_id, [FollowUpSlot(email_id, slot, at)], "tests")
    return mailbox_id


def cancelled(_: int) -> None:
    for row in CampaignEmailQueue.select().where(CampaignEmailQueue.status == "pending"):
        moves.cancel(row.id, "a test", "tests")


def take_all() -> list[Due]:
    """What everybody is told now, in one round."""
    notices.refresh()
    found = []
    while due := notices.claim_due(LEASE):
        notices.record_sent(due.id, due.name)
        found.append(due)
    return found


CAUSES: dict[Kind, tuple[Callable[[int | None], int], Callable[[int], object]]] = {
    Kind.UNKNOWN: (an_unknown_mail, settle),
    Kind.MAILBOX: (a_closed_mailbox, no_faults),
    Kind.CAMPAIGN: (a_campaign_that_paused_itself, lambda id: campaigns.resume(id, "ola")),
    Kind.COMPLAINT: (a_complaint, judged),
    Kind.UNCLEAR: (an_unclear_reply, judged),
    Kind.DISARMED: (a_disarmed_installation, lambda _: arming.arm("tests")),
    Kind.CONSENT: (a_consent_that_ends, make.authorize),
    Kind.INBOX: (an_unreadable_inbox, read),
    Kind.CALIBRATION: (a_bad_calibration, calibrated),
    Kind.FOLLOW_UPS: (a_stuck_follow_up, cancelled),
    Kind.RECORDS: (a_mailbox_without_dns, records_are_back),
    Kind.DOMAIN: (a_domain_without_spf, silent_name_servers),
}


@pytest.mark.parametrize("kind", Kind)
class TestEachThingThatNeedsAPerson:
    def test_is_told_once(self, kind: Kind) -> None:
        subject = CAUSES[kind][0](None)

        told = [take_all(), take_all()]

        assert [[(it.kind, it.subject, it.count) for it in each] for each in told] == [[(kind, subject, 1)], []]

    def test_is_not_told_once_it_is_over(self, kind: Kind) -> None:
        begin, end = CAUSES[kind]
        subject = begin(None)
        notices.refresh()

        end(subject)

        assert take_all() == []
        assert not notices.any_due()

    def test_is_told_again_while_it_lasts(self, kind: Kind, settings: Override) -> None:
        settings(NOTICES_REPEAT_HOURS=12)
        CAUSES[kind][0](None)
        take_all()
        assert not notices.any_due()

        Notice.update(due_at=Notice.due_at - timedelta(hours=12)).execute()

        assert notices.any_due()
        assert [it.kind for it in take_all()] == [kind]

    def test_that_begins_anew_is_told_anew(self, kind: Kind) -> None:
        begin, end = CAUSES[kind]
        subject = begin(None)
        take_all()
        end(subject)
        take_all()

        begin(subject)

        assert notices.any_due()
        assert [(it.kind, it.subject) for it in take_all()] == [(kind, subject)]


def test_nothing_is_due_while_all_is_well() -> None:
    make.in_status(Status.SENT)

    assert not notices.any_due()
    assert take_all() == []


class TestUnknownMails:
    def test_of_one_campaign_are_one_notice_with_their_count(self) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3, delay=0.001)
        for _ in range(3):
            unknown(campaign_id, mailbox_id)

        assert [(it.subject, it.count) for it in take_all()] == [(campaign_id, 3)]

    def test_of_two_campaigns_are_two(self) -> None:
        first, second = an_unknown_mail(), an_unknown_mail()

        assert [it.subject for it in take_all()] == [first, second]

    def test_are_not_told_before_a_first_look_was_due(self) -> None:
        email_id = make.an_email()
        moves.doubt(make.handed_over(email_id).held, "silence")

        assert take_all() == []

    def test_with_a_sent_folder_wait_for_the_end_of_the_first_look(self) -> None:
        campaign_id = an_unknown_mail()
        Mailbox.update(username="ola", imap_host="127.0.0.1", imap_port=993, imap_security="tls").execute()

        assert take_all() == []
        Q.update(evidence_sought_at=make.now()).execute()
        assert take_all() == []
        Q.update(evidence_sought_at=make.now() - timedelta(seconds=61)).execute()
        assert [it.subject for it in take_all()] == [campaign_id]

    def test_do_not_wait_for_ever_for_a_look_that_never_comes(self) -> None:
        campaign_id = an_unknown_mail()
        Mailbox.update(username="ola", imap_host="127.0.0.1", imap_port=993, imap_security="tls").execute()

        make.everything_older(timedelta(minutes=5))

        assert [it.subject for it in take_all()] == [campaign_id]


class TestAMailbox:
    def test_that_closes_again_and_again_is_told_once(self) -> None:
        mailbox_id = a_closed_mailbox()
        take_all()

        for _ in range(3):
            mailboxes.close(mailbox_id, "535 5.7.8 wrong password", lambda faults: timedelta(minutes=1))

            assert take_all() == []

    @pytest.mark.parametrize("mend", ["resume", "edit"])
    def test_that_fails_again_before_anybody_looked_is_told_anew_to_who_had_mended_it(self, mend: str) -> None:
        mailbox_id = a_closed_mailbox()
        take_all()

        if mend == "resume":
            mailboxes.resume(mailbox_id, "ola")
        else:
            mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(password_encrypted="another"))
        mailboxes.close(mailbox_id, "535 5.7.8 wrong password", lambda faults: timedelta(minutes=1))

        assert [it.subject for it in take_all()] == [mailbox_id]

    def test_that_its_owner_paused_needs_nobody(self) -> None:
        mailboxes.pause(a_closed_mailbox(), "ola")

        assert take_all() == []


def test_a_campaign_that_pauses_itself_again_is_told_anew_to_who_had_resumed_it() -> None:
    campaign_id = a_campaign_that_paused_itself()
    take_all()

    campaigns.resume(campaign_id, "ola")
    a_campaign_that_paused_itself(campaign_id)

    assert [it.subject for it in take_all()] == [campaign_id]


def test_a_campaign_that_its_owner_paused_is_told_to_nobody() -> None:
    campaigns.pause(make.a_campaign([make.a_mailbox()]), "ola", reason="holidays")

    assert take_all() == []


class TestAClaim:
    def test_is_nobody_elses(self) -> None:
        a_closed_mailbox()
        notices.refresh()

        assert notices.claim_due(LEASE) is not None
        assert notices.claim_due(LEASE) is None
        assert not notices.any_due()

    def test_of_one_who_died_is_taken_again_after_its_lease(self) -> None:
        mailbox_id = a_closed_mailbox()
        notices.refresh()
        notices.claim_due(LEASE)

        Notice.update(due_at=Notice.due_at - LEASE).execute()

        again = notices.claim_due(LEASE)
        assert again is not None
        assert (again.subject, again.attempt) == (mailbox_id, 2)

    def test_of_many_at_once_is_made_by_one_for_each_notice(self) -> None:
        for _ in range(4):
            a_closed_mailbox()

        def tell() -> list[Due]:
            try:
                return take_all()
            finally:
                database.close()

        with ThreadPoolExecutor(8) as pool:
            rounds = [each.result(BOUND) for each in [pool.submit(tell) for _ in range(8)]]

        assert sorted(it.subject for each in rounds for it in each) == [row.id for row in Mailbox.select()]
        assert Notice.select().count() == 4

    def test_knows_the_places_that_were_reached_before(self) -> None:
        a_closed_mailbox()
        notices.refresh()
        first = notices.claim_due(LEASE)
        assert first is not None
        notices.record_reached(first.id, "one")

        notices.record_failed(first.id, "said", "two: no answer", timedelta(0))

        again = notices.claim_due(LEASE)
        assert again is not None
        assert again.reached == ["one"]

    def test_whose_cause_ended_meanwhile_leaves_nothing_due(self) -> None:
        mailbox_id = a_closed_mailbox()
        notices.refresh()
        due = notices.claim_due(LEASE)
        assert due is not None
        mailboxes.resume(mailbox_id, "ola")

        notices.record_failed(due.id, "said", "no answer", timedelta(0))
        notices.record_sent(due.id, "said")

        assert Notice.get().due_at is None
        assert take_all() == []


def test_follow_ups_that_are_not_planned_because_their_mailbox_is_gone_are_told_of_after_two_working_days() -> None:
    old, other = make.a_mailbox(), make.a_mailbox()
    campaign_id = make.a_campaign([old, other], follow_ups=["1 hour"], follow_up_without_inbox=True)
    [email_id] = make.planned(campaign_id, old, make.now())
    assert moves.accept(make.handed_over(email_id).held, make.YES)
    campaigns.edit(campaign_id, "tests", Edit(mailbox_ids=[other]))
    assert notices.causes() == []

    make.everything_older(timedelta(days=14))

    [cause] = notices.causes()
    assert (cause.kind, cause.subject, cause.count) == (Kind.FOLLOW_UPS, old, 1)
    campaigns.edit(campaign_id, "tests", campaigns.decision(campaign_id, old, None))
    assert notices.causes() == []
