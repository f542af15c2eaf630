"""Which columns of people's files are the fields of the letter."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from admin.campaign import mapping
from intake.columns import choose
from intake.tables import name_of
from intake.texts import FileInvalid
from tests.leads_files import opened


def suggested(header: str, *used: str) -> Mapping[str, str]:
    names = [name_of(each) for each in header.split(",")]
    return {field: names[at] for field, at in choose("leads.csv line 1", names, used, {}).suggested.items()}


class TestAColumn:
    @pytest.mark.parametrize(
        "name",
        [
            *("E-mail", "e-mail ", "Adres e-mail", "ADRES EMAIL", "Email address", "E-Mail Address", "Mail"),
            *("Adres mail", "Adres poczty elektronicznej", "e_mail", "E – mail", "Adres e\u2011mail"),
            *("E-Mail-Adresse", "E-mail 1 - Value", "Person - Email"),
        ],
    )
    def test_is_taken_for_the_addresses_whatever_people_call_them(self, name: str) -> None:
        assert suggested(f"Firma,{name}") == {"email": name_of(name)}

    @pytest.mark.parametrize(
        ("header", "field", "column"),
        [
            ("email,Imię", "imie", "imię"),
            ("email,Imię", "name", "imię"),
            ("email,Imię", "first_name", "imię"),
            ("email,First Name", "first_name", "first name"),
            ("email,first-name", "firstname", "first-name"),
            ("email,First Name,Imię i nazwisko", "name", "imię i nazwisko"),
            ("email,Imię,Nazwisko", "last_name", "nazwisko"),
            ("email,Firma", "company", "firma"),
            ("email,Company name", "firma", "company name"),
            ("email,Nazwa firmy,Miejscowość", "city", "miejscowość"),
            ("email,Nr telefonu", "phone", "nr telefonu"),
            ("email,Podstawa prawna", "legal_basis", "podstawa prawna"),
        ],
    )
    def test_suggests_itself_for_a_field_of_the_letter(self, header: str, field: str, column: str) -> None:
        assert suggested(header, field)[field] == column

    @pytest.mark.parametrize("used", ["first_name", "company", "x"])
    def test_does_not_suggest_itself_for_another(self, used: str) -> None:
        assert used not in suggested("email,Nazwisko,Adres,Uwagi,Zgoda na mailing", used)

    def test_of_the_fields_own_name_is_certain(self) -> None:
        choice = choose("", ["email", "name", "imię"], {"name"}, {})

        assert (choice.certain, choice.suggested) == ({"email": 0, "name": 1}, {})

    def test_that_was_chosen_goes_before_the_one_of_the_fields_name(self) -> None:
        choice = choose("", ["email", "e-mail prywatny", "name"], {"name"}, {"email": "e-mail prywatny", "name": None})

        assert choice.certain == {"email": 1, "name": None}

    @pytest.mark.parametrize(
        ("header", "field", "found"),
        [
            ("E-mail firmowy,E-mail prywatny", "email", [0, 1]),
            ("E-mail,e mail,x", "email", [0, 1]),
            ("email,Imię,Imiona", "first_name", [1, 2]),
            ("Zgoda na mailing,x", "email", [0]),
        ],
    )
    def test_that_is_one_of_several_is_for_a_person_to_choose(self, header: str, field: str, found: list[int]) -> None:
        names = [name_of(each) for each in header.split(",")]

        assert choose("", names, {"first_name"}, {}).open[field] == found

    def test_is_a_field_of_its_own_name_unless_it_is_another_field_already(self, tmp_path: Path) -> None:
        path = tmp_path / "leads.csv"
        path.write_text("Adres e-mail;Imię;Miasto;Kod pocztowy\na@leads.example;Anna;Łódź;90-001\n")

        _, columns = opened(path, {"name"})

        assert dict(columns.fields) == {"email": 0, "name": 1, "miasto": 2}


@pytest.mark.parametrize("header", ["email:name", "email   name   city", "name:e-mail"])
def test_several_columns_that_nothing_separates_are_not_offered_as_one(header: str) -> None:
    assert not choose("leads.csv line 1", [name_of(header)], (), {}).open


class TestAnOption:
    def test_names_a_column_and_its_field(self) -> None:
        said = mapping.read_option(["Adres e-mail=email", " A=B =Name", "=city"])

        assert said == {"email": "adres e-mail", "name": "a=b", "city": None}

    @pytest.mark.parametrize(
        ("maps", "complaint"),
        [
            (["email"], "--map: 'email' has no = in it"),
            (["a=first name"], "--map: 'first name' is not a name that a template can use"),
            (["a="], "--map: '' is not a name that a template can use"),
            (["a=name", "b=name"], "--map: name is named twice"),
        ],
    )
    def test_that_cannot_be_used_is_told(self, maps: list[str], complaint: str) -> None:
        with pytest.raises(FileInvalid, match=complaint):
            mapping.read_option(maps)
