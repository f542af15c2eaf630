"""What people, or the product itself, ordered: kept with who did it."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from intake.campaign_file import edited
from models.audit import changes
from models.email import recovery
from models.owner import arming, campaigns, mailboxes
from models.owner.arming import Verdict
from models.owner.campaigns import CampaignInvalid, NoSuchCampaign
from models.owner.mailboxes import MailboxInvalid, NoSuchMailbox, SentMail
from models.people import suppressions
from models.states import Status
from models.store import database
from models.store.tables import Campaign, Mailbox
from scheduling.window import Window
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")
WHERE = SentMail("imap.sender.example", 993, "tls", None)


def told(
    id: int, of: Callable[[int], list[changes.RecordedChange]] = changes.of_campaign
) -> list[tuple[str, str, object]]:
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

        campaigns.edit(campaign_id, "ola", campaigns.Edit(daily_limit=40, weekdays=[0, 1], delay_seconds=60.0))

        values = {"daily_limit": [50, 40], "weekdays": [[0, 1, 2, 3, 4, 5, 6], [0, 1]]}
        assert told(campaign_id)[0] == ("ola", "edit", values)

    @pytest.mark.parametrize(
        "change",
        [
            campaigns.Edit(window_start_minute=1000),
            campaigns.Edit(window_end_minute=540),
            campaigns.Edit(window_end_minute=1441),
            campaigns.Edit(window_start_minute=-1),
            campaigns.Edit(weekdays=[]),
            campaigns.Edit(weekdays=[7]),
        ],
    )
    def test_a_window_that_is_none_beside_what_stands_is_refused_and_leaves_no_trace(
        self, change: campaigns.Edit
    ) -> None:
        window = Window(540, 1000, frozenset(range(5)))
        campaign_id = make.a_campaign([make.a_mailbox()], active=False, window=window)

        with pytest.raises(CampaignInvalid):
            campaigns.edit(campaign_id, "ola", change)

        assert told(campaign_id) == []

    def test_two_edits_of_different_settings_both_stand(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], active=False, limit=50, delay=60)
        seen_by_both = campaigns.get(campaign_id)
        first = edited(seen_by_both, None, None, "mon,tue", None, None)
        second = edited(seen_by_both, "09:00", None, None, None, 40)

        campaigns.edit(campaign_id, "ola", first)
        campaigns.edit(campaign_id, "marek", second)

        row = campaigns.get(campaign_id)
        assert (row.weekdays, row.window_start_minute, row.daily_limit, row.delay_seconds) == ([0, 1], 540, 40, 60)
        assert [(it.by, set(it.values)) for it in changes.of_campaign(campaign_id)[:-1]] == [
            ("marek", {"window_start_minute", "daily_limit"}),
            ("ola", {"weekdays"}),
        ]

    def test_an_edit_that_changes_nothing_is_none(self) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], limit=50, active=False)

        campaigns.edit(campaign_id, "ola", campaigns.Edit(daily_limit=50))

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

    @pytest.mark.parametrize(
        "order",
        [
            campaigns.start,
            campaigns.pause,
            campaigns.resume,
            campaigns.cancel,
            lambda id, by: campaigns.edit(id, by, campaigns.Edit(daily_limit=7)),
        ],
    )
    def test_one_that_does_not_exist_takes_no_order(self, order: Callable[[int, str], object]) -> None:
        with pytest.raises(NoSuchCampaign):
            order(4711, "ola")

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
        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(daily_limit=40))
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

        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(password_encrypted="gAAAAnew"))

        found = changes.of_mailbox(mailbox_id)
        assert told(mailbox_id, changes.of_mailbox) == [("ola", "edit", {"password": ["hidden", "hidden"]})]
        assert found[-1].values["password"] == [None, "hidden"]
        assert "gAAAA" not in repr(found)

    def test_where_its_copies_are_is_an_edit_like_others(self) -> None:
        mailbox_id = make.a_mailbox(username="ola")

        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(sent_mail=WHERE))
        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(sent_mail=WHERE))

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
            mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(sent_mail=WHERE))

        assert told(mailbox_id, changes.of_mailbox) == []

    @pytest.mark.parametrize(
        "order",
        [
            mailboxes.pause,
            mailboxes.resume,
            lambda id, by: mailboxes.edit(id, by, mailboxes.Edit(daily_limit=7)),
            lambda id, by: mailboxes.record_warmup(id, date(2026, 11, 17), 5, by),
        ],
    )
    def test_one_that_does_not_exist_takes_no_order(self, order: Callable[[int, str], object]) -> None:
        with pytest.raises(NoSuchMailbox):
            order(4711, "ola")

    def test_its_servers_and_its_password_are_changed_in_one_order(self) -> None:
        mailbox_id = make.a_mailbox()

        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(smtp_port=587, username="ola", sent_mail=WHERE))
        mailboxes.edit(mailbox_id, "marek", mailboxes.Edit(sent_mail="nowhere"))

        assert [(it.by, set(it.values)) for it in changes.of_mailbox(mailbox_id)[:-1]] == [
            ("marek", {"imap_host", "imap_port", "imap_security"}),
            ("ola", {"smtp_port", "username", "imap_host", "imap_port", "imap_security"}),
        ]

    def test_its_warm_up_mails_of_a_day_are_kept_where_they_changed(self) -> None:
        mailbox_id = make.a_mailbox()

        for count in (5, 5, 8):
            mailboxes.record_warmup(mailbox_id, date(2026, 11, 17), count, "ola")

        assert told(mailbox_id, changes.of_mailbox) == [
            ("ola", "record warm-up", {"warmup 2026-11-17": [5, 8]}),
            ("ola", "record warm-up", {"warmup 2026-11-17": [None, 5]}),
        ]


class TestAddresses:
    ANNA = "anna@leads.example"

    def told(self) -> list[tuple[str, str, object]]:
        return [(it.by, it.verb, it.values) for it in changes.of_address(self.ANNA)]

    def test_who_suppressed_one_and_who_took_that_back_is_kept(self) -> None:
        suppressions.add(self.ANNA, "she asked us to", "ola")
        suppressions.remove(self.ANNA, "marek")

        assert self.told() == [
            ("marek", "unsuppress", {"suppressed": ["she asked us to", None]}),
            ("ola", "suppress", {"suppressed": [None, "she asked us to"]}),
        ]
        assert [it.sentence for it in changes.of_address(self.ANNA)] == [
            "marek removed it from the suppressed addresses",
            "ola suppressed it: she asked us to",
        ]

    def test_what_was_forgotten_is_counted(self) -> None:
        changes.record_of_address(self.ANNA, {"emails": [None, 2], "answers": [None, 1]}, "ola", "forget")

        [it] = changes.of_address(self.ANNA)
        assert it.sentence == "ola erased what was known about it: emails 2, answers 1"

    def test_what_changes_nothing_is_no_order(self) -> None:
        suppressions.remove(self.ANNA, "marek")
        suppressions.add(self.ANNA, "she asked us to", "ola")
        suppressions.add(self.ANNA, "another reason", "marek")

        assert self.told() == [("ola", "suppress", {"suppressed": [None, "she asked us to"]})]
        assert [(it.address, it.reason, it.by) for it in suppressions.every()] == [
            (self.ANNA, "she asked us to", "ola")
        ]

    def test_one_from_before_that_was_kept_is_shown_without_a_name(self) -> None:
        database.execute("INSERT INTO suppression (address, reason) VALUES (%s, 'long ago')", (self.ANNA,))

        assert [(it.reason, it.by) for it in suppressions.every()] == [("long ago", None)]


class TestTheInstallation:
    def told(self) -> list[tuple[str, str, object, str | None]]:
        return [(it.by, it.verb, it.values, it.reason) for it in changes.of_installation()]

    def test_who_stopped_it_first_and_who_let_it_go_on_is_kept(self) -> None:
        arming.disarm("the database knows less", "host:1")
        arming.disarm("another reason", "host:2")
        arming.arm("ola")
        arming.arm("marek")

        assert self.told() == [
            ("ola", "arm", {"disarmed": ["the database knows less", None]}, None),
            ("host:1", "disarm", {"disarmed": [None, "the database knows less"]}, None),
        ]

    @pytest.mark.parametrize("verdict", Verdict)
    def test_what_became_of_forgotten_mails_is_kept_whatever_was_chosen(self, verdict: Verdict) -> None:
        lost = [recovery.of(make.handed_over(make.an_email()), make.now()) for _ in range(2)]

        arming.rule_on(lost, verdict, "last night's backup", "ola")

        assert self.told() == [("ola", "rule", {"forgotten": [2, verdict]}, "last night's backup")]


def test_no_more_are_told_than_asked_for_and_none_of_another() -> None:
    mailbox_id = make.a_mailbox()
    other, campaign_id = (make.a_campaign([mailbox_id], active=False) for _ in range(2))
    for limit in (10, 20, 30):
        campaigns.edit(campaign_id, "ola", campaigns.Edit(daily_limit=limit))

    found = changes.of_campaign(campaign_id, limit=2)

    assert [it.values["daily_limit"][1] for it in found] == [30, 20]
    assert [it.verb for it in changes.of_campaign(other)] == ["add"]
    assert [it.verb for it in changes.of_mailbox(mailbox_id)] == ["add"]
