"""Which unknown e-mails a copy is to be looked for, and when."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from peewee import IntegrityError

from models.email import attempts, evidence, moves
from models.email.claims import Held
from models.owner import mailboxes
from models.owner.mailboxes import MailboxInvalid, SentMail
from models.states import Move, Status
from models.store import database
from models.store.tables import Campaign, CampaignEmailQueue, Mailbox
from models.views import history
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
Q = CampaignEmailQueue
WHERE = SentMail("imap.sender.example", 993, "tls", None)


def a_mailbox(**changes: Any) -> int:
    return make.a_mailbox(**{"username": "ola", "sent_mail": WHERE} | changes)


def doubtful(mailbox_id: int, age: timedelta = timedelta(minutes=2), count: int = 1) -> list[int]:
    """Unknown e-mails of the mailbox that were handed over so long ago."""
    campaign_id = make.a_campaign([mailbox_id], leads=count)
    ids = sorted(make.planned(campaign_id, mailbox_id, *[make.now()] * count))
    for email_id in ids:
        make.rested(campaign_id)
        assert moves.doubt(make.handed_over(email_id).held, "silence")
        make.age(email_id, age)
    return ids


def taken(mailbox_id: int) -> list[int]:
    return sorted(mail.email_id for mail in evidence.claim_due(mailbox_id))


def older(email_id: int, by: timedelta) -> None:
    make.age(email_id, by)
    Q.update(evidence_sought_at=Q.evidence_sought_at - by).where(Q.id == email_id).execute()


class TestAnUnknownMail:
    def test_is_looked_for_a_minute_after_its_hand_over_and_no_sooner(self) -> None:
        mailbox_id = a_mailbox()
        [email_id] = doubtful(mailbox_id, timedelta(seconds=50))
        assert evidence.due() == []

        make.age(email_id, timedelta(seconds=10))

        assert evidence.due() == [mailbox_id]
        row = make.row(email_id)
        assert evidence.claim_due(mailbox_id) == [(email_id, row.claim_token, row.message_id, row.handed_over_at)]

    def test_is_looked_for_again_when_it_is_twice_as_old(self) -> None:
        mailbox_id = a_mailbox()
        [email_id] = doubtful(mailbox_id, timedelta(minutes=10))
        assert taken(mailbox_id) == [email_id]

        older(email_id, timedelta(minutes=9))
        assert (evidence.due(), taken(mailbox_id)) == ([], [])
        older(email_id, timedelta(minutes=2))

        assert (evidence.due(), taken(mailbox_id)) == ([mailbox_id], [email_id])

    def test_that_was_looked_for_in_an_earlier_attempt_is_looked_for_anew(self) -> None:
        mailbox_id = a_mailbox()
        [email_id] = doubtful(mailbox_id)
        Q.update(evidence_sought_at=Q.handed_over_at - timedelta(days=1)).execute()

        assert taken(mailbox_id) == [email_id]

    def test_is_looked_for_at_once_when_its_owner_changed_the_mailbox(self) -> None:
        mailbox_id = a_mailbox()
        [email_id] = doubtful(mailbox_id)
        assert taken(mailbox_id) == [email_id]

        evidence.forget(mailbox_id)

        assert taken(mailbox_id) == [email_id]

    def test_of_a_mailbox_without_imap_waits_for_a_person(self) -> None:
        mailbox_id = a_mailbox(sent_mail=None)
        doubtful(mailbox_id)

        assert (evidence.due(), taken(mailbox_id)) == ([], [])

    def test_has_its_turn_among_many_a_few_at_a_time(self) -> None:
        mailbox_id = a_mailbox()
        ids = doubtful(mailbox_id, count=25)

        assert taken(mailbox_id) == ids[:20]
        assert taken(mailbox_id) == ids[20:]
        assert taken(mailbox_id) == []


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.UNKNOWN}))
def test_a_mail_in_any_other_status_is_not_looked_for(status: Status) -> None:
    email_id, _ = make.in_status(status)
    Mailbox.update(username="ola", **WHERE._asdict()).execute()
    make.age(email_id, timedelta(hours=1))

    assert evidence.due() == []


class TestAMailbox:
    def test_is_looked_into_by_one_at_a_time(self) -> None:
        mailbox_id, another_id = a_mailbox(), a_mailbox()
        seen = []

        def beside() -> None:
            for each in (mailbox_id, another_id):
                with evidence.try_lock(each) as alone:
                    seen.append(alone)
            database.close()

        with evidence.try_lock(mailbox_id) as alone:
            thread = threading.Thread(target=beside)
            thread.start()
            thread.join()

        assert alone
        assert seen == [False, True]
        beside()
        assert seen[2:] == [True, True]

    def test_without_a_user_name_has_no_imap(self) -> None:
        with pytest.raises(MailboxInvalid, match="user name"):
            mailboxes.edit(make.a_mailbox(), "tests", mailboxes.Edit(sent_mail=WHERE))

    @pytest.mark.parametrize("missing", ["imap_host", "imap_port", "imap_security"])
    def test_has_all_that_imap_needs_or_nothing(self, missing: str) -> None:
        mailbox_id = a_mailbox()

        with pytest.raises(IntegrityError, match="imap_is_whole"):
            Mailbox.update({missing: None}).where(Mailbox.id == mailbox_id).execute()

    def test_whose_sent_folder_moves_has_its_campaigns_left_as_they_are(self) -> None:
        mailbox_id = a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        before = mailboxes.get(mailbox_id).revision

        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(sent_mail="nowhere"))

        assert Campaign.get_by_id(campaign_id).replan_reason is None
        assert mailboxes.get(mailbox_id).revision == before


class TestLateProof:
    def test_ends_the_mail_as_sent_with_the_proof_in_its_history(self) -> None:
        mailbox_id = a_mailbox()
        [email_id] = doubtful(mailbox_id)
        [mail] = evidence.claim_due(mailbox_id)

        assert moves.accept(Held(email_id, mail.claim_token, "evidence"), attempts.PROVED, make.COPY)

        assert make.row(email_id).status == Status.SENT
        last = history.of_email(email_id)[-1]
        assert (last.move, last.by, last.why) == (Move.ACCEPT, "evidence", make.COPY.reason)

    def test_does_not_open_a_mailbox_that_closed_since(self) -> None:
        mailbox_id = a_mailbox()
        [email_id] = doubtful(mailbox_id)
        mailboxes.close(mailbox_id, "535 no", lambda before: timedelta(hours=1))
        [mail] = evidence.claim_due(mailbox_id)

        assert moves.accept(Held(email_id, mail.claim_token, "evidence"), attempts.PROVED)

        assert mailboxes.get(mailbox_id).closed_reason == "535 no"
