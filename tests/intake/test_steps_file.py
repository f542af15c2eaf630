"""A campaign file with a sequence: its steps, and how each mistake in one is told."""

from pathlib import Path

import pytest

from intake.campaign_file import read_campaign
from intake.letters import fault
from intake.texts import FileInvalid
from scheduling.waits import Unit, Wait
from tests.admin.test_commands import CAMPAIGN

LATER = """
[[steps]]
after = "3 working days"
text = "Still there, {{ name }}?"

[[steps]]
after = "1 day"
subject = "Goodbye"
text = "Bye"
html = "<p>Bye</p>"
"""
ALL = (
    CAMPAIGN.replace('subject = "Hello {{ name }}"\n', "").replace('text = "Dear {{ name }}, how are you?"\n', "")
    + """
[[steps]]
subject = "Hello {{ name }}"
text = "Dear {{ name }}"

[[steps]]
after = "2 hours"
text = "Still there?"
"""
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "autumn.toml"
    path.write_text(CAMPAIGN + LATER)
    return path


def refusal(path: Path, source: str) -> str:
    path.write_text(source)
    with pytest.raises(FileInvalid) as refused:
        read_campaign(path)
    return str(refused.value)


class TestASequence:
    def test_has_a_wait_for_each_later_letter(self, file: Path) -> None:
        campaign, letters = read_campaign(file)

        assert [(it.wait, it.subject) for it in campaign.later_steps] == [
            (Wait(3, Unit.WORKING_DAYS), None),
            (Wait(1, Unit.DAYS), "Goodbye"),
        ]
        assert len(letters) == 3

    def test_may_have_all_its_letters_as_steps(self, file: Path) -> None:
        file.write_text(ALL)

        campaign, letters = read_campaign(file)

        assert (campaign.subject, campaign.text) == ("Hello {{ name }}", "Dear {{ name }}")
        assert [it.wait for it in campaign.later_steps] == [Wait(2, Unit.HOURS)]
        assert len(letters) == 2

    def test_of_one_letter_is_what_a_campaign_was_before(self, file: Path) -> None:
        file.write_text(CAMPAIGN)

        campaign, letters = read_campaign(file)

        assert (campaign.later_steps, len(letters)) == ([], 1)

    def test_takes_a_letter_from_a_file(self, file: Path) -> None:
        (file.parent / "second.txt").write_text("From a file")
        file.write_text((CAMPAIGN + LATER).replace('"Bye"', '{ file = "second.txt" }'))

        assert read_campaign(file)[0].later_steps[1].text == "From a file"

    def test_is_checked_for_a_lead_in_each_of_its_letters(self, file: Path) -> None:
        _, letters = read_campaign(file)

        assert fault("a@leads.example", {"email": "a@leads.example", "name": "Anna"}, letters) is None
        file.write_text((CAMPAIGN + LATER).replace("Bye", "Bye {{ city }}"))
        because = fault("a@leads.example", {"name": "Anna", "city": ""}, read_campaign(file)[1])
        assert because is not None
        assert "step 3: text line 1" in str(because)


class TestAMistake:
    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ('after = "3 working days"', "", "step 2: after: is missing"),
            ('"3 working days"', '"soon"', "step 2: after: 'soon' is not a wait like \"3 working days\", "),
            ('"3 working days"', '"0 days"', "step 2: after: a wait in days must be between 1 and 365"),
            ('"3 working days"', '"-1 days"', "step 2: after: '-1 days' is not a wait like"),
            ('"3 working days"', '"366 days"', "step 2: after: a wait in days must be between 1 and 365"),
            ('"3 working days"', "3", 'step 2: after: must be text like "3 working days"'),
            ('after = "1 day"', 'afer = "1 day"', "step 3: afer: there is no such field; did you mean after?"),
            ('text = "Bye"', "", "step 3: text: is missing"),
            ('subject = "Goodbye"', "subject = 7", "step 3: subject: must be text"),
        ],
    )
    def test_is_told_with_its_line_and_its_step(self, file: Path, old: str, new: str, complaint: str) -> None:
        source = (CAMPAIGN + LATER).replace(old, new)

        told = refusal(file, source)

        assert complaint in told
        assert told.startswith("autumn.toml line ")

    def test_in_a_template_is_told_with_its_step(self, file: Path) -> None:
        told = refusal(file, (CAMPAIGN + LATER).replace("there, {{ name }}", "there, {{ name"))

        assert told.startswith("autumn.toml: step 2: text line 1: ")

    def test_is_more_than_twelve_steps(self, file: Path) -> None:
        more = '\n[[steps]]\nafter = "1 day"\ntext = "Again"\n'

        assert read_campaign(write(file, CAMPAIGN + more * 11))[0].steps
        assert "steps: must have at most 11 entries" in refusal(file, CAMPAIGN + more * 12)

    def test_is_a_first_letter_without_a_subject(self, file: Path) -> None:
        told = refusal(file, ALL.replace('subject = "Hello {{ name }}"\n', ""))

        assert "step 1: subject: is missing" in told

    def test_is_a_wait_before_the_first_letter(self, file: Path) -> None:
        told = refusal(file, ALL.replace('subject = "Hello {{ name }}"\n', 'after = "1 day"\nsubject = "Hello"\n'))

        assert "text: is missing" in told

    def test_is_steps_that_are_no_tables(self, file: Path) -> None:
        assert "step 2: must be a table" in refusal(file, "steps = [1]\n" + CAMPAIGN)
        assert "steps" in refusal(file, "steps = 1\n" + CAMPAIGN)


def write(path: Path, source: str) -> Path:
    path.write_text(source)
    return path
