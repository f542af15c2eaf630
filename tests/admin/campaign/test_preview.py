"""`campaign preview`: the very letter that is sent, before it is."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from dramatiq import get_broker

import config
from actors import deliver as pipeline
from actors import plan as planning
from mail import unsubscribe
from mail.compose import letter_of
from models.owner import campaigns, suppressions
from models.states import Status
from models.store import vault
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, CampaignStep
from models.views import letters, overview
from scheduling.window import Window
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
    mailboxes = [make.a_mailbox(f"{name}@sender.example", smtp_port=smtp_port) for name in ("ola", "jan")]
    row = Campaign.get_by_id(make.a_campaign(mailboxes, leads=leads, active=False, **campaign))  # type: ignore[arg-type]
    CampaignStep.update(text="Zażółć {{ name }},\n\n.gęślą\n", html="<p>Jaźń {{ name }}</p>").execute()
    return row


def composed(row: Campaign, address: str | None = None) -> bytes:
    return letter_of(letters.of_lead(row, address), make.now(), vault.derived_keys(unsubscribe.PURPOSE), "")


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
