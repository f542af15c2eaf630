"""The legal basis for writing to a lead: kept whole, and required of new installations unless that is switched off."""

from datetime import date

import pytest

from models.audit import changes
from models.email import moves, recipients
from models.email.claims import Claim
from models.email.gates import Closed
from models.owner import campaigns
from models.owner.campaigns import NewCampaign, NewLead
from models.people import leads
from models.people.leads import LegalBasis, NoSuchLead
from models.store import database, migrate
from models.store.tables import Installation, Lead
from models.views.forecast import forecast
from tests import factories as make
from tests.conftest import Override

pytestmark = pytest.mark.usefixtures("db")
ANNA = "anna@leads.example"
BASIS = ("consent", "form on our website", date(2026, 9, 1))


def add(*bases: str | date | None) -> None:
    lead = NewLead(ANNA, ANNA, {"email": ANNA}, *bases)  # type: ignore[arg-type]
    new = NewCampaign(f"{make.a_mailbox()}", "Hello", "Hello", None, [make.a_mailbox()], make.ALWAYS, 60.0, 10)
    campaigns.add(new, [lead], "ola")


def kept() -> tuple[str | None, str | None, date | None]:
    row = Lead.get()
    return row.legal_basis, row.legal_basis_source, row.legal_basis_date


class TestOfALead:
    def test_is_kept_with_its_source_and_date(self) -> None:
        add(*BASIS)

        assert kept() == BASIS

    @pytest.mark.parametrize("later", [("contract", "order 7", date(2026, 10, 1)), (None, None, None), ("contract",)])
    def test_that_is_known_stays_whole_whatever_a_later_file_says(self, later: tuple[str | date | None, ...]) -> None:
        add(*BASIS)
        add(*later)

        assert kept() == BASIS

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_that_was_missing_comes_from_the_first_file_that_has_one(self, nothing: str | None) -> None:
        add(nothing)
        add(*BASIS)

        assert kept() == BASIS

    def test_is_replaced_by_an_order_with_who_gave_it(self) -> None:
        add(*BASIS)

        leads.set_basis(ANNA, LegalBasis("contract", None, None), "ola")

        assert kept() == ("contract", None, None)
        [order] = changes.of_address(ANNA)
        assert (order.by, order.verb) == ("ola", "set legal basis")
        assert order.values == {"legal_basis": ["consent, form on our website, 2026-09-01", "contract"]}

    def test_of_nobody_is_refused(self) -> None:
        with pytest.raises(NoSuchLead):
            leads.set_basis(ANNA, LegalBasis("contract", None, None), "ola")


SETTINGS = {"auto": None, "true": True, "false": False}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("is_new", [True, False])
class TestWhereItIsRequired:
    """By the setting, or else of an installation that began with this rule."""

    @pytest.fixture(autouse=True)
    def installation(self, settings: Override, setting: str, is_new: bool) -> None:
        settings(SENDING_REQUIRE_LEGAL_BASIS=setting)
        Installation.update(requires_legal_basis=is_new).execute()

    @pytest.fixture
    def required(self, setting: str, is_new: bool) -> bool:
        said = SETTINGS[setting]
        return is_new if said is None else said

    def test_a_lead_without_one_takes_no_place_and_is_not_claimed(self, required: bool) -> None:
        email_id = make.an_email()
        campaign_id = make.a_campaign([make.a_mailbox()])

        assert recipients.is_basis_required() == required
        assert len(forecast(campaign_id)) == (not required)
        assert recipients.forbidden() == [email_id] * required
        claim = moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER)
        assert isinstance(claim, Closed) == required

    def test_a_lead_with_one_is_written_to(self, required: bool) -> None:
        email_id = make.an_email()
        Lead.update(legal_basis="consent").execute()

        assert recipients.forbidden() == []
        assert isinstance(moves.claim(email_id, make.row(email_id).scheduled_at, make.WORKER), Claim)


BEFORE = """
ALTER TABLE installation DROP COLUMN requires_legal_basis;
ALTER TABLE lead DROP COLUMN legal_basis_source, DROP COLUMN legal_basis_date, DROP COLUMN forgotten_at;
DELETE FROM schema_migration WHERE name IN ('0072_consent_and_forgetting', '0073_forgotten_leads');
"""


class TestTheMigration:
    @pytest.mark.parametrize("thing", ["campaign", "mailbox", "lead"])
    def test_leaves_an_installation_that_has_something_as_it_was(self, thing: str) -> None:
        match thing:
            case "campaign":
                make.a_campaign([make.a_mailbox()])
            case "mailbox":
                make.a_mailbox()
            case "lead":
                Lead.insert(address=ANNA).execute()
        database.execute(BEFORE)

        migrate.migrate()

        assert Installation.get().requires_legal_basis is False
        Installation.update(requires_legal_basis=True).execute()

    def test_requires_one_of_an_empty_installation(self) -> None:
        database.execute(BEFORE)

        migrate.migrate()

        assert Installation.get().requires_legal_basis is True
