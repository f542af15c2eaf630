"""Each lead's letter, made once before a campaign is written: what is wrong is told with its own file and line."""

import re
from pathlib import Path

import pytest

from admin.campaign import commands as campaign_commands
from intake.bad_rows import BadRows
from intake.campaign_file import FileInvalid, read_campaign
from intake.letters import check_columns, check_sender, check_unsubscribe_url, fault
from mail.compose import Sender, Templates
from mail.message import LetterInvalid
from mail.render import TemplateInvalid
from models.owner import campaigns
from tests import factories as make
from tests.conftest import Override
from tests.leads_files import opened, read

CAMPAIGN = """
name = "Autumn"
subject = { file = "subject.txt" }
text = { file = "letter.txt" }
html = { file = "letter.html" }
mailboxes = ["ola@sender.example"]
window_start = "09:00"
window_end = "17:00"
weekdays = ["mon"]
delay_between_emails_seconds = 90
daily_limit = 50
"""
FILES = {
    "campaign.toml": CAMPAIGN,
    "subject.txt": "Hello {{ name }}\n",
    "letter.txt": "Dear {{ name }},\n\nhow is {{ city|default('your city') }}?\n",
    "letter.html": "<p>Dear {{ name }}</p>\n",
    "leads.csv": "email,name,city\na@leads.example,Anna,Łódź\nb@leads.example,Jan,\nc@leads.example,Ewa,Sopot\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def checked(folder: Path, **files: str) -> Templates:
    """Checked as `campaign add` does. files: their new content, with "_" for the dot in their name."""
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    _, [templates] = read_campaign(folder / "campaign.toml")
    bad = BadRows()
    table, its_columns = opened(folder / "leads.csv", templates.fields())
    check_columns(table.path, its_columns)
    check_unsubscribe_url([templates])
    for it in read(folder / "leads.csv", templates.fields()):
        try:
            reason = fault(it.lead.address, it.lead.fields, [templates])
        except TemplateInvalid as error:
            raise FileInvalid(str(error)) from None
        if reason:
            bad.add(it.line, f": {reason}")
    if bad.count:
        raise FileInvalid(f"leads.csv {bad.sentence()}")
    return templates


def refused(folder: Path, **files: str) -> str:
    with pytest.raises(FileInvalid) as refusal:
        checked(folder, **files)
    return str(refusal.value)


class TestTheLinkToUnsubscribe:
    USES = "Dear {{ name }},\n\n{{ unsubscribe_url }}\n"

    def test_needs_a_public_page_which_is_told_with_the_line(self, folder: Path) -> None:
        complaint = "unsubscribe_url needs a public page: set unsubscribe.url (PUNKTUAL_UNSUBSCRIBE_URL)"

        assert refused(folder, letter_txt=self.USES).startswith(f"letter.txt line 3: {complaint}")
        html = "<p>Dear</p><a href='{{ unsubscribe_url|e }}'>stop</a>"
        assert refused(folder, letter_txt="Dear\n", letter_html=html).startswith(f"letter.html line 1: {complaint}")

    def test_is_there_in_every_letter_with_one(self, folder: Path, settings: Override) -> None:
        settings(UNSUBSCRIBE_URL="https://stop.sender.example")

        assert "unsubscribe_url" in checked(folder, letter_txt=self.USES).fields()

    def test_is_no_column_of_the_leads(self, folder: Path) -> None:
        complaint = refused(folder, leads_csv="email,name,unsubscribe_url\na@leads.example,Anna,https://evil.example\n")

        assert complaint.startswith("leads.csv: rename the column unsubscribe_url")


def inline(key: str, template: str) -> str:
    lines = [line for line in CAMPAIGN.splitlines() if not line.startswith(f"{key} =")]
    return "\n".join([*lines, f'{key} = """{template}"""'])


class TestATemplate:
    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_of_a_subject_may_be_a_file_with_a_last_line_end(self, folder: Path, end: str) -> None:
        (folder / "subject.txt").write_bytes(f"Hello {{{{ name }}}}{end}".encode())

        subject = checked(folder).subject

        assert subject is not None
        assert subject.render({"name": "Anna"}) == "Hello Anna"

    def test_may_use_a_column_that_there_is_none_of_where_it_says_what_stands_instead(self, folder: Path) -> None:
        assert checked(
            folder, letter_txt="{{ town|default('a town') }}{% if street is defined %}{{ street }}{% endif %}"
        )

    @pytest.mark.parametrize(
        ("name", "template", "complaint"),
        [
            (
                "letter.txt",
                "Dear\n\nline\n{{ nmae }}\n",
                "letter.txt line 4: 'nmae' is undefined; the fields are city, email",
            ),
            (
                "letter.html",
                "<p>\n{{ nmae|title }}</p>",
                "letter.html line 2: 'nmae' is undefined; the fields are city, email",
            ),
            ("subject.txt", "{{ nmae }}\n", "subject.txt line 1: 'nmae' is undefined; the fields are city, email"),
            ("letter.txt", "Dear\n\nline\n{% if name %}\n", "letter.txt line 4: "),
            ("letter.txt", "Dear\n\n{{ name|reverse }}\n", "letter.txt line 3: the filter 'reverse' is not one of"),
            ("letter.txt", "Dear\n\x08{{ name }}\n", "letter.txt line 2: there is a control character"),
            ("letter.txt", "{% if name > 1 %}{% endif %}", "letter.txt line 1: the template fails: "),
            ("subject.txt", "Hello\n{{ name }}\n", "subject.txt line 1: there is a second line"),
            ("subject.txt", "Hello {{ name }}\n\n", "subject.txt line 1: there is a second line"),
            ("letter.html", "", "letter.html is empty"),
            ("letter.html", "<p style='display:none'>{{ name }}</p>", "letter.html is empty"),
            ("letter.txt", "\n \u200b\n", "letter.txt is empty"),
            ("subject.txt", "\n", "subject.txt is empty"),
        ],
    )
    def test_that_is_wrong_is_told_with_its_own_file_and_line(
        self, folder: Path, name: str, template: str, complaint: str
    ) -> None:
        assert refused(folder, **{name.replace(".", "_"): template}).startswith(complaint)

    @pytest.mark.parametrize(
        ("key", "template", "complaint"),
        [
            ("text", "Dear\n{{ nmae }}\n", "campaign.toml: text line 2: 'nmae' is undefined"),
            ("subject", "{{ nmae }}", "campaign.toml: subject line 1: 'nmae' is undefined"),
            ("html", "<p>\n{{ name", "campaign.toml: html line 2: "),
            ("html", "", "campaign.toml: html is empty"),
            ("text", "", "campaign.toml: text is empty"),
            ("subject", " ", "campaign.toml: subject is empty"),
        ],
    )
    def test_in_the_campaign_file_is_told_with_its_key(
        self, folder: Path, key: str, template: str, complaint: str
    ) -> None:
        assert refused(folder, campaign_toml=inline(key, template)).startswith(complaint)


class TestALeadsLetter:
    def test_takes_the_default_for_an_empty_cell(self, folder: Path) -> None:
        assert checked(folder).text.render({"name": "Jan", "city": ""}) == "Dear Jan,\n\nhow is your city?\n"

    def test_that_prints_an_empty_cell_is_refused_with_line_field_and_template(self, folder: Path) -> None:
        assert (
            refused(folder, letter_txt="Dear {{ name }},\nhow is {{ city }}?")
            == "leads.csv line 3: 'city' is empty: fill it in, or give it a default in letter.txt line 2"
        )

    def test_that_prints_an_empty_cell_of_many_leads_is_refused_with_the_first_of_their_lines(
        self, folder: Path
    ) -> None:
        leads = "email,name,city\n" + "".join(f"lead{number}@leads.example,Anna, \n" for number in range(2, 22))

        assert refused(folder, leads_csv=leads, letter_txt="{{ city }}").startswith(
            "leads.csv lines 2, 3, 4, 5, 6 and 15 more: 'city' is empty"
        )

    def test_each_reason_is_told_once_with_its_lines(self, folder: Path) -> None:
        leads = "email,name,city\na@leads.example,,Łódź\nb@leads.example,Jan,\nc@leads.example,,Sopot\n"

        reason = refused(folder, leads_csv=leads, letter_txt="{{ city }}")

        assert reason.startswith("leads.csv lines 2, 4: 'name' is empty")
        assert "; line 3: 'city' is empty" in reason

    @pytest.mark.parametrize(
        ("name", "template", "complaint"),
        [
            ("subject.txt", "{{ city|default('') }}", "leads.csv line 3: the subject is empty"),
            (
                "letter.txt",
                "{% if city is defined %}Dear {{ name }}{% endif %}\n",
                "leads.csv line 3: the text is empty",
            ),
            ("letter.html", "<p>{{ city|default('') }}</p>", "leads.csv line 3: the html is empty"),
            ("letter.html", "<p>{{ 'x' if city == 'Łódź' else '' }}</p>", "leads.csv lines 3, 4: the html is empty"),
        ],
    )
    def test_that_would_look_blank_is_refused_with_line_and_part(
        self, folder: Path, name: str, template: str, complaint: str
    ) -> None:
        assert refused(folder, **{name.replace(".", "_"): template}).startswith(complaint)

    def test_with_a_line_break_in_its_subject_is_refused(self, folder: Path) -> None:
        leads = FILES["leads.csv"] + 'd@leads.example,"Eve\nBcc: all@leads.example",Łódź\n'

        assert (
            refused(folder, leads_csv=leads)
            == "leads.csv line 5: 'name' has a line break, and the subject prints it; remove the line break"
        )

    def test_may_have_a_name_that_looks_like_an_encoded_word(self, folder: Path) -> None:
        checked(folder, leads_csv="email,name\na@leads.example,=?utf-8?q?=0d=0aReply-To:_x@evil.example=0d=0a\n")


class TestASender:
    @pytest.mark.parametrize(
        ("sender", "complaint"),
        [
            (Sender("=?utf-8?q?x?=@sender.example", ""), "=? for the start of an encoded word"),
            (
                Sender("marek@sender.example", "Marek\nBcc: all@leads.example"),
                "the sender name has a control character",
            ),
            (Sender("marek@@sender.example", ""), "cannot be used in a header"),
        ],
        ids=["address like an encoded word", "name with a line break", "no address"],
    )
    def test_whom_no_message_can_come_from_is_refused(self, sender: Sender, complaint: str) -> None:
        with pytest.raises(LetterInvalid, match=re.escape(complaint)):
            check_sender(sender)

    def test_may_have_any_other_address_and_name(self) -> None:
        check_sender(Sender("ola@żółw.example", ""))
        check_sender(Sender("m@sender.example", 'Żółw "ze" Łodzi, sp. z o.o.'))

    def test_is_checked_whichever_of_a_campaigns_mailboxes_it_is(self, db: None, folder: Path) -> None:
        make.a_mailbox("ola@sender.example")
        make.a_mailbox("=?utf-8?q?x?=@sender.example")
        both = 'mailboxes = ["ola@sender.example", "=?utf-8?q?x?=@sender.example"]'
        (folder / "campaign.toml").write_text(CAMPAIGN.replace('mailboxes = ["ola@sender.example"]', both))

        with pytest.raises(FileInvalid, match=r"campaign.toml line 6: mailboxes: .*start of an encoded word"):
            campaign_commands.add(folder / "campaign.toml", leads=folder / "leads.csv")

        assert campaigns.every() == []
