"""The page of suppressed addresses and domains."""

from typing import Any

import pytest

from models.audit import changes
from models.people import suppressions
from models.store.tables import Suppression
from tests.web.owners.conftest import Owner, text, typed, wrong


class TestAnEntry:
    def test_is_added_with_its_reason_and_seen(self, owner: Owner) -> None:
        owner.may("/suppressions", address=" Anna@Leads.example ", reason="asked by phone", proof="<1@leads.example>")
        owner.may("/suppressions", address="klos.example", reason="a competitor")

        [domain, anna] = suppressions.page("", "", 10)
        assert (anna.address, str(anna.why), anna.proof, anna.by) == (
            "anna@leads.example",
            "asked by phone",
            "<1@leads.example>",
            "web",
        )
        assert domain.address == "@klos.example"
        page = owner.sees("/suppressions")
        assert "klos.example and its subdomains a competitor" in page
        assert "anna@leads.example" in page

    @pytest.mark.parametrize(
        ("fields", "where", "said"),
        [
            (
                {"address": "anna@", "reason": "x"},
                "address",
                "there is nothing after the @",
            ),
            ({"address": "", "reason": "x"}, "address", "Is missing"),
            ({"address": "a@b.example", "reason": " "}, "reason", "Must have from 1 to 1000 characters"),
            ({"address": "a@b.example", "reason": "a\x07b"}, "reason", "control"),
            ({"address": "a@b.example", "reason": "x", "proof": "p" * 1001}, "proof", "Must have at most 1000"),
        ],
    )
    def test_that_is_wrong_is_told_beside_its_field_and_kept(
        self, owner: Owner, fields: dict[str, Any], where: str, said: str
    ) -> None:
        page = owner.may_not("/suppressions", **fields)

        assert said.lower() in wrong(page)[where].lower()
        assert typed(page, "address") == fields["address"]
        assert not Suppression.select().exists()

    def test_that_is_wrong_is_told_in_polish_too(self, owner: Owner) -> None:
        page = owner.may_not("/suppressions?lang=pl", address="anna@", reason="x")

        assert wrong(page) == {"address": "'anna@' nie jest adresem e-mail: po @ nic nie ma."}

    def test_is_removed_with_a_reason(self, owner: Owner) -> None:
        suppressions.add("anna@leads.example", "a mistake", "tests")

        page = owner.may_not("/suppressions/remove", removed="anna@leads.example", why="")
        assert wrong(page) == {"why": "Is missing."}
        owner.may("/suppressions/remove", removed="anna@leads.example", why="she wrote again")

        assert suppressions.every() == []
        assert changes.of_address("anna@leads.example")[0].why == "she wrote again"
        assert wrong(owner.may_not("/suppressions/remove", removed="anna@leads.example", why="x")) == {
            "removed": "Is not suppressed."
        }

    def test_is_found_by_a_part_of_its_address(self, owner: Owner) -> None:
        for name in ("anna@leads.example", "jan@leads.example"):
            suppressions.add(name, "x", "tests")

        page = owner.sees("/suppressions?part=JAN")

        assert "jan@leads.example" in page
        assert "anna@leads.example" not in page

    def test_far_down_the_list_stands_on_a_later_page(self, owner: Owner) -> None:
        suppressions.import_([suppressions.NewSuppression(f"a{n:03}@x.example", "x") for n in range(150)], "tests")

        assert "a149@x.example" not in owner.sees("/suppressions")
        assert "a149@x.example" in owner.sees("/suppressions?after=a099@x.example")

    @pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "=HYPERLINK(1)", "a‮b"])
    def test_shows_what_was_written_and_nothing_else(self, owner: Owner, hostile: str) -> None:
        suppressions.add("anna@leads.example", hostile, "tests")

        page = owner.browser.get("/suppressions").text

        assert "<script>alert" not in page
        assert "‮" not in page


class TestAList:
    def test_is_imported_and_lines_that_cannot_be_used_are_listed(self, owner: Owner) -> None:
        content = "address;reason\nanna@leads.example;bounced\nnobody\njan@leads.example;\n".encode("utf-16")

        answer = owner.sends("/suppressions/import", {"file": (b"\xff\xfe" + content[2:], "old.csv")})

        assert answer.status_code == 422
        assert "UTF-16" in text(answer.text)

        answer = owner.sends("/suppressions/import", {"file": (content.decode("utf-16").encode(), "old.csv")})
        assert "2 new entries were imported." in text(answer.text)
        assert "line 3: 'nobody' is neither an e-mail address nor a domain" in text(answer.text).replace("&#39;", "'")
        assert {it.address: str(it.why) for it in suppressions.every()} == {
            "anna@leads.example": "bounced",
            "jan@leads.example": "imported from old.csv",
        }

    def test_wants_a_file(self, owner: Owner) -> None:
        assert wrong(owner.may_not("/suppressions/import")) == {"file": "Choose a file."}

    def test_that_is_exported_can_be_imported_again(self, owner: Owner) -> None:
        suppressions.add("anna@leads.example", "=bounced", "tests")
        exported = owner.browser.get("/suppressions.csv").data
        suppressions.remove("anna@leads.example", "tests")

        owner.sends("/suppressions/import", {"file": (exported, "suppressions.csv")})

        assert [str(it.why) for it in suppressions.every()] == ["=bounced"]
