"""What `email list` writes for spreadsheets and programs, and `campaign report`."""

import csv
import io
import json
import subprocess
import sys
from datetime import timedelta

import pytest

import config
from models.email import moves
from models.owner import campaigns, mailboxes
from models.states import Status
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead
from models.views import exports, found_leads, reports
from tests import factories as make
from tests.admin.test_commands import done, read, refused

pytestmark = pytest.mark.usefixtures("db")
HOSTILE = [
    "=1+1",
    "+48 600 700 800",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    " =1",
    "\uff1d1",
    '=HYPERLINK("http://evil.example","x")',
]
HARMLESS = ["Anna", "-5", "3,5", "Kłos, Sp. z o.o.", 'the "best"', "two\nlines", "a=b", ""]


def a_campaign(*values: str) -> Campaign:
    """Each lead with one of the values in its column `company`; each with a pending mail."""
    box = make.a_mailbox()
    campaign_id = make.a_campaign([box], leads=len(values))
    leads = CampaignLead.select().where(CampaignLead.campaign == campaign_id).order_by(CampaignLead.position)
    for lead, value in zip(leads, values, strict=True):
        CampaignLead.update(fields={"email": lead.address, "company": value, "status": "vip"}).where(
            CampaignLead.id == lead.id
        ).execute()
    make.planned(campaign_id, box, *[make.now() + timedelta(minutes=it) for it in range(len(values))])
    return Campaign.get_by_id(campaign_id)


def raw(*options: str) -> bytes:
    command = [sys.executable, "-m", "admin", "email", "list", "--csv", *options]
    return subprocess.run(command, cwd=config.ROOT, capture_output=True, check=True).stdout


class TestAList:
    def test_says_why_it_is_empty_right_after_the_start(self) -> None:
        row = Campaign.get_by_id(make.a_campaign([make.a_mailbox()], leads=1))

        command = [sys.executable, "-m", "admin", "email", "list", "--csv", "--campaign", row.name]
        told = subprocess.run(command, cwd=config.ROOT, capture_output=True, check=True, text=True)

        assert len(told.stdout.splitlines()) == 1
        assert (
            told.stderr == f"no e-mail of {row.name!r} is planned yet: they are planned within a minute of its start\n"
        )

    def test_is_searched_by_a_part_of_a_leads_columns(self) -> None:
        a_campaign("Piekarnia Kłos", "Dom")

        found = json.loads(done("email", "list", "--search", "klos", "--json"))

        assert [it["fields"]["company"] for it in found] == ["Piekarnia Kłos"]
        assert [it["campaign_lead_id"] for it in json.loads(done("lead", "find", "karnia", "--json"))] == (
            found_leads.places("KŁOS")
        )
        assert "at least 3 characters" in refused("email", "list", "--search", "kł")


def rows(content: bytes, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter))


class TestACsvFile:
    @pytest.mark.parametrize(("option", "delimiter"), [((), ","), (("--semicolons",), ";")])
    def test_has_a_byte_order_mark_and_the_leads_own_columns(self, option: tuple[str, ...], delimiter: str) -> None:
        row = a_campaign(*HARMLESS)

        content = raw("--campaign", row.name, *option)

        assert content.startswith(b"\xef\xbb\xbfid" + delimiter.encode())
        found = rows(content, delimiter)
        assert [it["company"] for it in found] == HARMLESS
        assert {it["status"] for it in found} == {"pending"}
        assert {it["lead_status"] for it in found} == {"vip"}
        assert [it["email"] for it in found] == [it["lead"] for it in found]

    def test_has_no_cell_that_a_spreadsheet_would_compute(self) -> None:
        a_campaign(*HOSTILE)

        found = rows(raw())

        assert [it["company"] for it in found] == [f"'{it}" for it in HOSTILE]

    def test_has_no_control_character_and_no_error_that_is_a_formula(self) -> None:
        email_id, held = make.in_status(Status.SENDING)
        moves.reject(held, make.no(None, "=cmd|' /C calc'!A0 \x1b[2J"))

        [found] = rows(raw())

        assert found["id"] == str(email_id)
        assert found["error"] == "'=cmd|' /C calc'!A0 \ufffd[2J"

    def test_has_all_of_them_page_by_page_unless_some_are_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exports, "_PORTION", 2)
        a_campaign("a", "b", "c", "d", "e")

        assert [it.fields["company"] for it in exports.emails()] == ["a", "b", "c", "d", "e"]
        assert [it.fields["company"] for it in exports.emails(limit=3)] == ["a", "b", "c"]

    def test_of_nothing_has_its_header_only(self) -> None:
        assert rows(raw()) == []


def test_json_has_the_leads_own_columns_too() -> None:
    a_campaign("Piekarnia Kłos")

    [found] = read("email", "list")

    assert found["fields"]["company"] == "Piekarnia Kłos"
    assert found["status"] == "pending"


def test_semicolons_without_a_csv_file_are_refused() -> None:
    assert "either --csv or --json" in refused("email", "list", "--csv", "--json")
    assert "--semicolons wants --csv" in refused("email", "list", "--semicolons")


class TestAReport:
    def test_counts_what_came_of_each_mail(self) -> None:
        row = a_campaign("a", "b", "c", "d", "e")
        Q = CampaignEmailQueue
        first, second, third, fourth, _ = (it.id for it in Q.select().order_by(Q.id))
        outcomes = [(first, make.YES), (second, make.no(550, "5.1.1 no such user")), (third, make.no(550, "spam"))]
        for late, (email_id, told) in enumerate(outcomes):
            Q.update(scheduled_at=make.now()).where(Q.id == email_id).execute()
            make.rested(row.id)
            claim = make.handed_over(email_id)
            (moves.accept if told is make.YES else moves.reject)(claim.held, told)
            Q.update(scheduled_at=Q.claimed_at - timedelta(seconds=100 * late)).where(Q.id == email_id).execute()
        moves.cancel(fourth, "a test", "tests")

        found = reports.of(row)

        assert {status: count for status, count in found.counts.items() if count} == {
            "sent": 1,
            "failed": 2,
            "cancelled": 1,
            "pending": 1,
        }
        assert [(it.scope, it.code, it.count) for it in found.failures] == [("lead", 550, 2)]
        assert (found.lateness.begun, found.lateness.median, found.lateness.worst) == (3, 100, 200)
        assert found.lateness.over_a_minute == 2
        assert found.not_planned == 0

    def test_reads_in_the_terminal_and_as_json(self) -> None:
        email_id, _ = make.in_status(Status.FAILED)
        name = Campaign.get_by_id(make.row(email_id).campaign_id).name

        printed, values = done("campaign", "report", name), read("campaign", "report", name)

        assert "550" in printed
        assert values["counts"]["failed"] == 1
        assert values["failures"][0]["code"] == 550
        assert json.dumps(values)

    def test_tells_how_many_leads_answered_bounced_and_unsubscribed(self) -> None:
        row = Campaign.get_by_id(make.a_campaign([make.a_mailbox()], leads=3, delay=0.001))
        box = mailboxes.of_campaign(row.id)[0].id
        classes = [("human", None), ("bounce", "address"), ("unsubscribe", None)]
        for email_id, (its, kind) in zip(make.planned(row.id, box, *[make.now()] * 3), classes, strict=True):
            moves.accept(make.handed_over(email_id).held, make.YES)
            make.rested(row.id)
            make.came_back(email_id, its, kind)

        found = reports.of(row).responses

        assert (found.replied, found.bounced, found.unsubscribed) == (1, 1, 1)
        assert "1 replied" in done("campaign", "report", row.name)

    def test_of_a_draft_says_that_nothing_was_begun(self) -> None:
        make.a_campaign([make.a_mailbox()], active=False)

        printed = done("campaign", "report", Campaign.get().name)

        assert "none was begun" in printed
        assert campaigns.find(Campaign.get().name).status == "draft"
