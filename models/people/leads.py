"""People: what is known about one, and the legal basis for writing to them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from models.audit import changes
from models.people import forgotten, suppressions
from models.people.suppressions import Suppressed
from models.store import tick_request
from models.store.database import database, execute, fetch, rows
from models.store.tables import Lead

LONGEST_BASIS = 1000  # characters


class NoSuchLead(LookupError):
    """There is no lead with this address."""


@dataclass(frozen=True)
class LegalBasis:
    basis: str  # such as "consent"
    source: str | None  # where it comes from
    date: date | None


@dataclass(frozen=True)
class InCampaign:
    campaign_id: int
    campaign: str
    address: str  # as the owner wrote it
    fields: dict[str, Any]


@dataclass(frozen=True)
class Known:
    """What is kept about a person, apart from their e-mails: see views/mails.find()."""

    address: str
    since: datetime | None  # None: they are no lead
    basis: LegalBasis | None
    forgotten_at: datetime | None
    suppressed: Suppressed | None
    campaigns: list[InCampaign]


IN_CAMPAIGNS = """
SELECT c.id AS campaign_id, c.name AS campaign, l.address, l.fields
FROM campaign_lead l JOIN campaign c ON c.id = l.campaign_id WHERE l.lead_id = %s ORDER BY c.id
"""


def find(address: str) -> Known:
    """What is kept about a lead, also about one who was forgotten. address: normalised. Raises NoSuchLead."""
    known = about(address)
    if known.since is None:
        raise NoSuchLead(f"there is no lead {address}")
    return known


def about(address: str) -> Known:
    """What is kept about a normalised address, also if it is no lead's."""
    row = Lead.get_or_none(Lead.address.in_([address, *forgotten.keys_of(address)]))
    if row is None:
        return Known(address, None, None, None, suppressions.of([address]).get(address), [])
    basis = LegalBasis(row.legal_basis, row.legal_basis_source, row.legal_basis_date) if row.legal_basis else None
    return Known(
        address=row.address,
        since=row.created_at,
        basis=basis,
        forgotten_at=row.forgotten_at,
        suppressed=suppressions.of([row.address]).get(row.address),
        campaigns=rows(InCampaign, IN_CAMPAIGNS, (row.id,)),
    )


SET_BASIS = """
UPDATE lead SET legal_basis = %(basis)s, legal_basis_source = %(source)s, legal_basis_date = %(date)s
WHERE address = %(address)s
"""


def set_basis(address: str, basis: LegalBasis, by: str) -> None:
    """Replace what is recorded about the legal basis. Leads that were left out without one can be planned again.

    address: normalised. Raises NoSuchLead.
    """
    with database.atomic():
        forgotten.lock_forgetting()
        before = find(address)
        if before.forgotten_at is not None:
            raise NoSuchLead(f"there is no lead {address}: the person was forgotten")
        execute(SET_BASIS, {"address": address, "basis": basis.basis, "source": basis.source, "date": basis.date})
        changes.record_of_address(address, {"legal_basis": [_said(before.basis), _said(basis)]}, by, "set legal basis")
        tick_request.ask_for_tick()


WITHOUT_BASIS = "SELECT address FROM lead WHERE address = ANY(%s) AND COALESCE(legal_basis, '') = ''"


def without_basis(addresses: Collection[str]) -> set[str]:
    """Those of these leads, by their normalised addresses, for whom no legal basis is recorded."""
    return {address for (address,) in fetch(WITHOUT_BASIS, (list(addresses),))}


def _said(it: LegalBasis | None) -> str | None:
    return None if it is None else ", ".join(str(part) for part in (it.basis, it.source, it.date) if part)
