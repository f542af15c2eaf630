"""In which encoding a leads file is read: what programs in Poland write."""

import codecs
from collections.abc import Iterable
from pathlib import Path

import pytest

from intake.texts import FileInvalid
from tests.leads_files import fields, opened, read, read_all

PEOPLE = [
    ("anna@leads.example", "Anna Święcicka", "Łódź"),
    ("jan@leads.example", "Jan Gąsior", "Kraków"),
    ("ewa@leads.example", "ŻANETA ŹREBIĘ", "ZAŻÓŁĆ"),
]
TEXT = "\r\n".join(["email;name;city", *(";".join(each) for each in PEOPLE)]) + "\r\n"
EIGHT_BIT = ("cp1250", "iso8859-2", "cp852")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leads.csv"


def names(path: Path) -> list[str]:
    return [it["name"] for it in fields(read(path))]


class TestAPolishFile:
    @pytest.mark.parametrize(
        ("mark", "codec"),
        [
            (b"", "utf-8"),
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (b"", "utf-16-le"),
            (b"", "utf-16-be"),
            (codecs.BOM_UTF32_LE, "utf-32-le"),
            *((b"", codec) for codec in EIGHT_BIT),
        ],
    )
    def test_is_read_in_the_encoding_that_it_is_in(self, path: Path, mark: bytes, codec: str) -> None:
        path.write_bytes(mark + TEXT.encode(codec))

        assert [tuple(it.values()) for it in fields(read(path))] == PEOPLE

    @pytest.mark.parametrize("codec", EIGHT_BIT)
    @pytest.mark.parametrize(
        "word",
        [
            *(
                "są",
                "Źródło",
                "Łoś",
                "ćma",
                "wieś",
                "Święto",
                "śledź",
                "ŁÓDŹ",
                "MIĘDZY",
                "ŚLĄSK",
                "źle",
                "Ząbki",
                "pół",
            ),
            *("„Kłos” – sp. z o.o.", "Wałęsa & Müller", "Dvořák i Święcki, Łódź"),
        ],
    )
    def test_needs_no_more_than_one_word(self, path: Path, codec: str, word: str) -> None:
        content = f"email;name\na@leads.example;{word}\n".encode(codec, "replace")
        path.write_bytes(content)

        assert names(path) == [content.decode(codec).splitlines()[1].partition(";")[2]]

    def test_with_letters_of_neighbours_alone_is_read_where_all_encodings_agree(self, path: Path) -> None:
        path.write_bytes("email,name\na@leads.example,Müller & Söhne\n".encode("cp1250"))

        assert names(path) == ["Müller & Söhne"]

    def test_is_read_as_a_person_says(self, path: Path) -> None:
        path.write_bytes("email,name\na@leads.example,señor\n".encode("cp1252"))

        found, _ = read_all(*opened(path, encoding="cp1252"))

        assert fields(found)[0]["name"] == "señor"

    @pytest.mark.parametrize("codec", [*EIGHT_BIT, "utf-8", "utf-16"])
    def test_has_its_cells_with_line_breaks_and_quotes_in_any_encoding(self, path: Path, codec: str) -> None:
        path.write_bytes('email;name\r\na@leads.example;"Łukasz\r\n""Ł"" Śliwa"\r\n'.encode(codec))

        assert names(path) == ['Łukasz\n"Ł" Śliwa']

    @pytest.mark.parametrize("codec", ["cp1250", "utf-16"])
    def test_has_the_lines_of_an_old_mac(self, path: Path, codec: str) -> None:
        path.write_bytes(TEXT.replace("\r\n", "\r").encode(codec))

        assert [tuple(it.values()) for it in fields(read(path))] == PEOPLE


MAC = ("mac_latin2", "mac_roman")
POLES = (
    *("Józef Wójcik", "Jaś Mróz", "Łukasz Żak", "Paweł Święty", "Wiśniewska", "Bańka", "Kościuszko", "ŁÓDŹ"),
    *("„Kłos” – sp. z o.o.", "Kraków–Warszawa", "Kłos® i Syn", "ABC sp.\xa0z\xa0o.o., Łódź", "ąćęłńóśźż", "ĄĆĘŁŃÓŚŹŻ"),
)
NEIGHBOURS = (
    *("Müller", "Grünwald", "Bäcker", "Jäger", "Jörg", "Österreich", "Äpfel", "Straße", "Weiß", "Süß", "Zoë"),
    *("Zdeněk Dvořák", "Jiří Novák", "Novák", "Malá", "Malý", "Tomáš", "Čapek", "Škoda", "Kříž", "Ľubomír"),
    *("Kőszeg Kft.", "Erdős", "Győr Kovács", "Gábor", "Németh", "Balázs", "Ćosić", "Đoković", "Ţăran"),
    *("José", "Hôtel", "François", "Muñoz", "García", "Sørensen", "Agnès", "Crêpe d’Agnès", "São", "Åse"),
    *("O’Neill", "Wendy’s", "Auto – Moto", "Firma\xa0budowlana", "Jan\xa0Kowalski", "Kowal…", "Hotel 5°", "20 €"),
)


def written_in(codecs: Iterable[str], names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name with each encoding that has its letters."""
    pairs = ((name, codec) for name in names for codec in codecs)
    return [(name, codec) for name, codec in pairs if name.encode(codec, "replace").decode(codec) == name]


class TestAFileOfFewNames:
    @pytest.mark.parametrize(
        ("name", "codec"), written_in((*EIGHT_BIT, *MAC, "cp1252", "latin-1"), (*POLES, *NEIGHBOURS))
    )
    def test_is_read_as_it_was_written_or_refused(self, path: Path, name: str, codec: str) -> None:
        path.write_bytes(f"email;name\na@leads.example;{name}\n".encode(codec))

        try:
            found: list[str] | str = names(path)
        except FileInvalid as refused:
            found = str(refused)

        assert found == [name] or "save it as UTF-8 (in Excel: “CSV UTF-8”), or name it with --encoding" in found

    @pytest.mark.parametrize(("name", "codec"), written_in((*EIGHT_BIT, "mac_latin2"), POLES))
    def test_is_read_if_they_are_polish(self, path: Path, name: str, codec: str) -> None:
        path.write_bytes(f"email;name\na@leads.example;{name}\n".encode(codec))

        assert names(path) == [name]

    @pytest.mark.parametrize(
        ("name", "codec"),
        [
            ("Józef Wójcik", "mac_roman"),
            *((name, "cp1250") for name in ("Dvořák", "Jiří Novák", "Müller", "Novák", "O’Neill", "Österreich", "Zoë")),
            *((name, "iso8859-2") for name in ("Dvořák", "Zdeněk Dvořák", "Beneš")),
        ],
    )
    def test_is_read_if_no_other_encoding_gives_words(self, path: Path, name: str, codec: str) -> None:
        path.write_bytes(f"email;name\na@leads.example;{name}\n".encode(codec))

        assert names(path) == [name]

    @pytest.mark.parametrize("name", ["Wendy’s", "Firma i coś jeszcze…", "Alfa® Beta", "Smith – Partners"])
    def test_is_read_with_what_a_word_processor_makes_of_signs(self, path: Path, name: str) -> None:
        path.write_bytes(f"email;name\na@leads.example;{name}\n".encode("cp1250"))

        assert names(path) == [name]

    def test_of_neighbours_and_poles_is_read(self, path: Path) -> None:
        people = ["Zdeněk Dvořák", "Łukasz Żak", "Jiří Novák", "Kőszeg Kft.", "Wendy’s"]
        path.write_bytes("\n".join(["email;name", *(f"a@leads.example;{each}" for each in people)]).encode("cp1250"))

        assert names(path) == people


class TestAFileThatCannotBeRead:
    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (
                b"email\r\n\xff\xfe\xfd\n",
                "leads.csv line 2: is not UTF-8 text, nor in any other encoding of Polish; save",
            ),
            ("email,n\na@x.pl,Michał\nb@x.pl,Łódź\n".encode() + b"c@x.pl,Pi\xb1ty\n", "leads.csv line 4: is not UTF-8"),
            (TEXT.encode("utf-32-le"), "leads.csv: is UTF-32 text without a BOM, or no text at all"),
            (bytes(range(256)) * 20, "leads.csv line "),
            (b"email,n\na@x.pl,\xed\xa0\x80x\n", "leads.csv line 2: is not UTF-8 text, nor in any other encoding"),
            (TEXT.encode("utf-16")[:-1], "leads.csv: is not UTF-16 text behind line "),
            (codecs.BOM_UTF8 + TEXT.encode("cp1250"), "leads.csv: is not UTF-8 text behind line "),
        ],
    )
    def test_is_told_with_what_would_be_right(self, path: Path, content: bytes, complaint: str) -> None:
        path.write_bytes(content)

        with pytest.raises(FileInvalid) as refused:
            read(path)

        assert str(refused.value).startswith(complaint)

    @pytest.mark.parametrize("name", ["cp1520", "base64", ""])
    def test_is_told_of_an_encoding_that_there_is_not(self, path: Path, name: str) -> None:
        path.write_bytes(b"email\na@leads.example\n")

        with pytest.raises(FileInvalid, match="there is no text encoding"):
            opened(path, encoding=name)

    def test_is_told_of_damage_that_was_done_before(self, path: Path) -> None:
        path.write_bytes("email,name\na@leads.example,MichaĹ‚ ZiĂłĹ‚ko\nb@leads.example,Łódź\n".encode("cp1250"))

        with pytest.raises(FileInvalid):
            read(path)
