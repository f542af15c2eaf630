"""Reading a campaign file: how each mistake is told with its line, its field and what would be right."""

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import faults
from intake.campaign_file import read_campaign
from intake.texts import FileInvalid
from tests.admin.test_commands import CAMPAIGN


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "campaigns"
    folder.mkdir()
    path = folder / "autumn.toml"
    path.write_text(CAMPAIGN)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(FileInvalid) as refused:
        read_campaign(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def with_text(file: Path, value: str) -> Path:
    file.write_text(CAMPAIGN.replace('"Dear {{ name }}, how are you?"', value))
    return file


class TestAField:
    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("daily_limit = 50", "daily_limit = 0", "autumn.toml line 10: daily_limit: must be at least 1"),
            ("= 50", "= 99999999999", "autumn.toml line 10: daily_limit: must be at most 1,000,000"),
            ("= 50", "= 50.5", "autumn.toml line 10: daily_limit: must be a whole number"),
            ("= 50", "= true", "autumn.toml line 10: daily_limit: must be a number"),
            ("= 50", '= "many"', "autumn.toml line 10: daily_limit: must be a whole number"),
            ("= 50", "= 1979-05-27", "autumn.toml line 10: daily_limit: must be a whole number"),
            ("daily_limit = 50", "", "autumn.toml: daily_limit: is missing"),
            (
                "= 50",
                "= 50\nlimit = 3",
                "autumn.toml line 11: limit: there is no such field; did you mean daily_limit?",
            ),
            ("= 50", "= 50\n[more]\nx = 3", "autumn.toml line 11: more: there is no such field"),
            ("= 90", "= -1", "autumn.toml line 9: delay_between_emails_seconds: must be at least 0.001"),
            ("= 90", "= 0", "autumn.toml line 9: delay_between_emails_seconds: must be at least 0.001"),
            ("= 90", "= 1e12", "autumn.toml line 9: delay_between_emails_seconds: must be at most 604,800"),
            ("= 90", "= inf", "autumn.toml line 9: delay_between_emails_seconds: must be at most 604,800"),
            ("= 90", "= nan", "autumn.toml line 9: delay_between_emails_seconds: must be a number"),
            ("= 90", "= false", "autumn.toml line 9: delay_between_emails_seconds: must be a number"),
            ("= 90", '= "90"', "autumn.toml line 9: delay_between_emails_seconds: must be a number"),
            ('"09:00"', '"9:00"', "autumn.toml line 6: window_start: '9:00' is not a time of day"),
            ('"09:00"', '"09:77"', "autumn.toml line 6: window_start: '09:77' is not a time of day"),
            ('"09:00"', '"٠٩:00"', "autumn.toml line 6: window_start: '٠٩:00' is not a time of day"),
            ('"09:00"', "09:00:00", "autumn.toml line 6: window_start: must be text"),
            ('"17:00"', '"08:00"', "autumn.toml line 6: window_start, window_end: a window must start before it"),
            ('"mon"', '"monday"', "autumn.toml line 8: weekdays: 'monday' is not one of mon, tue"),
            ('["mon", "tue", "wed", "thu", "fri"]', '"mon"', "autumn.toml line 8: weekdays: must be a list"),
            ('["mon", "tue", "wed", "thu", "fri"]', "[]", "autumn.toml line 8: weekdays: must not be empty"),
            ('"tue"', "2", "autumn.toml line 8: weekdays, entry 2: must be text"),
            ("Autumn", "", "autumn.toml line 2: name: must not be empty"),
            ("Autumn", " \u200b ", "autumn.toml line 2: name: must not be empty"),
            ("= 50", "= 50\nend_date = 2026-12-01T10:00:00", "autumn.toml line 11: end_date: must be a day like"),
            ("= 50", "= 50\nend_date = 5", "autumn.toml line 11: end_date: must be a day like 2026-12-31"),
            ("= 50", "= 50\nend_date = 2020-12-31", "autumn.toml line 11: end_date: 2020-12-31 is over"),
            ("= 50", '= 50\nend_date = "2020-12-31"', "autumn.toml line 11: end_date: 2020-12-31 is over"),
            ("Autumn", "x" * 201, "autumn.toml line 2: name: must have at most 200 characters"),
            ("Autumn", "Au\\u0000tumn", "autumn.toml line 2: name: the name has a control character"),
            ("Dear", "MichaĹ‚", "autumn.toml: text: 'MichaĹ‚' was 'Michał' before it was read in the wrong encoding"),
            ("Hello", "Micha\ufffd", "autumn.toml: subject: has U+FFFD in place of a letter"),
        ],
    )
    def test_that_is_wrong_is_told_with_its_line(self, file: Path, old: str, new: str, complaint: str) -> None:
        file.write_text(CAMPAIGN.replace(old, new, 1))

        assert refusal(file).startswith(complaint) or (complaint.startswith("window") and complaint in refusal(file))

    def test_several_are_told_at_once(self, file: Path) -> None:
        file.write_text("subject = 1\nname = 2\nlimit = 3\n")

        said = refusal(file)

        assert "autumn.toml line 2: name: must be text; autumn.toml line 1: subject: must be text" in said
        assert said.endswith("more problems")


class TestTheTextItself:
    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b'name = "Autumn\nsubject = 1', "line 1: cannot be read as TOML: a text must end on its line"),
            (
                b'name = "a"\ntext = """\nlong\n',
                "line 2: cannot be read as TOML: a text, list or table that begins here is not closed",
            ),
            (
                b'name = "a"\nweekdays = [\n"mon",\n',
                "line 2: cannot be read as TOML: a text, list or table that begins here is not closed",
            ),
            (b'name = "a"\nname = "b"\n', "line 2: cannot be read as TOML: this name is given twice"),
            (b"name = Autumn\n", "line 1: cannot be read as TOML: a value is text in quotes, a number, true"),
            (
                b"name = 'a'\nwindow_start = 09:00\n",
                "line 2: cannot be read as TOML: a line must look like name = value",
            ),
            (b'text = "C:\\dear"\n', "line 1: cannot be read as TOML: a backslash in a text must be written twice"),
            (b"x = " + b"[" * 9000, "line 1: lists or tables are nested too deeply in this file"),
            (b"x = " + b"1" * 9000, "line 1: a number in this file has too many digits"),
            (b'name = "a"\ntext = "Dzie\xf1"\n', "line 2: is not UTF-8 text but Windows-1250, it seems; save it as"),
            (b"\xff\xfen\0a\0", ": is UTF-16 text; save it as UTF-8"),
            ('name = "a"\n'.encode("utf-16-le"), ": is UTF-16 text; save it as UTF-8"),
        ],
    )
    def test_that_cannot_be_read_is_told_with_its_line_and_in_our_words(
        self, file: Path, content: bytes, complaint: str
    ) -> None:
        file.write_bytes(content)

        assert refusal(file).removeprefix("autumn.toml").strip().startswith(complaint)


class TestAFileBeside:
    def test_is_read_also_from_a_folder_below(self, file: Path) -> None:
        (file.parent / "texts").mkdir()
        (file.parent / "texts" / "letter.txt").write_text("Dzień dobry")
        (file.parent / "link.txt").symlink_to("texts/letter.txt")

        assert read_campaign(with_text(file, '{ file = "texts/letter.txt" }'))[0].text == "Dzień dobry"
        assert read_campaign(with_text(file, '{ file = "link.txt" }'))[0].text == "Dzień dobry"

    def test_is_read_where_the_folder_itself_is_a_link(self, file: Path, tmp_path: Path) -> None:
        (file.parent / "letter.txt").write_text("Dzień dobry")
        with_text(file, '{ file = "letter.txt" }')
        (tmp_path / "link").symlink_to(file.parent)

        assert read_campaign(tmp_path / "link" / file.name)[0].text == "Dzień dobry"

    @pytest.mark.parametrize(
        ("name", "complaint"),
        [
            ("../secret.txt", "must be the name of a file in the folder of autumn.toml, or below it"),
            ("/etc/passwd", "must be the name of a file in the folder of autumn.toml, or below it"),
            ("texts/../../secret.txt", "must be the name of a file in the folder of autumn.toml, or below it"),
            ("out.txt", "is a link that leads out of the folder of autumn.toml"),
            ("folder/secret.txt", "is a link that leads out of the folder of autumn.toml"),
            ("loop", "is not the name of a file"),
            ("a\\u0000b", "is not the name of a file"),
            ("pipe", "is not a file"),
            ("zero", "is a link that leads out of the folder of autumn.toml"),
            (".", "is a folder, not a file"),
            ("", "is a folder, not a file"),
            ("large", "is larger than 50 MB"),
            ("nowhere.txt", "there is no such file"),
            ("autumn.toml/letter.txt", "there is no such file"),
            ("wide.txt", "wide.txt line 2: is not UTF-8 text but Windows-1250, it seems"),
        ],
    )
    def test_is_refused_where_it_is_elsewhere_or_no_text(
        self, file: Path, tmp_path: Path, name: str, complaint: str
    ) -> None:
        (tmp_path / "secret.txt").write_text("s3cret")
        (file.parent / "out.txt").symlink_to(tmp_path / "secret.txt")
        (file.parent / "folder").symlink_to(tmp_path)
        (file.parent / "loop").symlink_to("loop")
        (file.parent / "zero").symlink_to("/dev/zero")
        (file.parent / "wide.txt").write_bytes("Dzień\ndobry łąko".encode("cp1250").replace(b"Dzie\xf1", b"Dzie"))
        os.mkfifo(file.parent / "pipe")
        with (file.parent / "large").open("wb") as large:
            large.truncate(50_000_001)

        said = refusal(with_text(file, f'{{ file = "{name}" }}'))

        assert said.startswith("autumn.toml: text: ")
        assert complaint in said
        assert "s3cret" not in said

    @pytest.mark.parametrize("value", ["{ file = 5 }", "{ }", '{ file = "a", also = "b" }', '{ path = "a" }'])
    def test_is_named_in_one_way(self, file: Path, value: str) -> None:
        assert refusal(with_text(file, value)) == 'autumn.toml line 4: text must be text or { file = "NAME" }'


@given(st.integers(0, len(CAMPAIGN)), st.sampled_from('"[]{}=\\\n#.x9'))
def test_wherever_a_file_breaks_off_the_sentence_is_ours(place: int, sign: str) -> None:
    """However the library's words change."""
    text = CAMPAIGN[:place] + sign
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        theirs = str(error).partition(" (at ")[0]
    else:
        return

    with pytest.raises(faults.TomlInvalid) as refused:
        faults.toml(text)

    assert theirs not in str(refused.value)
