"""`campaign edit`: all that a campaign file says, of drafts and of campaigns that run."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import config
from actors import plan as planning
from models.audit import changes
from models.email import gates, moves
from models.email.claims import Claim
from models.owner import campaigns
from models.owner.campaigns import CampaignInvalid, Edit, Letter
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignMailbox, CampaignStep, EmailHistory
from tests import factories as make
from tests.admin.test_commands import CAMPAIGN, done, refused

pytestmark = pytest.mark.usefixtures("db")
LEADS = ["anna@leads.example", "jan@leads.example", "ewa@leads.example"]


@pytest.fixture
def boxes() -> list[int]:
    return [make.a_mailbox(f"{name}@sender.example") for name in ("ola", "jan")]


@pytest.fixture
def draft(boxes: list[int]) -> Campaign:
    campaign_id = make.a_campaign(boxes[:1], leads=LEADS, active=False)
    Campaign.update(name="Autumn").execute()
    return Campaign.get_by_id(campaign_id)


@pytest.fixture
def running(draft: Campaign, boxes: list[int]) -> Campaign:
    campaigns.start(draft.id, "tests")
    make.planned(draft.id, boxes[0], *[make.now() + timedelta(hours=hours) for hours in (1, 2)])
    return Campaign.get_by_id(draft.id)


def addresses() -> set[str]:
    return {it.mailbox.address for it in CampaignMailbox.select()}


def sentence() -> str:
    return changes.of_campaign(Campaign.get().id)[0].sentence.partition(" ")[2]


class TestADraft:
    def test_is_told_of_placeholders_in_its_new_letter_that_go_out_as_they_are_written(
        self, draft: Campaign, tmp_path: Path
    ) -> None:
        (tmp_path / "letter.txt").write_text("Dear {{ name }},\n%name%\n")

        said = done("campaign", "edit", "Autumn", "--text-file", str(tmp_path / "letter.txt"))

        assert "warning: text line 2: %name% goes out as it is written" in said
        assert "warning" not in done("campaign", "edit", "Autumn", "--daily-limit", "7")

    def test_may_be_given_another_letter_name_and_mailbox_by_single_settings(
        self, draft: Campaign, tmp_path: Path
    ) -> None:
        (tmp_path / "letter.txt").write_text("Dear {{ name }},\r\nhello.\r\n", newline="")
        (tmp_path / "letter.html").write_text("<p>Dear {{ name }}</p>")

        done(
            *("campaign", "edit", "Autumn", "--name", "Winter", "--subject", "Good day, {{ name }}"),
            *("--text-file", str(tmp_path / "letter.txt"), "--html-file", str(tmp_path / "letter.html")),
            *("--add-mailbox", "Jan@sender.example", "--remove-mailbox", "ola@sender.example", "--daily-limit", "7"),
        )

        row, step = Campaign.get(), CampaignStep.get()
        assert (row.name, row.daily_limit, row.status) == ("Winter", 7, "draft")
        assert (step.subject, step.text) == ("Good day, {{ name }}", "Dear {{ name }},\nhello.\n")
        assert step.html == "<p>Dear {{ name }}</p>"
        assert addresses() == {"jan@sender.example"}

    def test_may_lose_its_html(self, draft: Campaign) -> None:
        CampaignStep.update(html="<p>Hello</p>").execute()

        done("campaign", "edit", "Autumn", "--html-file", "")

        assert CampaignStep.get().html is None

    def test_takes_all_that_a_campaign_file_says(self, draft: Campaign, tmp_path: Path) -> None:
        file = tmp_path / "autumn.toml"
        file.write_text(CAMPAIGN.replace('"Autumn"', '"Winter"').replace("ola@", "jan@"))

        done("campaign", "edit", "Autumn", "--file", str(file))

        row, step = Campaign.get(), CampaignStep.get()
        assert (row.name, row.window_start_minute, row.weekdays, row.delay_seconds, row.daily_limit) == (
            *("Winter", 540, [0, 1, 2, 3, 4], 90),
            50,
        )
        assert (step.subject, step.text) == ("Hello {{ name }}", "Dear {{ name }}, how are you?")
        assert addresses() == {"jan@sender.example"}
        assert "nothing was changed" in done("campaign", "edit", "Winter", "--file", str(file))

    def test_changes_what_a_reply_stops_where_its_file_says_so(self, draft: Campaign, tmp_path: Path) -> None:
        file, replan_reasons = tmp_path / "autumn.toml", []
        for lines, expected in (
            ("stop_in_all_campaigns = true\nstop_colleagues = true\n", (True, True)),
            ("stop_colleagues = false\n", (True, False)),
        ):
            file.write_text(CAMPAIGN + lines)

            done("campaign", "edit", "Autumn", "--file", str(file))

            row = Campaign.get()
            assert (row.stop_in_all_campaigns, row.stop_colleagues) == expected
            replan_reasons.append(row.replan_reason)
            Campaign.update(replan_reason=None).execute()
        assert replan_reasons[-1] is None  # no e-mail moves for it

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ((), "either --file, or single settings"),
            (("--subject", "Hello {{ nick }}"), "subject line 1: 'nick' is undefined"),
            (("--subject", "Hello {{ name"), "subject line 1: "),
            (("--subject", " "), "subject is empty"),
            (("--subject", "{{ city }}"), "jan@leads.example: 'city' is empty"),
            (("--text-file", "nowhere.txt"), "nowhere.txt: there is no such file"),
            (("--name", ""), "name: must not be empty"),
            (("--name", "A\x07"), "has a control character"),
            (("--name", "Taken"), "there is a campaign 'Taken' already"),
            (("--add-mailbox", "eve@sender.example"), "there is no mailbox eve@sender.example"),
            (("--remove-mailbox", "jan@sender.example"), "is none of the mailboxes of 'Autumn'"),
            (("--remove-mailbox", "ola@sender.example"), "needs a mailbox"),
            (("--window-end", "00:00"), "must start before it ends"),
            (("--daily-limit", "0", "--subject", "Hi"), "daily_limit"),
        ],
    )
    def test_is_left_as_it_was_where_a_setting_is_refused(
        self, draft: Campaign, boxes: list[int], options: tuple[str, ...], complaint: str
    ) -> None:
        for it in CampaignLead.select():
            fields = {**it.fields, "city": "" if it.address == "jan@leads.example" else "Łódź"}
            CampaignLead.update(fields=fields).where(CampaignLead.id == it.id).execute()
        other = make.a_campaign(boxes[1:])
        Campaign.update(name="Taken").where(Campaign.id == other).execute()
        before = list(Campaign.select().dicts()), list(CampaignStep.select().dicts()), addresses()

        assert complaint in refused("campaign", "edit", "Autumn", *options)

        assert (list(Campaign.select().dicts()), list(CampaignStep.select().dicts()), addresses()) == before

    def test_is_no_letter_for_leads_that_came_while_it_was_checked(self, draft: Campaign) -> None:
        letter = Letter("Hello", "Hello", None, checked_to=2)

        with pytest.raises(CampaignInvalid, match="leads were added"):
            campaigns.edit(draft.id, "tests", Edit(letter=letter))

        assert CampaignStep.get().subject == "Hello {{ name }}"


class TestARunningCampaign:
    def test_sends_the_new_letter_to_whoever_is_not_claimed_and_keeps_its_times(
        self, running: Campaign, boxes: list[int]
    ) -> None:
        first, second = CampaignEmailQueue.select().order_by(CampaignEmailQueue.id)
        CampaignEmailQueue.update(scheduled_at=make.now()).where(CampaignEmailQueue.id == first.id).execute()
        under_way = make.claimed(first.id)

        printed = done("campaign", "edit", "Autumn", "--subject", "Good day, {{ name }}", "--yes")
        make.rested(running.id)
        CampaignEmailQueue.update(status="pending", claim_token=None, claimed_at=None).execute()
        CampaignEmailQueue.update(scheduled_at=make.now()).where(CampaignEmailQueue.id == second.id).execute()
        later = make.claimed(second.id)

        assert printed == "changed 'Autumn'\n"
        assert (under_way.subject, later.subject) == ("Hello {{ name }}", "Good day, {{ name }}")
        assert Campaign.get().replan_reason is None

    def test_checks_a_letter_only_for_leads_who_may_still_get_it(self, running: Campaign) -> None:
        email_id = CampaignEmailQueue.get().id
        lead = make.row(email_id).campaign_lead_id
        CampaignLead.update(fields={"email": "x", "name": ""}).where(CampaignLead.id == lead).execute()
        CampaignEmailQueue.update(scheduled_at=make.now()).where(CampaignEmailQueue.id == email_id).execute()
        moves.accept(make.handed_over(email_id).held, make.YES)

        done("campaign", "edit", "Autumn", "--subject", "Good day, {{ name }}", "--yes")

        assert CampaignStep.get().subject == "Good day, {{ name }}"

    def test_sends_nothing_more_from_a_mailbox_that_was_removed_and_moves_its_mails_with_a_reason(
        self, running: Campaign, boxes: list[int]
    ) -> None:
        email_id = CampaignEmailQueue.get().id
        done("campaign", "edit", "Autumn", "--add-mailbox", "jan@sender.example")
        planning.replan()
        CampaignEmailQueue.update(mailbox=boxes[0]).execute()

        printed = done("campaign", "edit", "Autumn", "--remove-mailbox", "ola@sender.example")
        CampaignEmailQueue.update(scheduled_at=make.now()).where(CampaignEmailQueue.id == email_id).execute()
        closed = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)
        planning.replan()

        assert "2 e-mails of 'Autumn' move" in printed
        assert isinstance(closed, gates.Closed)
        assert (closed.gate, closed.reason) == ("mailbox", "the mailbox is no longer one of its campaign's")
        assert {it.mailbox_id for it in CampaignEmailQueue.select()} == {boxes[1]}
        last = EmailHistory.select().where(EmailHistory.email == email_id).order_by(EmailHistory.id.desc()).get()
        assert (last.move, last.reason) == ("replan", "edited")

    def test_lets_what_is_being_sent_from_a_removed_mailbox_go(self, running: Campaign, boxes: list[int]) -> None:
        email_id = CampaignEmailQueue.get().id
        CampaignEmailQueue.update(scheduled_at=make.now()).where(CampaignEmailQueue.id == email_id).execute()
        claim = make.claimed(email_id)

        campaigns.edit(running.id, "tests", Edit(mailbox_ids=[boxes[1]]))

        assert isinstance(claim, Claim)
        assert moves.hand_over(claim.held, b"Subject: hello\r\n\r\nDear lead") is None
        assert moves.accept(claim.held, make.YES)

    def test_says_how_the_end_of_its_calendar_moves_before_it_asks(self, boxes: list[int]) -> None:
        campaign_id = make.a_campaign(boxes, leads=40, limit=20)
        Campaign.update(name="Autumn").execute()
        make.planned(campaign_id, boxes[0], make.now() + timedelta(hours=1))

        result = asked("n\n", "--daily-limit", "4")

        assert result.returncode == 1
        assert "before: 40 e-mails: " in result.stdout
        assert "after:  40 e-mails: " in result.stdout
        assert "held by daily_limit 4, its mailboxes allow 2000" in result.stdout
        assert Campaign.get_by_id(campaign_id).daily_limit == 20

    @pytest.mark.parametrize(("answer", "subject"), [("n\n", "Hello {{ name }}"), ("y\n", "Good day")])
    def test_asks_before_its_letter_changes(self, running: Campaign, answer: str, subject: str) -> None:
        asked(answer, "--subject", "Good day")

        assert CampaignStep.get().subject == subject

    @pytest.mark.parametrize("end", [campaigns.cancel])
    def test_that_has_ended_takes_no_change(self, running: Campaign, end: Callable[[int, str], object]) -> None:
        end(running.id, "tests")

        assert "it is cancelled" in refused("campaign", "edit", "Autumn", "--subject", "Good day")

    def test_opens_to_a_mailbox_whose_server_did_not_take_its_letter(self, running: Campaign) -> None:
        CampaignMailbox.update(closed_reason="552 too large").execute()

        done("campaign", "edit", "Autumn", "--subject", "Good day", "--yes")

        assert CampaignMailbox.get().closed_reason is None


def asked(answer: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """As a person gives it, at a terminal."""
    terminal, its_other_end = os.openpty()
    os.write(terminal, answer.encode())
    try:
        command = [sys.executable, "-m", "admin", "campaign", "edit", "Autumn", *options]
        return subprocess.run(command, cwd=config.ROOT, stdin=its_other_end, capture_output=True, text=True)
    finally:
        os.close(terminal)
        os.close(its_other_end)


class TestTheChangeLog:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--daily-limit", "7"), "changed the daily limit from 1000 to 7"),
            (
                ("--window-start", "09:00", "--weekdays", "mon,tue", "--delay", "90"),
                "changed the weekdays from mon,tue,wed,thu,fri,sat,sun to mon,tue, the delay from 1 min to 1 min 30 s"
                " and the window's start from 00:00 to 09:00",
            ),
            (("--subject", "Good day"), "changed the subject from “Hello {{ name }}” to “Good day”"),
            (("--name", "Winter"), "changed the name from “Autumn” to “Winter”"),
            (("--add-mailbox", "jan@sender.example"), "added the mailbox jan@sender.example"),
            (
                ("--add-mailbox", "jan@sender.example", "--remove-mailbox", "ola@sender.example"),
                "added the mailbox jan@sender.example, removed the mailbox ola@sender.example",
            ),
        ],
    )
    def test_reads_as_a_sentence(self, draft: Campaign, options: tuple[str, ...], said: str) -> None:
        done("campaign", "edit", "Autumn", *options)

        assert sentence() == said
        assert said in done("campaign", "show", Campaign.get().name)

    def test_says_of_a_text_only_that_it_changed_and_keeps_both(self, draft: Campaign, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("Another text")

        done("campaign", "edit", "Autumn", "--text-file", str(tmp_path / "letter.txt"))

        assert sentence() == "changed the text"
        assert changes.of_campaign(draft.id)[0].values["text"] == ["Dear {{ name }}, how are you?", "Another text"]

    def test_says_why_where_a_reason_was_given(self, draft: Campaign) -> None:
        campaigns.start(draft.id, "tests")

        done("campaign", "pause", "Autumn", "--reason", "the offer has changed")
        paused = sentence()
        done("campaign", "cancel", "Autumn", "--reason", "sold out")

        assert (paused, sentence()) == ("paused it: the offer has changed", "cancelled it: sold out")
