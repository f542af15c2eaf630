"""`campaign preview`: the very letter that is sent, before it is."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from dramatiq import get_broker

import config
from actors import deliver as pipeline
from actors import plan as planning
from admin import show
from mail import unsubscribe
from mail.compose import letter_of
from models.owner import campaigns, mailboxes
from models.owner.campaigns import Edit, LaterStep
from models.people import suppressions
from models.states import Status
from models.store import vault
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignStep, Mailbox
from models.views import letters, overview
from scheduling import waits
from scheduling.window import Window, warsaw_day
from tests import factories as make
from tests.admin.test_commands import done
from tests.forking import admin
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.usefixtures("db")
DATE = re.compile(rb"(?m)^Date: [^\r]+\r\n")


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running
    get_broker().flush_all()


def a_draft(smtp_port: int = 2525, leads: int = 3, **campaign: object) -> Campaign:
    boxes = [make.a_mailbox(f"{name}@sender.example", smtp_port=smtp_port) for name in ("ola", "jan")]
    row = Campaign.get_by_id(make.a_campaign(boxes, leads=leads, active=False, **campaign))  # type: ignore[arg-type]
    CampaignStep.update(text="Zażółć {{ name }},\n\n.gęślą\n", html="<p>Jaźń {{ name }}</p>").execute()
    return row


def a_sequence(
    smtp_port: int = 2525, leads: int = 1, waits_for: tuple[str, ...] = ("3 days",), **more: Any
) -> Campaign:
    """A draft."""
    row = a_draft(smtp_port, leads, follow_ups=waits_for, follow_up_without_inbox=True, **more)
    CampaignStep.update(subject="Zażółć {{ name }}").where(CampaignStep.position == 1).execute()
    return row


def composed(row: Campaign, address: str | None = None, step: int = 1) -> bytes:
    found = letters.of_lead(row, address, step=step)
    return letter_of(found, make.now(), vault.derived_keys(unsubscribe.PURPOSE), "")


def without_date(content: bytes) -> bytes:
    assert len(DATE.findall(content)) == 1
    return DATE.sub(b"", content)


def addresses(row: Campaign) -> list[str]:
    return [it.address for it in CampaignLead.select().where(CampaignLead.campaign == row.id)]


class TestAPreview:
    def test_of_a_draft_is_byte_for_byte_what_is_then_sent_but_for_its_date(self, smtp: SmtpServer) -> None:
        row = a_draft(smtp.port)
        seen = {address: composed(row, address) for address in addresses(row)}

        campaigns.start(row.id, "tests")
        planning.plan_new()
        for it in CampaignEmailQueue.select():
            make.rested(row.id)
            at = make.now()
            CampaignEmailQueue.update(scheduled_at=at).where(CampaignEmailQueue.id == it.id).execute()
            pipeline.deliver(it.id, round(at.timestamp() * 1000))

        assert {it.recipient: without_date(it.content) for it in smtp.accepted} == {
            address: without_date(content) for address, content in seen.items()
        }

    def test_of_a_planned_mail_has_its_time_and_mailbox_whatever_would_be_planned_now(self) -> None:
        row = a_draft()
        campaigns.start(row.id, "tests")
        jan = CampaignEmailQueue.mailbox.rel_model.get(address="jan@sender.example")
        at = make.now() + timedelta(hours=5)
        make.planned(row.id, jan.id, at)

        it = letters.of_lead(row)

        assert (it.at, it.sender, it.status) == (at, "jan@sender.example", Status.PENDING)

    def test_of_a_mail_not_planned_yet_has_those_that_it_is_then_planned_for(self) -> None:
        row = a_draft(leads=4, window=Window(0, 1440, frozenset({(make.now().weekday() + 2) % 7})))
        seen = [letters.of_lead(row, address) for address in addresses(row)]

        campaigns.start(row.id, "tests")
        planning.plan_new()

        found = [letters.of_lead(row, address) for address in addresses(row)]
        assert {it.status for it in found} == {Status.PENDING}
        assert [(it.at, it.sender, it.message_id) for it in found] == [(it.at, it.sender, it.message_id) for it in seen]

    def test_of_a_mail_that_was_sent_is_what_was_handed_over(self) -> None:
        email_id, _ = make.in_status(Status.SENT)
        row = Campaign.get_by_id(make.row(email_id).campaign_id)

        result = admin("campaign", "preview", row.name)

        assert "Subject: hello" in result.stdout
        assert "sent 20" in result.stdout

    def test_of_a_lead_that_must_not_be_written_to_says_so(self) -> None:
        row = a_draft()
        suppressions.add(addresses(row)[0], "she asked us to", "tests")

        assert "never: suppressed: she asked us to" in admin("campaign", "preview", row.name).stdout

    def test_tells_two_installations_and_two_campaigns_apart(self) -> None:
        first, second = a_draft(leads=1), None
        copy = Campaign.get_by_id(make.a_campaign([1], leads=addresses(first), active=False))
        second = letters.of_lead(copy)

        assert letters.of_lead(first).message_id != second.message_id


def send(row: Campaign) -> None:
    """All that is planned of it, now."""
    for it in CampaignEmailQueue.select().where(CampaignEmailQueue.status == Status.PENDING):
        make.rested(row.id)
        at = make.now()
        over = None if it.predecessor_id is None else at - timedelta(seconds=1)
        moved = CampaignEmailQueue.update(scheduled_at=at, wait_ends_at=over)
        moved.where(CampaignEmailQueue.id == it.id).execute()
        pipeline.deliver(it.id, round(at.timestamp() * 1000))


def started(row: Campaign) -> Campaign:
    """Its first letters are sent."""
    campaigns.start(row.id, "tests")
    planning.plan_new()
    send(row)
    return campaigns.get(row.id)


def when(row: Campaign, step: int = 2) -> str:
    """What the command says of the first lead's time."""
    said = done("campaign", "preview", row.name, "--step", str(step), "--json")
    return str(json.loads(said)["said"])


class TestAFollowUp:
    def test_of_a_draft_is_byte_for_byte_what_is_then_sent_but_for_its_date(self, smtp: SmtpServer) -> None:
        row = a_sequence(smtp.port, leads=2, waits_for=("3 days", "1 day", "1 day"))
        CampaignStep.update(subject="Jeszcze raz, {{ name }}").where(CampaignStep.position == 3).execute()
        steps = (1, 2, 3, 4)
        seen = [composed(row, address, step) for step in steps for address in addresses(row)]

        row = started(row)
        for _ in steps[1:]:
            planning.plan_follow_ups()
            send(row)

        sent = [without_date(it.content) for it in smtp.accepted]
        assert sorted(sent) == sorted(without_date(content) for content in seen)
        subjects = [str(message_from_bytes(it, policy=policy.default)["Subject"]) for it in seen[::2]]
        first, third = f"Zażółć Lead {addresses(row)[0]}", f"Jeszcze raz, Lead {addresses(row)[0]}"
        assert subjects == [first, f"Re: {first}", third, f"Re: {third}"]

    def test_names_the_letters_before_it_as_they_went_over_the_wire(self, smtp: SmtpServer) -> None:
        row = started(a_sequence(smtp.port))
        CampaignEmailQueue.update(wire_message_id="<changed@provider.example>").execute()
        CampaignLead.update(fields={"name": "Anna"}).execute()
        planned = composed(row, step=2)
        assert b"In-Reply-To: <changed@provider.example>\r\n" in planned
        assert message_from_bytes(planned, policy=policy.default)["Subject"] == f"Re: Zażółć Lead {addresses(row)[0]}"

        planning.plan_follow_ups()
        assert without_date(composed(row, step=2)) == without_date(planned)
        send(row)

        assert without_date(smtp.accepted[-1].content) == without_date(planned)

    def test_begins_a_thread_where_it_goes_on_from_another_mailbox(self, smtp: SmtpServer) -> None:
        row = started(a_sequence(smtp.port))
        used = CampaignEmailQueue.get().mailbox_id
        [other] = [it.id for it in mailboxes.of_campaign(row.id) if it.id != used]

        it = letters.of_lead(row, mailbox_id=other, step=2)

        assert (it.mailbox_id, it.subject, it.thread_ids) == (other, "Zażółć {{ name }}", None)

    def test_has_the_forecasts_time_and_the_mailbox_of_the_letter_before(self) -> None:
        row = a_sequence()
        opens_at = (make.now() + timedelta(hours=1)).replace(microsecond=0)  # as long as the forecasts may take
        Mailbox.update(closed_until=opens_at).execute()

        first, second = letters.of_lead(row), letters.of_lead(row, step=2)

        wait = waits.parsed("3 days")
        assert first.at == opens_at
        assert second.at == wait.due(wait.ends(first.at))
        assert (second.mailbox_id, second.step, second.email_id) == (first.mailbox_id, 2, None)
        assert when(row).endswith(", by the forecast if it is started now and nobody answers")

    def test_that_is_planned_has_its_own_time(self, smtp: SmtpServer) -> None:
        row = started(a_sequence(smtp.port))
        planning.plan_follow_ups()
        [row_of_it] = CampaignEmailQueue.select().where(CampaignEmailQueue.status == Status.PENDING)

        it = letters.of_lead(row, step=2)

        assert (it.at, it.email_id, it.status) == (row_of_it.scheduled_at, row_of_it.id, Status.PENDING)
        assert when(row).endswith(", planned")

    def test_that_is_planned_and_waits_for_a_person_says_so_first(self, smtp: SmtpServer) -> None:
        row = started(a_sequence(smtp.port))
        planning.plan_follow_ups()
        mailboxes.pause(letters.of_lead(row, step=2).mailbox_id, "ola", None)

        assert re.match(r"on hold until .*; planned for \d{4}-", when(row))

    def test_with_another_text_has_another_message_id_whatever_its_step_is_called(self) -> None:
        """After a restored backup, a step that is added again may get the id of one that was sent."""
        row = a_sequence()
        one = letters.of_lead(row, step=2).message_id

        CampaignStep.update(text="Another letter").where(CampaignStep.position == 2).execute()

        assert letters.of_lead(row, step=2).message_id != one

    def test_whose_time_nobody_knows_says_what_is_known(self, smtp: SmtpServer) -> None:
        row = a_sequence(smtp.port)
        Mailbox.update(daily_limit=0).execute()
        assert when(row) == "not known yet: 3 days after letter 1, if nobody answers"
        Mailbox.update(daily_limit=50).execute()
        row = started(row)
        Campaign.update(last_day=warsaw_day(make.now())).execute()

        ends_at = waits.parsed("3 days").ends(CampaignEmailQueue.get().sent_at)
        assert when(row) == f"not known yet: after {show.moment(ends_at)}, 3 days after letter 1"

    def test_of_a_lead_on_hold_says_until_when(self, smtp: SmtpServer) -> None:
        row = started(a_sequence(smtp.port))
        make.came_back(CampaignEmailQueue.get().id, "automatic")

        assert when(row).startswith("not known yet: on hold until ")

    def test_after_a_letter_of_which_nobody_knows_whether_it_was_sent_waits_for_that(self) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        row = campaigns.get(make.row(email_id).campaign_id)
        CampaignStep.insert(campaign=row.id, position=2, text="?", wait_count=1, wait_unit="hours").execute()

        assert when(row) == "not known yet: nothing follows until you decide whether letter 1 was sent"

    def test_to_a_lead_who_replied_is_never_sent_and_the_letter_before_was(self, smtp: SmtpServer) -> None:
        row = started(a_sequence(smtp.port))
        make.came_back(CampaignEmailQueue.get().id, "human")

        assert when(row) == "never: not written to any more: the lead replied"
        assert when(row, 1).startswith("sent 20")

    def test_that_was_added_behind_the_leads_place_is_never_sent(self, smtp: SmtpServer) -> None:
        row = started(a_sequence(smtp.port))
        planning.plan_follow_ups()
        send(row)
        later = CampaignStep.get(CampaignStep.position == 2)
        wait = waits.parsed("1 day")
        kept = LaterStep(waits.parsed("3 days"), later.subject, later.text, later.html)
        inserted, appended = LaterStep(wait, None, "Between", None), LaterStep(wait, None, "At the end", None)

        campaigns.edit(row.id, "tests", Edit(later_steps=[inserted, kept, appended]))

        past = "never: it was added when the lead was past its place in the sequence"
        assert [when(row, step)[: len(past)] for step in (2, 4)] == [past, past]
        assert when(row, 3).startswith("sent 20")


class TestTheCommand:
    def test_writes_raw_bytes_that_another_parser_reads(self) -> None:
        row = a_draft()
        lead = addresses(row)[1]

        raw = subprocess.run(
            [sys.executable, "-m", "admin", "campaign", "preview", row.name, "--lead", lead, "--eml"],
            capture_output=True,
            check=True,
            cwd=config.ROOT,
        ).stdout

        assert without_date(raw) == without_date(composed(row, lead))
        message = message_from_bytes(raw, policy=policy.default)
        assert message["To"] == lead
        body = message.get_body(("html",))
        assert body is not None
        assert body.get_content().strip() == f"<p>Jaźń Lead {lead}</p>"

    def test_shows_the_first_lead_where_none_is_named_and_changes_nothing(self) -> None:
        row = a_draft()

        result = admin("campaign", "preview", row.name)

        assert result.returncode == 0, result.stderr
        assert f"To: {addresses(row)[0]}" in result.stdout
        assert "by the forecast if it is started now" in result.stdout
        assert overview.counts()["pending"] == 0

    def test_shows_a_follow_up_and_its_html(self) -> None:
        row = a_sequence()
        [lead] = addresses(row)

        seen = done("campaign", "preview", row.name, "--step", "2")

        assert f"Subject: Re: Zażółć Lead {lead}\n" in seen
        assert "In-Reply-To: <" in seen
        assert re.search("letter +2", seen)
        raw = admin("campaign", "preview", row.name, "--step", "2", "--eml").stdout
        assert "text/html" in raw

    @pytest.mark.parametrize("step", ["0", "3", "5", "99999999999999"])
    def test_refuses_a_step_that_there_is_not_and_names_those_there_are(self, step: str) -> None:
        row = a_sequence(waits_for=("1 day", "2 days", "3 days"))
        CampaignStep.update(removed_at=make.now()).where(CampaignStep.position == 3).execute()

        result = admin("campaign", "preview", row.name, "--step", step)

        assert result.returncode == 1
        assert f"the campaign '{row.name}' has no letter {step}; its letters: 1, 2, 4" in result.stderr

    def test_names_lead_letter_and_field_where_none_can_be_composed(self) -> None:
        row = a_sequence()
        CampaignStep.update(text="{{ city }}").where(CampaignStep.position == 2).execute()
        CampaignLead.update(fields={"name": "Anna", "city": ""}).execute()

        result = admin("campaign", "preview", row.name, "--step", "2")

        assert result.returncode == 1
        assert f"letter 2 to {addresses(row)[0]} cannot be composed: " in result.stderr
        assert "'city'" in result.stderr
        assert "Zażółć Anna" in done("campaign", "preview", row.name)

    @pytest.mark.parametrize(
        ("lead", "complaint"),
        [
            ("eve@leads.example", "has no lead eve@leads.example"),
            ("eve", "'eve' is not an e-mail address"),
        ],
    )
    def test_refuses_a_lead_that_is_none_of_the_campaigns(self, lead: str, complaint: str) -> None:
        result = admin("campaign", "preview", a_draft().name, "--lead", lead)

        assert result.returncode == 1
        assert complaint in result.stderr

    def test_warns_of_placeholders_that_go_out_as_they_are_written(self) -> None:
        row = a_draft()
        CampaignStep.update(text="Dear {{ name }},\n{name}!").execute()

        assert "warning: text line 2: {name} goes out as it is written" in done("campaign", "preview", row.name)

    def test_refuses_a_campaign_without_leads(self) -> None:
        assert "has no leads" in admin("campaign", "preview", a_draft(leads=0).name).stderr
