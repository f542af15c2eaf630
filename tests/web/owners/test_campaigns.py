"""The pages on which a campaign is written, given its leads, looked at, changed, copied and deleted."""

import re
from datetime import timedelta
from typing import Any

import pytest

from models.owner import campaigns, mailboxes
from models.people import lead_uploads
from models.states import CampaignStatus, Status
from models.store import database
from models.store.tables import Campaign, CampaignLead, CampaignStep, ColumnMapping
from tests import factories as make
from tests.spreadsheets import workbook
from tests.web.owners.conftest import Owner, text, typed, wrong

OLA = "ola@sender.example"
LEADS = b"email,name\nanna@leads.example,Anna\njan@leads.example,Jan\n"


def a_form(**fields: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "name": "Autumn",
        "subject": "Hello {{ name }}",
        "text": "Dear {{ name }},\r\nhow are you?",
        "mailboxes": [OLA],
        "window_start": "00:00",
        "window_end": "24:00",
        "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "send_on_holidays": "yes",
        "delay_between_emails_seconds": "60",
        "daily_limit": "80",
    }
    return {**usual, **fields}


def a_draft(leads: int = 0) -> Campaign:
    mailbox_id = make.a_mailbox()
    return campaigns.get(make.a_campaign([mailbox_id], leads=leads, active=False))


def form_of(row: Campaign, **fields: Any) -> dict[str, Any]:
    """What its edit page sends if nothing is touched."""
    subject, body, _ = campaigns.letter(row.id)
    boxes = [it.address for it in mailboxes.of_campaign(row.id)]
    return a_form(
        **{"name": row.name, "subject": subject, "text": body, "mailboxes": boxes, "daily_limit": "1000", **fields}
    )


class TestANewCampaign:
    def test_wants_a_mailbox_first(self, owner: Owner) -> None:
        assert "A campaign needs a mailbox" in owner.sees("/campaigns/new")

    def test_is_a_draft_that_is_given_its_leads_next(self, owner: Owner) -> None:
        make.a_mailbox(OLA)

        where = owner.may("/campaigns/new", **a_form(html="<p>Dear {{ name }}</p>", end_date="2099-12-31"))

        row = campaigns.find("Autumn")
        assert where == f"/campaigns/{row.id}/leads"
        assert (row.status, row.daily_limit, row.window_end_minute) == (CampaignStatus.DRAFT, 80, 1440)
        assert campaigns.letter(row.id) == (
            "Hello {{ name }}",
            "Dear {{ name }},\nhow are you?",
            "<p>Dear {{ name }}</p>",
        )

    @pytest.mark.parametrize(
        ("fields", "where", "said"),
        [
            ({"name": ""}, "name", "Is missing"),
            ({"name": "a\x07"}, "name", "control"),
            ({"subject": ""}, "subject", "Is missing"),
            ({"subject": "Hello {{ name"}, "subject", "subject line 1"),
            ({"text": ""}, "text", "Is missing"),
            ({"text": "Dear {{ name|reverse }}"}, "text", "the filter &#39;reverse&#39; is not one of"),
            ({"text": "Dear {{ unsubscribe_url }}"}, "text", "needs a public page"),
            ({"html": "<p>{% for x in y %}"}, "html", "html line 1"),
            ({"mailboxes": []}, "mailboxes", "Must not be empty"),
            ({"mailboxes": ["3"]}, "mailboxes", "'3' is not an e-mail address"),
            ({"mailboxes": ["x@y.example"]}, "mailboxes", "there is no mailbox"),
            ({"window_start": "9"}, "window_start", "is not a time of day like 09:00"),
            ({"window_start": "17:00", "window_end": "09:00"}, "window_end", "Must be later than the start"),
            ({"weekdays": []}, "weekdays", "Must not be empty"),
            ({"weekdays": ["x"]}, "weekdays", "is not one of mon"),
            ({"delay_between_emails_seconds": "0"}, "delay_between_emails_seconds", "Must be at least 0.001"),
            ({"delay_between_emails_seconds": "x"}, "delay_between_emails_seconds", "Must be a number"),
            ({"daily_limit": "1.5"}, "daily_limit", "Must be a whole number"),
            ({"daily_limit": ""}, "daily_limit", "Is missing"),
            ({"end_date": "31.12.2099"}, "end_date", "is not a day like"),
            ({"end_date": "2020-12-31"}, "end_date", "2020-12-31 is over"),
        ],
    )
    def test_that_is_wrong_is_told_beside_its_field_and_what_was_typed_is_kept(
        self, owner: Owner, fields: dict[str, Any], where: str, said: str
    ) -> None:
        make.a_mailbox(OLA)
        form = a_form(**fields)

        page = owner.may_not("/campaigns/new", **form)

        assert said.lower() in wrong(page)[where].lower() or said in page
        assert typed(page, "window_start") == form["window_start"]
        assert "how are you?" in page or "text" in fields
        assert not Campaign.select().exists()

    def test_of_a_name_that_there_is_is_refused_in_polish_too(self, owner: Owner) -> None:
        make.a_mailbox(OLA)
        owner.may("/campaigns/new", **a_form())

        page = owner.may_not("/campaigns/new?lang=pl", **a_form())

        assert wrong(page)["name"] == "Kampania 'Autumn' już istnieje."

    @pytest.mark.parametrize(
        ("name", "typed", "said"),
        [
            ("subject", "Hello {{ name }", "Temat, wiersz 1: {{ name } nie ma dwóch"),
            ("text", "Hello {{ name", "Tekst, wiersz 1: pole lub warunek nie są zamknięte."),
            ("delay_between_emails_seconds", "0", "Musi wynosić co najmniej 0,001."),
            ("daily_limit", "9999999", "Musi wynosić najwyżej 1\xa0000\xa0000."),
        ],
    )
    def test_that_is_wrong_is_told_in_polish(self, owner: Owner, name: str, typed: str, said: str) -> None:
        make.a_mailbox(OLA)

        page = owner.may_not("/campaigns/new?lang=pl", **a_form(**{name: typed}))

        assert wrong(page)[name].startswith(said)

    def test_takes_its_letter_from_files(self, owner: Owner) -> None:
        make.a_mailbox(OLA)
        files = {"text_file": ("Zażółć {{ name }}\r\n".encode(), "letter.txt"), "html_file": (b"<p>Hi</p>", "a.html")}

        owner.may("/campaigns/new", files, **a_form(text=""))

        assert campaigns.letter(campaigns.find("Autumn").id)[1:] == ("Zażółć {{ name }}\n", "<p>Hi</p>")

    @pytest.mark.parametrize("content", ["Zażółć".encode("cp1250"), "Zażółć".encode("utf-16"), b"\x00\x01\x02\xff"])
    def test_refuses_a_letter_that_is_no_utf8_text(self, owner: Owner, content: bytes) -> None:
        make.a_mailbox(OLA)

        page = owner.may_not("/campaigns/new", {"text_file": (content, "../../letter.txt")}, **a_form())

        assert "letter.txt" in wrong(page)["text_file"]
        assert "../" not in wrong(page)["text_file"]

    def test_takes_the_longest_letter_and_no_longer_form(self, owner: Owner) -> None:
        make.a_mailbox(OLA)

        owner.may("/campaigns/new", {"html_file": (b"", "")}, **a_form(text="ż" * 190_000))
        assert owner.sends("/campaigns/new", **a_form(text="x" * 3_000_000)).status_code == 413
        assert owner.sends("/suppressions", address="x" * 100_000).status_code == 413


class TestLeads:
    def upload(self, owner: Owner, row: Campaign, content: bytes = LEADS, name: str = "leads.csv") -> str:
        """The page that then checks them."""
        return owner.sees(owner.may(f"/campaigns/{row.id}/leads", {"file": (content, name)}, step="upload"))

    def test_are_uploaded_seen_and_imported(self, owner: Owner) -> None:
        row = a_draft()

        page = self.upload(owner, row)
        assert "UTF-8 text, columns separated by commas" in page
        assert "2 anna@leads.example Anna" in page
        assert "2 new leads" in page
        assert not CampaignLead.select().exists()
        where = owner.may(f"/campaigns/{row.id}/leads", step="import")

        assert where == f"/campaigns/{row.id}/calendar"
        assert {it.address for it in CampaignLead.select()} == {"anna@leads.example", "jan@leads.example"}
        assert lead_uploads.of(row.id) is None

    def test_are_read_from_a_spreadsheet_with_people_s_headers(self, owner: Owner) -> None:
        row = a_draft()
        content = workbook({"Klienci": [["Adres e-mail", "Imię"], ["anna@leads.example", "Anna"]]})

        page = self.upload(owner, row, content, "klienci.xlsx")
        assert "anna@leads.example Anna" in page
        owner.may(f"/campaigns/{row.id}/leads", step="import")

        [lead] = CampaignLead.select()
        assert lead.fields["name"] == "Anna"
        assert ColumnMapping.select().count() == 1

    def test_whose_columns_nobody_can_guess_are_asked_about_and_remembered(self, owner: Owner) -> None:
        row = a_draft()
        content = b"Kontakt,Kto\nanna@leads.example,Anna\n"

        page = self.upload(owner, row, content)
        assert "Choose the column of the addresses" in page
        owner.may(f"/campaigns/{row.id}/leads", step="columns", **{"column-email": "0", "column-name": "1"})
        assert "1 new lead" in owner.sees(f"/campaigns/{row.id}/leads")
        owner.may(f"/campaigns/{row.id}/leads", step="import")

        assert CampaignLead.get().fields == {"email": "anna@leads.example", "name": "Anna"}
        assert "1 is there already" in self.upload(owner, row, content)

    def test_that_cannot_be_used_are_listed_and_left_out_only_if_agreed_to(self, owner: Owner) -> None:
        row = a_draft()
        content = LEADS + b"nobody,X\njan@leads.example,Again\npiotr@leads.example,\n"

        page = self.upload(owner, row, content)
        assert "2 rows cannot be used" in page
        assert "line 4: email: &#39;nobody&#39; is not an e-mail address" in page
        assert "line 5: jan@leads.example, as in line 3" in page
        refused = owner.may_not(f"/campaigns/{row.id}/leads", step="import")
        assert wrong(refused) == {"skip_bad": "Agree to leave these rows out, or correct the file."}
        bad = owner.browser.get(f"/campaigns/{row.id}/leads/errors.csv").text.splitlines()
        assert [it.partition(",")[0] for it in bad] == ["email", "nobody", "piotr@leads.example"]
        owner.may(f"/campaigns/{row.id}/leads", step="import", skip_bad="yes")

        assert CampaignLead.select().count() == 2

    def test_in_hidden_rows_of_a_spreadsheet_are_told_and_left_out_if_wanted(self, owner: Owner) -> None:
        row = a_draft()
        rows = [("email", "name", "Rabat"), ("a@leads.example", "A", 1), ("b@leads.example", "B", 2)]

        page = self.upload(owner, row, workbook({"A": rows}, hidden_rows=[3], hidden_columns=[3]))
        assert "1 row is hidden in the spreadsheet, as by a filter, and will be imported" in page
        assert "Columns that are hidden in the spreadsheet, and will be imported Rabat" in page
        owner.may(f"/campaigns/{row.id}/leads", step="import", skip_hidden="yes")

        assert [it.address for it in CampaignLead.select()] == ["a@leads.example"]

    def test_that_another_campaign_wrote_to_lately_are_told_and_left_out_if_wanted(self, owner: Owner) -> None:
        make.in_status(Status.SENT)
        mailed = CampaignLead.get().address
        row = a_draft()

        page = self.upload(owner, row, f"email,name\n{mailed},A\nnew@leads.example,B\n".encode())
        assert "1 lead was written to by another campaign" in page
        owner.may(f"/campaigns/{row.id}/leads", step="import", skip_recent="yes")

        assert [it.address for it in CampaignLead.select().where(CampaignLead.campaign == row.id)] == [
            "new@leads.example"
        ]

    def test_get_the_legal_basis_that_a_person_names(self, owner: Owner) -> None:
        row = a_draft()
        self.upload(owner, row)

        page = owner.may_not(f"/campaigns/{row.id}/leads", step="import", legal_basis="consent", legal_basis_date="x")
        assert "is not a date" in wrong(page)["legal_basis_date"]
        owner.may(f"/campaigns/{row.id}/leads", step="import", legal_basis="consent", legal_basis_source="form")

        assert {it.lead.legal_basis for it in CampaignLead.select()} == {"consent"}

    def test_join_a_running_campaign_behind_its_own(self, owner: Owner) -> None:
        row = campaigns.get(make.a_campaign([make.a_mailbox()], leads=1))
        self.upload(owner, row)

        assert owner.may(f"/campaigns/{row.id}/leads", step="import") == f"/campaigns/{row.id}"

        assert CampaignLead.select().where(CampaignLead.campaign == row.id).count() == 3

    @pytest.mark.parametrize(
        ("content", "name", "said"),
        [
            (b"email,name\n", "leads.csv", "there is no"),
            (b"name\nAnna\n", "leads.csv", "Choose the column"),
            (b"anna@leads.example,Anna\n", "leads.csv", "the header is missing"),
            (b"\xd0\xcf\x11\xe0old", "old.xls", "before 2007"),
            (b"PK\x03\x04broken", "a.xlsx", "cannot be read as a spreadsheet"),
            (b"\x00" * 100, "a.csv", "a.csv"),
            (b'email,name\n"a@b.example,x\n' * 3, "a.csv", "quote"),
        ],
    )
    def test_of_a_file_that_is_none_are_refused_in_one_sentence(
        self, owner: Owner, content: bytes, name: str, said: str
    ) -> None:
        row = a_draft()

        page = self.upload(owner, row, content, name)

        assert said.lower() in page.lower()
        assert not CampaignLead.select().exists()

    def test_of_no_file_and_of_too_large_a_one_are_refused(self, owner: Owner) -> None:
        row = a_draft()
        path = f"/campaigns/{row.id}/leads"

        assert wrong(owner.may_not(path, step="upload")) == {"file": "Choose a file."}
        assert wrong(owner.may_not(path, {"file": (b"", "a.csv")}, step="upload")) == {"file": "The file is empty."}
        large = owner.may_not(path, {"file": (b"x" * (lead_uploads.LARGEST + 1), "a.csv")}, step="upload")
        assert wrong(large) == {"file": "Is larger than 20 MB."}

    def test_uploaded_yesterday_are_gone_and_another_file_replaces_them(self, owner: Owner) -> None:
        row = a_draft()
        self.upload(owner, row)
        owner.may(f"/campaigns/{row.id}/leads", step="drop")
        assert lead_uploads.of(row.id) is None
        self.upload(owner, row)

        database.execute("UPDATE lead_upload SET at = at - interval '25 hours'")

        assert lead_uploads.of(row.id) is None

    def test_with_scripts_in_them_are_shown_as_text(self, owner: Owner) -> None:
        row = a_draft()
        owner.may(
            f"/campaigns/{row.id}/leads",
            {"file": (b"email,name\na@b.example,<script>alert(1)</script>\n", "<script>.csv")},
            step="upload",
        )

        assert "<script>alert" not in owner.browser.get(f"/campaigns/{row.id}/leads").text


class TestACalendar:
    def test_tells_a_draft_s_days_and_what_limits_it(self, owner: Owner) -> None:
        row = a_draft(leads=3)
        Campaign.update(daily_limit=2).where(Campaign.id == row.id).execute()

        page = owner.sees(f"/campaigns/{row.id}/calendar")

        assert "3 e-mails are to go." in page
        assert "Held by daily_limit 2" in page

    def test_starts_the_campaign(self, owner: Owner) -> None:
        row = a_draft(leads=1)

        assert "Start the campaign" in owner.sees(f"/campaigns/{row.id}/calendar")
        owner.may(f"/campaigns/{row.id}/start")

        assert campaigns.get(row.id).status == CampaignStatus.ACTIVE

    def test_of_a_draft_without_leads_cannot_be_started(self, owner: Owner) -> None:
        row = a_draft()

        assert "It has no leads yet." in owner.sees(f"/campaigns/{row.id}/calendar")
        answer = owner.sends(f"/campaigns/{row.id}/start")

        assert (answer.status_code, campaigns.get(row.id).status) == (409, CampaignStatus.DRAFT)
        assert "has no leads" in text(answer.text)

    def test_of_a_draft_whose_letter_does_not_fit_a_lead_cannot_be_started(self, owner: Owner) -> None:
        row = a_draft(leads=1)
        CampaignStep.update(text="Dear {{ company }}").execute()
        CampaignLead.update(fields={"name": "Anna", "company": ""}).execute()

        answer = owner.sends(f"/campaigns/{row.id}/start")
        told = owner.browser.post(f"/api/campaigns/{row.id}/start", json={})

        assert (answer.status_code, told.status_code) == (409, 409)
        assert campaigns.get(row.id).status == CampaignStatus.DRAFT
        assert "&#39;company&#39; is empty: fill it in" in text(answer.text)
        assert "'company' is empty: fill it in" in (told.json or {})["message"]


class TestAnEdit:
    def test_of_a_draft_is_saved_at_once(self, owner: Owner) -> None:
        row = a_draft(leads=1)

        owner.may(
            f"/campaigns/{row.id}/edit", **form_of(row, name="Winter", text="Dear {{ name }}, bye", daily_limit="5")
        )

        changed = campaigns.get(row.id)
        assert (changed.name, changed.daily_limit) == ("Winter", 5)
        assert campaigns.letter(row.id)[1] == "Dear {{ name }}, bye"

    def test_shows_what_the_campaign_is(self, owner: Owner) -> None:
        row = a_draft()

        page = owner.browser.get(f"/campaigns/{row.id}/edit").text

        assert typed(page, "name") == row.name
        assert typed(page, "daily_limit") == "1000"
        assert re.search(r'value="mon" checked', page)

    def test_shows_placeholders_that_go_out_as_they_are_written_wherever_the_letter_is_looked_at(
        self, owner: Owner
    ) -> None:
        told = "goes out as it is written; for a lead&#39;s field write {{ name }}."
        row = a_draft(leads=1)

        owner.may(f"/campaigns/{row.id}/edit", **form_of(row, text="Dear {{ name }},\n[name]"))
        assert f"Text line 2: [name] {told}" in owner.sees(f"/campaigns/{row.id}")
        upload = {"file": (LEADS, "leads.csv")}
        assert f"Text line 2: [name] {told}" in owner.sees(
            owner.may(f"/campaigns/{row.id}/leads", upload, step="upload")
        )
        campaigns.start(row.id, "tests")
        difference = owner.sends(f"/campaigns/{row.id}/edit", **form_of(row, text="Dear {{ name }},\n\n%name%"))
        assert f"Text line 3: %name% {told}" in text(difference.text)

    def test_of_a_running_campaign_shows_the_calendar_s_difference_first(self, owner: Owner) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        make.planned(campaign_id, mailbox_id, *(make.now() + timedelta(minutes=n) for n in (1, 2, 3)))
        row = campaigns.get(campaign_id)

        answer = owner.sends(f"/campaigns/{row.id}/edit", **form_of(row, daily_limit="1"))
        assert answer.status_code == 200
        assert "planned e-mails move" in text(answer.text)
        assert campaigns.get(row.id).daily_limit == 1000
        [agreed] = re.findall(r'name="agreed" value="(\w+)"', answer.text)
        other = owner.sends(f"/campaigns/{row.id}/edit", **form_of(row, daily_limit="2"), agreed=agreed)
        assert other.status_code == 200
        where = owner.may(f"/campaigns/{row.id}/edit", **form_of(row, daily_limit="1"), agreed=agreed)

        assert where == f"/campaigns/{row.id}"
        assert campaigns.get(row.id).daily_limit == 1

    def test_whose_letter_does_not_fit_a_lead_is_refused(self, owner: Owner) -> None:
        row = a_draft(leads=2)

        page = owner.may_not(f"/campaigns/{row.id}/edit", **form_of(row, text="Dear {{ surname }}"))

        assert "surname" in wrong(page)["text"]
        assert campaigns.letter(row.id)[1] != "Dear {{ surname }}"

    def test_that_is_refused_for_a_leads_field_is_not_told_beside_the_campaigns_name(self, owner: Owner) -> None:
        row = campaigns.get(make.a_campaign([make.a_mailbox()], leads=["already@leads.example"], active=False))
        CampaignLead.update(fields={"name": "Ola", "city": ""}).execute()

        page = owner.may_not(f"/campaigns/{row.id}/edit", **form_of(row, text="Greetings to {{ city }}"))

        assert "already@leads.example" in text(page)
        assert "name" not in wrong(page)

    def test_is_not_offered_for_what_is_over(self, owner: Owner) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        campaigns.cancel(campaign_id, "tests")

        for page in ("edit", "leads"):
            assert owner.browser.get(f"/campaigns/{campaign_id}/{page}").status_code == 303


class TestACampaign:
    def test_is_copied_under_another_name(self, owner: Owner) -> None:
        row = a_draft(leads=2)

        assert wrong(owner.may_not(f"/campaigns/{row.id}/copy", name="")) == {"name": "Is missing."}
        assert "already" in wrong(owner.may_not(f"/campaigns/{row.id}/copy", name=row.name))["name"]
        owner.may(f"/campaigns/{row.id}/copy", name="Winter", with_leads="yes")

        copied = campaigns.find("Winter")
        assert CampaignLead.select().where(CampaignLead.campaign == copied.id).count() == 2

    def test_is_deleted_while_it_is_a_draft_only(self, owner: Owner) -> None:
        row = a_draft(leads=1)
        TestLeads().upload(owner, row)

        owner.may(f"/campaigns/{row.id}/delete")
        running = make.a_campaign([make.a_mailbox()])
        answer = owner.sends(f"/campaigns/{running}/delete")

        assert answer.status_code == 409
        assert [it.id for it in campaigns.every()] == [running]

    def test_has_a_report(self, owner: Owner) -> None:
        email_id, _ = make.in_status(Status.SENT)
        row = make.row(email_id)
        make.came_back(email_id, "human")

        page = owner.sees(f"/campaigns/{row.campaign_id}/report")

        assert "sent" in page
        assert "What came back 1 replied" in page

    def test_of_no_such_number_is_not_found(self, owner: Owner) -> None:
        for page in ("edit", "leads", "calendar", "copy", "report", "leads/errors.csv"):
            assert owner.browser.get(f"/campaigns/99/{page}").status_code == 404


class TestAStranger:
    @pytest.mark.parametrize("path", ["/campaigns/new", "/campaigns/1/leads", "/mailboxes/new", "/suppressions/import"])
    def test_changes_nothing_from_another_site(self, owner: Owner, path: str) -> None:
        answer = owner.browser.post(path, data={"name": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
        without_token = owner.browser.post(path, data={"name": "x"})

        assert (answer.status_code, without_token.status_code) == (403, 400)
