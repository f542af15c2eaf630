"""The commands about a person, as they are typed: the legal basis, what is known, and forgetting."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import config
from actors.disk import forgotten
from admin import lead, show
from models.email import moves
from models.email.attempts import Conversation
from models.owner import arming, mail_tests
from models.people import forgetting, suppressions
from models.people.forgotten import keys_of
from models.states import Result
from models.store import database, installation
from models.store.tables import Campaign, CampaignLead, Installation, Lead
from tests import factories as make
from tests.admin.test_commands import CAMPAIGN, done, refused
from tests.admin.test_doctor import forgotten_mail
from tests.forking import admin

pytestmark = pytest.mark.usefixtures("db")
ANNA = "anna@leads.example"


def files(folder: Path, leads: str) -> tuple[str, ...]:
    make.a_mailbox("ola@sender.example")
    (folder / "autumn.toml").write_text(CAMPAIGN)
    (folder / "leads.csv").write_text(leads)
    return ("campaign", "add", str(folder / "autumn.toml"), "--leads", str(folder / "leads.csv"))


def known(address: str) -> Any:
    return json.loads(done("lead", "show", address, "--json"))


class TestTheLegalBasis:
    def test_comes_from_the_files_columns_and_else_from_the_options(self, tmp_path: Path) -> None:
        add = files(
            tmp_path,
            "email,name,legal_basis,legal_basis_source,legal_basis_date\n"
            "anna@leads.example,Anna,consent,our form,2020-09-01\n"
            "jan@leads.example,Jan,contract,,07.11.2020\n"
            "ewa@leads.example,Ewa,,,\n",
        )

        done(
            *add,
            "--legal-basis",
            "legitimate interest",
            "--legal-basis-source",
            "fair",
            "--legal-basis-date",
            "2020-10-01",
        )

        assert {it.address: str((it.legal_basis, it.legal_basis_source, str(it.legal_basis_date))) for it in Lead} == {
            "anna@leads.example": "('consent', 'our form', '2020-09-01')",
            "jan@leads.example": "('contract', None, '2020-11-07')",
            "ewa@leads.example": "('legitimate interest', 'fair', '2020-10-01')",
        }

    @pytest.mark.parametrize(
        ("row", "fault"),
        [
            ("consent,form,yesterday", "line 2, legal_basis_date: 'yesterday' is not a date like 2026-11-17"),
            ("consent,form,2026-02-30", "line 2, legal_basis_date: '2026-02-30' is not a date"),
            ("consent,form,11/17/2026", "line 2, legal_basis_date: '11/17/2026' is not a date"),
            ("consent,form,2099-12-31", "line 2, legal_basis_date: 2099-12-31 is in the future"),
            (",form,", "line 2, legal_basis: is empty, and has a source or a date"),
            (",,2020-09-01", "line 2, legal_basis: is empty, and has a source or a date"),
        ],
    )
    def test_that_cannot_be_read_is_told_with_its_line(self, tmp_path: Path, row: str, fault: str) -> None:
        header = "email,name,legal_basis,legal_basis_source,legal_basis_date"

        assert fault in refused(*files(tmp_path, f"{header}\nanna@leads.example,Anna,{row}\n"))

    def test_that_is_missing_where_it_is_required_is_told_when_the_campaign_is_added(self, tmp_path: Path) -> None:
        add = files(tmp_path, "email,name,legal_basis\nanna@leads.example,Anna,consent\njan@leads.example,Jan,\n")

        told = done(*add, PUNKTUAL_SENDING_REQUIRE_LEGAL_BASIS="auto")

        assert Installation.get().requires_legal_basis
        assert (
            "\n1 lead is without a legal basis, and so without an e-mail (sending.require_legal_basis): line 3\n"
            "added 'Autumn' with 2 leads, as a draft\n"
        ) in told
        done("lead", "basis", "JAN@leads.example", "--basis", "contract", "--source", "order 7", "--date", "2020-11-07")
        assert known("jan@leads.example")["basis"] == {"basis": "contract", "source": "order 7", "date": "2020-11-07"}

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            (("--basis", " "), "--basis: must have from 1 to 1000 characters"),
            (("--basis", "consent", "--date", "soon"), "--date: 'soon' is not a date"),
            (("--basis", "consent", "--source", "x" * 1001), "--source: must have from 1 to 1000"),
            (("--basis", "a\x07b"), "the basis has a control character"),
        ],
    )
    def test_that_cannot_be_kept_is_refused(self, options: tuple[str, ...], fault: str) -> None:
        make.a_campaign([make.a_mailbox()], [ANNA])

        assert fault in refused("lead", "basis", ANNA, *options)

    def test_of_the_options_is_whole(self, tmp_path: Path) -> None:
        add = files(tmp_path, "email,name\nanna@leads.example,Anna\n")

        assert "--legal-basis: is missing" in refused(*add, "--legal-basis-source", "our form")
        assert Lead.select().count() == 0


class TestWhatIsKnown:
    def test_is_shown_to_people_and_programs(self) -> None:
        make.a_campaign([make.a_mailbox()], [ANNA])
        Lead.update(legal_basis="consent").execute()
        suppressions.add("leads.example", "a customer", "ola")
        suppressions.add("@leads.example", "a customer", "ola")

        shown, told = done("lead", "show", "Anna@Leads.example"), known(ANNA)

        assert "consent" in shown
        assert "name: Lead anna@leads.example" in shown
        assert (told["suppressed"]["address"], told["campaigns"][0]["fields"]["email"]) == ("@leads.example", ANNA)

    def test_has_each_letter_with_its_id_and_the_subject_that_it_had(self) -> None:
        sent = a_letter_to(ANNA, "Hello Anna")
        make.an_email(leads=[ANNA])

        shown, told = done("lead", "show", ANNA), known(ANNA)

        later, first = told["emails"]
        assert (first["id"], first["subject"]) == (sent, "Hello Anna")
        assert first["message_id"] == make.row(sent).message_id
        assert later["subject"] is None
        assert "Hello Anna" in shown
        assert make.row(sent).message_id in shown

    def test_has_what_came_back_whomevers_letter_it_answered(self) -> None:
        theirs, jans = a_letter_to(ANNA, "Hello"), a_letter_to("jan@leads.example", "Hello")
        make.came_back(theirs, "automatic", "receipt", excerpt="I have read it")
        make.came_back(jans, "human", sender=ANNA, excerpt="Jan is on\nholiday, I am not")
        make.came_back(jans, "human", excerpt="Jan's own")

        shown, told = done("lead", "show", ANNA), known(ANNA)

        assert [(it["class_name"], it["excerpt"], it["folder"]) for it in told["incoming"]] == [
            ("human", "Jan is on\nholiday, I am not", "INBOX"),
            ("automatic", "I have read it", "INBOX"),
        ]
        assert {"received_at", "mailbox", "sender", "subject", "evidence", "suppressed"} <= told["incoming"][0].keys()
        assert "Jan is on holiday, I am not" in shown
        assert f"e-mail {jans} to jan@leads.example" in shown
        assert "I have read it" in shown
        assert "Jan's own" not in shown

    def test_has_the_holds_and_test_letters(self) -> None:
        email_id = a_letter_to(ANNA, "Hello")
        make.came_back(email_id, "human")
        mail_tests.begin(None, make.a_mailbox("eva@sender.example"), ANNA, "ola")

        shown, told = done("lead", "show", ANNA), known(ANNA)

        [hold], [test] = told["holds"], told["tests"]
        assert (hold["stops"], hold["until"], hold["reason"]) == (True, None, "the lead replied")
        assert (test["mailbox"], test["outcome"]) == ("eva@sender.example", None)
        assert "for good" in shown
        assert test["message_id"] in shown

    def test_of_a_stranger_is_what_they_wrote(self) -> None:
        make.came_back(
            a_letter_to("jan@leads.example", "Hello"), "unsubscribe", sender=ANNA, match=None, matched_by=None
        )

        shown, told = done("lead", "show", ANNA), known(ANNA)

        assert (told["since"], told["emails"], len(told["incoming"])) == (None, [], 1)
        assert told["suppressed"]["address"] == ANNA
        assert "no lead" in shown

    def test_fits_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        email_id = a_letter_to(ANNA, "A subject of more words than fit into one line of a narrow terminal, says Anna")
        make.came_back(email_id, "human", excerpt="words " * 150)
        mail_tests.begin(None, make.a_mailbox("eva@sender.example"), ANNA, "ola")
        screen = Console(width=80, force_terminal=True, color_system=None)
        monkeypatch.setattr(show, "console", screen)

        with screen.capture() as captured:
            lead.show_(ANNA)

        shown = captured.get()
        assert max(map(len, shown.splitlines())) <= 80
        assert shown.count("words") == 151
        assert make.row(email_id).message_id in "".join(shown.split())

    def test_of_nobody_is_told_in_one_line(self) -> None:
        assert refused("lead", "show", ANNA) == f"punktual: there is no lead {ANNA}"


def a_letter_to(address: str, subject: str) -> int:
    """A sent e-mail."""
    email_id = make.an_email(leads=[address])
    claim = make.claimed(email_id)
    assert moves.hand_over(claim.held, f"Subject: {subject}\r\nTo: {address}\r\n\r\nHello".encode()) is None
    moves.accept(claim.held, Conversation(Result.ACCEPTED, "dot", code=250, reply="ok"))
    return email_id


class TestForgetting:
    def test_prints_a_receipt_without_the_address_and_writes_it_to_a_new_file(self, tmp_path: Path) -> None:
        email_id = make.an_email(leads=[ANNA])
        receipt = tmp_path / "receipt.txt"

        told = done("lead", "forget", "Anna@LEADS.example", "--receipt", str(receipt))

        [row] = Lead.select()
        assert row.address in told
        assert "anna" not in told.lower()
        assert "counts and times of 1 e-mails" in told
        assert receipt.read_text() == told
        assert receipt.stat().st_mode & 0o777 == 0o600
        assert forgotten.keys() == [row.address]
        assert ANNA.encode() not in b"".join(it.read_bytes() for it in journal().iterdir())
        assert "forgotten" in done("lead", "show", ANNA)
        assert make.row(email_id).status == "cancelled"

    def test_names_other_leads_in_whose_columns_the_address_stands(self) -> None:
        make.an_email(leads=[ANNA])
        make.an_email(leads=["jan@leads.example"])
        make.an_email(leads=["eva@leads.example"])
        for address, other in (("jan@leads.example", ANNA.title()), ("eva@leads.example", f"jo{ANNA}")):
            CampaignLead.update(fields={"colleague": other}).where(CampaignLead.address == address).execute()

        told = admin("lead", "forget", ANNA)

        assert told.stderr == (
            "the address also stands in columns of other leads, which were not changed: jan@leads.example\n"
        )
        assert told.returncode == 0

    def test_is_refused_before_anything_where_the_receipt_cannot_be_written(self, tmp_path: Path) -> None:
        make.an_email(leads=[ANNA])
        (tmp_path / "there").write_text("")

        for path in (tmp_path / "there", tmp_path / "no" / "folder"):
            refused("lead", "forget", ANNA, "--receipt", str(path))

        assert Lead.get().address == ANNA
        assert suppressions.every() == []

    def test_of_whom_an_e_mail_is_being_sent_is_refused_and_leaves_no_receipt(self, tmp_path: Path) -> None:
        make.claimed(make.an_email(leads=[ANNA]))

        reason = refused("lead", "forget", ANNA, "--receipt", str(tmp_path / "receipt.txt"))

        assert "is being sent" in reason
        assert not (tmp_path / "receipt.txt").exists()
        assert [it.address for it in suppressions.every()] == [ANNA]

    def test_is_refused_whole_where_the_machines_disk_does_not_keep_the_hash(self) -> None:
        make.an_email(leads=[ANNA])
        path = journal() / f"forgotten-{database.fetch('SELECT id FROM installation')[0][0]}.jsonl"
        path.mkdir(parents=True)

        assert "cannot be kept on this machine's disk: Is a directory" in refused("lead", "forget", ANNA)

        assert Lead.get().address == ANNA

    def test_is_repeated_by_arm_after_a_restored_backup(self) -> None:
        make.an_email(leads=[ANNA])
        done("lead", "forget", ANNA)
        [key] = forgotten.keys()
        # A backup from before.
        Lead.update(address=ANNA, forgotten_at=None).execute()
        CampaignLead.update(address="Anna@leads.example", fields={"name": "Anna"}).execute()
        database.execute("DELETE FROM suppression")
        doctor = admin("doctor")
        assert "FAIL  the database has forgotten the people that this machine forgot: it knows some" in doctor.stdout

        assert done("arm").splitlines()[0] == "people who were forgotten and are forgotten again: 1"

        assert (Lead.get().address, CampaignLead.get().fields) == (key, {})
        assert forgetting.is_repeated([key])
        assert "FAIL" not in admin("doctor").stdout

    def test_is_repeated_after_what_the_backup_forgot_of_their_e_mails_is_recovered(self) -> None:
        """By the fingerprint of their address, which has to be there for that."""
        email_id = forgotten_mail()
        address = Lead.get().address
        forgotten.note(keys_of(address)[0])

        done("arm", "--forgotten-as", "sent")

        assert make.row(email_id).status == "sent"
        assert Lead.get().address == keys_of(address)[0]

    def test_of_whom_the_backup_was_sending_an_e_mail_leaves_all_disarmed_until_that_is_settled(self) -> None:
        address = "jan@leads.example"
        claim = make.claimed(make.an_email(leads=[address]))
        forgotten.note(keys_of(address)[0])
        arming.disarm("a backup was restored", "tests")

        assert "is being sent" in refused("arm")

        assert installation.disarmed_reason() is not None
        moves.release(claim.held, "its worker died")
        assert done("arm", "--anyway").endswith("armed\n")
        assert Lead.get().address == keys_of(address)[0]

    def test_a_campaign_is_added_without_who_was_forgotten(self, tmp_path: Path) -> None:
        make.an_email(leads=[ANNA])
        done("lead", "forget", ANNA)

        told = done(*files(tmp_path, "email,name\nanna@leads.example,Anna\njan@leads.example,Jan\n"))

        assert "\n1 lead is forgotten, and so not imported: line 2\nadded 'Autumn' with 1 lead, as a draft\n" in told

    def test_a_campaign_of_forgotten_people_alone_is_not_added(self, tmp_path: Path) -> None:
        make.an_email(leads=[ANNA])
        done("lead", "forget", ANNA)

        said = refused(*files(tmp_path, "email,name\nanna@leads.example,Anna\n"))

        assert said == "punktual: leads.csv: no lead is left, so 'Autumn' was not added"
        assert Campaign.select().where(Campaign.name == "Autumn").count() == 0


def journal() -> Path:
    return config.settings().var / "journal"
