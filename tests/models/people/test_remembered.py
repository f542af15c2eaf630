"""Suppressions that a restored backup lacks are brought back from this machine's disk, where no address stands."""

from datetime import timedelta
from pathlib import Path

import pytest

import config
from actors import reconcile
from actors.disk import suppressed
from actors.disk.jsonlines import LinesUnreadable
from models.people import forgetting, forgotten, suppressions
from models.people.suppressions import NewSuppression
from models.states import Status
from models.store import database
from models.store.tables import Change, Suppression
from tests import factories as make
from tests.conftest import Override
from tests.models.conftest import Beside

pytestmark = pytest.mark.usefixtures("db")

LEAD = "anna@leads.example"


def file() -> Path:
    [found] = (config.settings().var / "journal").glob("suppressed-*.jsonl")
    return found


def noted() -> None:
    """Some milliseconds later a tick notes what there is."""
    Suppression.update(created_at=Suppression.created_at - timedelta(seconds=1)).execute()
    suppressed.note()


def restored() -> None:
    """A backup from before everything that was ordered about addresses."""
    Suppression.delete().execute()
    Change.delete().execute()


def there() -> list[str]:
    return sorted(it.address for it in suppressions.every())


class TestASuppressionThatABackupLacks:
    def test_is_brought_back_and_cancels_what_is_planned(self) -> None:
        suppressions.add(LEAD, "she asked us to", "ola")
        noted()
        restored()
        email_id = make.an_email(leads=[LEAD])

        assert suppressed.bring_back("ola") == 1

        assert there() == [LEAD]
        assert suppressions.every()[0].reason == "suppressed before a backup was restored"
        assert make.row(email_id).status == Status.CANCELLED

    def test_of_a_domain_is_brought_back(self) -> None:
        make.an_email(leads=["anna@sub.leads.example"])
        suppressions.add("@leads.example", "they asked us to", "ola")
        noted()
        restored()

        suppressed.bring_back("ola")

        assert there() == ["@leads.example"]

    @pytest.mark.parametrize("key", [LEAD, "@leads.example"])
    def test_of_nobody_whom_the_database_knows_still_keeps_them_out_of_an_import(self, key: str) -> None:
        suppressions.add(key, "they asked us to", "ola")
        noted()
        restored()

        suppressed.bring_back("ola")

        assert there() == forgotten.keys_of(key)[:1]
        assert forgotten.among([LEAD, "jan@other.example"]).keys() == {LEAD}

    def test_comes_back_once(self) -> None:
        suppressions.add(LEAD, "she asked us to", "ola")
        noted()
        restored()

        assert [suppressed.bring_back("ola"), suppressed.bring_back("ola")] == [1, 0]


class TestWhatIsNotBroughtBack:
    def test_is_what_a_person_has_taken_back(self) -> None:
        make.an_email(leads=[LEAD])
        suppressions.add(LEAD, "she asked us to", "ola")
        noted()
        suppressions.remove(LEAD, "ola")

        assert suppressed.bring_back("ola") == 0
        assert there() == []

    def test_is_an_address_that_was_forgotten_since(self) -> None:
        make.an_email(leads=[LEAD])
        suppressions.add(LEAD, "she asked us to", "ola")
        noted()
        forgetting.forget(LEAD, "ola", lambda key: None)

        assert suppressed.bring_back("ola") == 0
        assert there() == forgotten.keys_of(LEAD)[:1]

    def test_is_what_another_secret_key_has_hashed(self, settings: Override) -> None:
        suppressions.add(LEAD, "she asked us to", "ola")
        noted()
        restored()
        settings(SECRET_KEY="x" * 43 + "=")

        assert suppressed.bring_back("ola") == 0


class TestOnTheDisk:
    def test_no_address_stands(self) -> None:
        suppressions.import_([NewSuppression(LEAD, "x"), NewSuppression("@firma.example", "x")], "ola")
        noted()

        words = file().read_text()
        assert (file().stat().st_mode & 0o777, words.count("\n")) == (0o600, 2)
        assert not any(word in words for word in ("anna", "leads", "firma"))

    def test_each_is_noted_once(self) -> None:
        for number, address in enumerate((LEAD, "jan@leads.example", "@firma.example"), start=1):
            suppressions.add(address, "x", "ola")
            noted()
            suppressed.note()

            assert file().read_text().count("\n") == number

    def test_nothing_is_noted_while_one_is_being_written(self, beside: Beside) -> None:
        """It may be committed with an earlier time than one that is here already."""
        suppressions.add(LEAD, "x", "ola")
        Suppression.update(created_at=Suppression.created_at - timedelta(seconds=1)).execute()

        with database.database.atomic():
            forgotten.lock_forgetting()
            during = beside(suppressed.note).result()

        assert (during, suppressed.note()) == (0, 1)

    def test_that_a_person_must_look_at_does_not_keep_a_worker_from_starting(self) -> None:
        suppressions.add(LEAD, "x", "ola")
        noted()
        file().write_text("no line\n")

        reconcile.bring_back_suppressions()

        with pytest.raises(LinesUnreadable):
            suppressed.noted()
