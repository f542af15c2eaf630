"""Why a lead must not be written to: the columns that views read for it, and what they say."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.email import gates, holds
from models.email.suppressed import ENTRY
from models.store import reason_columns
from reasons import Code, Reason, Why

# For a row `cl` of campaign_lead with its lead `p`.
COLUMNS = """
p.legal_basis, entry.address AS suppressed_by, entry.reason AS suppressed, entry.reason_code AS suppressed_code,
entry.reason_values AS suppressed_values, hold.stops AS hold_stops, hold.until AS hold_until,
hold.reason AS hold_reason, hold.reason_code AS hold_code, hold.reason_values AS hold_values
"""
JOINS = f"""
LEFT JOIN LATERAL {ENTRY.format(address="p.address")} entry ON true
LEFT JOIN LATERAL {holds.STRONGEST} hold ON true
"""


@dataclass(frozen=True)
class Forbidden:
    """The values of COLUMNS for one lead."""

    legal_basis: str | None
    suppressed_by: str | None  # the address, or "@" with the domain
    suppressed: str | None
    suppressed_code: str | None
    suppressed_values: dict[str, Any] | None
    hold_stops: bool | None
    hold_until: datetime | None
    hold_reason: str | None
    hold_code: str | None
    hold_values: dict[str, Any] | None

    def why(self, is_basis_required: bool) -> Reason | None:
        """The reason with which the claim would cancel its e-mail: see gates.lead_may_be_written_to()."""
        if self.suppressed_by is not None:
            why = reason_columns.current(self.suppressed, self.suppressed_code, self.suppressed_values)
            return gates.why_suppressed(self.suppressed_by, why or "")
        if is_basis_required and not self.legal_basis:
            return Reason(Code.NO_LEGAL_BASIS)
        return Reason(Code.STOPPED, because=self.hold) if self.hold_stops else None

    @property
    def hold(self) -> Why:
        return reason_columns.read(self.hold_reason, self.hold_code, self.hold_values) or ""
