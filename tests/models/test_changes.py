"""What people, or the product itself, did to campaigns and mailboxes."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.email.states import Status
from models.owner import campaigns, changes, mailboxes
from models.owner.campaigns import CampaignInvalid, NoSuchCampaign
from models.owner.mailboxes import MailboxInvalid, NoSuchMailbox, SentMail
from models.store.tables import Campaign, Mailbox
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
WHERE = SentMail("imap.sender.example", 993, "tls", None)


def told(id: int, of: Callable[[int], list[changes.Change]] = changes.of_campaign) -> list[tuple[str, str, object]]:
    """Who did what to it, the latest first, without how it was added."""
    return [(it.by, it.verb, it.values) for it in of(id) if it.verb != "add"]


class TestCampaigns:
    def test_each_order_is_kept_with_who_gave_it_the_latest_first(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], active=False)

        campaigns.start(campaign_id, "ola")
        campaigns.pause(campaign_id, "marek", "the offer has changed")
        campaigns.resume(campaign_id, "ola")
        campaigns.cancel(campaign_id, "api:token")

        assert told(campaign_id) == [
            ("api:token", "cancel", {"status": ["active", "cancelled"]}),
            ("ola", "resume", {"status": ["paused", "active"]}),
            ("marek", "pause", {"status": ["active", "paused"]}),
            ("ola", "start", {"status": ["draft", "active"]}),
        ]
        assert [it.reason for it in changes.of_campaign(campaign_id)] == [
            None, None, "the offer has changed", None, None
        ]  # fmt: skip

    def test_an_edit_is_kept_with_the_old_and_the_new_of_what_it_changed(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], limit=50, delay=60)

        campaigns.edit(campaign_id, "ola", daily_limit=40, weekdays=[0, 1], delay_seconds=60.0)

        values = {"daily_limit": [50, 40], "weekdays": [[0, 1, 2, 3, 4, 5, 6], [0, 1]]}
        assert told(campaign_id)[0] == ("ola", "edit", values)

    def test_an_edit_that_changes_nothing_is_none(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], limit=50, active=False)

        campaigns.edit(campaign_id, "ola", daily_limit=50)

        assert told(campaign_id) == []

    def test_that_it_was_added_is_kept_with_how_it_was_to_send(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], limit=50, active=False)

        [it] = changes.of_campaign(campaign_id)

        assert (it.by, it.verb, it.campaign_id, it.mailbox_id) == ("tests", "add", campaign_id, None)
        assert it.values["daily_limit"] == [None, 50]

    def test_its_end_is_kept_as_the_products_own_doing(self) -> None:
        email_id, _ = make.in_status(Status.SENT)

        [campaign_id] = campaigns.complete_finished("reconcile")

        assert campaign_id == make.row(email_id).campaign_id
        assert told(campaign_id)[0] == ("reconcile", "complete", {"status": ["active", "completed"]})

    def test_what_is_refused_leaves_no_trace(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], active=False)

        with pytest.raises(CampaignInvalid):
            campaigns.pause(campaign_id, "ola")

        assert told(campaign_id) == []

    @pytest.mark.parametrize("verb", ["start", "pause", "resume", "edit", "cancel"])
    def test_one_that_does_not_exist_takes_no_order(self, verb: str) -> None:
        with pytest.raises(NoSuchCampaign):
            getattr(campaigns, verb)(4711, "ola")

    def test_one_that_does_not_exist_is_not_shown(self) -> None:
        with pytest.raises(NoSuchCampaign):
            campaigns.get(4711)

    def test_a_draft_that_could_not_be_added_whole_leaves_no_trace(self) -> None:
        taken = Campaign.get_by_id(make.a_campaign([make.a_mailbox()])).name
        new = campaigns.NewCampaign(taken, "Hello", "Hello", None, [make.a_mailbox()], make.ALWAYS, 60, 50)

        with pytest.raises(CampaignInvalid, match="already"):
            campaigns.add(new, [], "ola")

        assert changes.of_campaign(2) == []


class TestMailboxes:
    def test_each_order_is_kept_with_who_gave_it(self) -> None:
        mailbox_id = make.a_mailbox(daily_limit=50)

        mailboxes.pause(mailbox_id, "ola")
        mailboxes.edit(mailbox_id, "ola", daily_limit=40)
        mailboxes.resume(mailbox_id, "marek")

        assert told(mailbox_id, changes.of_mailbox) == [
            ("marek", "resume", {"status": ["paused", "active"]}),
            ("ola", "edit", {"daily_limit": [50, 40]}),
            ("ola", "pause", {"status": ["active", "paused"]}),
        ]

    def test_opening_one_that_faults_had_closed_tells_what_was_forgotten(self) -> None:
        mailbox_id = make.a_mailbox()
        mailboxes.close(mailbox_id, "535 no", lambda faults: timedelta(hours=1), "auth", 535)
        until = mailboxes.get(mailbox_id).closed_until

        mailboxes.resume(mailbox_id, "ola")

        [(_, _, values)] = told(mailbox_id, changes.of_mailbox)
        assert until is not None
        row = Mailbox.get_by_id(mailbox_id)
        assert (row.closed_until, row.closed_reason, row.closed_phase, row.closed_code) == (None, None, None, None)
        assert values == {
            "closed_until": [until.isoformat(timespec="milliseconds"), None],
            "closed_reason": ["535 no", None],
            "closed_phase": ["auth", None],
            "closed_code": [535, None],
            "faults": [1, 0],
        }

    def test_of_a_password_only_that_it_changed(self) -> None:
        mailbox_id = make.a_mailbox(username="ola", password_encrypted="gAAAAold")

        mailboxes.edit(mailbox_id, "ola", password_encrypted="gAAAAnew")

        found = changes.of_mailbox(mailbox_id)
        assert told(mailbox_id, changes.of_mailbox) == [("ola", "edit", {"password": ["hidden", "hidden"]})]
        assert found[-1].values["password"] == [None, "hidden"]
        assert "gAAAA" not in repr(found)

    def test_where_its_copies_are_is_an_edit_like_others(self) -> None:
        mailbox_id = make.a_mailbox(username="ola")

        mailboxes.edit_sent_mail(mailbox_id, WHERE, "ola")
        mailboxes.edit_sent_mail(mailbox_id, WHERE, "ola")

        [(_, verb, values)] = told(mailbox_id, changes.of_mailbox)
        assert verb == "edit"
        assert values == {
            "imap_host": [None, "imap.sender.example"],
            "imap_port": [None, 993],
            "imap_security": [None, "tls"],
        }

    def test_what_the_database_refuses_leaves_no_trace(self) -> None:
        mailbox_id = make.a_mailbox()

        with pytest.raises(MailboxInvalid):
            mailboxes.edit_sent_mail(mailbox_id, WHERE, "ola")

        assert told(mailbox_id, changes.of_mailbox) == []

    @pytest.mark.parametrize("verb", ["pause", "resume", "edit"])
    def test_one_that_does_not_exist_takes_no_order(self, verb: str) -> None:
        with pytest.raises(NoSuchMailbox):
            getattr(mailboxes, verb)(4711, "ola")


def test_no_more_are_told_than_asked_for_and_none_of_another() -> None:
    mailbox_id = make.a_mailbox()
    other, campaign_id = (make.a_campaign([mailbox_id], active=False) for _ in range(2))
    for limit in (10, 20, 30):
        campaigns.edit(campaign_id, "ola", daily_limit=limit)

    found = changes.of_campaign(campaign_id, limit=2)

    assert [it.values["daily_limit"][1] for it in found] == [30, 20]
    assert [it.verb for it in changes.of_campaign(other)] == ["add"]
    assert [it.verb for it in changes.of_mailbox(mailbox_id)] == ["add"]
