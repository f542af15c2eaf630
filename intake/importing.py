"""Stages the leads of a table for a campaign: each row checked, and what there is to say before they are written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import config
from intake.bad_rows import BadRows, ErrorFile
from intake.columns import Columns
from intake.damage import is_failed_formula
from intake.leads import LeadLine, read_leads
from intake.letters import fault
from intake.tables import Table, too_many_rows
from mail import unsubscribe
from mail.compose import Templates
from messages import Message, Said, gettext_noop
from models.email import recipients
from models.people import lead_import
from models.people.lead_import import Comparison, Difference, NewLead, Recent, Repeated
from models.people.leads import LegalBasis

_AT_ONCE = 1000  # rows that are staged together
LISTED = 10  # of each kind of finding


def used_fields(letters: Sequence[Templates]) -> set[str]:
    """The fields of a leads file that the letters use."""
    return set().union(*(it.fields() for it in letters)) - {unsubscribe.FIELD}


def stage(
    table: Table,
    columns: Columns,
    letters: Sequence[Templates],
    basis: LegalBasis | None = None,
    errors: ErrorFile | None = None,
    shown: Callable[[int, float], None] = lambda count, share: None,
    most_rows: int | None = None,
) -> tuple[BadRows, int]:
    """Stage the good rows. Returns the bad ones, and how many rows there are in all.

    letters: of the campaign's steps, rendered once for each lead. basis: of leads without one in the file. errors: a
    file for the bad rows. shown: is told of the progress. Raises TemplateInvalid, and FileInvalid for more rows than
    most_rows.
    """
    used = sorted(used_fields(letters))
    bad, count, batch = BadRows(), 0, list[tuple[int, NewLead]]()
    for count, it in enumerate(read_leads(table, columns), start=1):
        if most_rows is not None and count > most_rows:
            raise too_many_rows(table.path, most_rows)
        because: Said | None
        if isinstance(it, LeadLine):
            because = _failed_formula(it.lead, used)
            if because is None and (reason := fault(it.lead.address, it.lead.fields, letters)) is not None:
                because = Message(": %(said)s", said=reason)
            lead = _with_basis(it.lead, basis)
        else:
            because = it.because
        if because is None:
            batch.append((it.line, lead))
        else:
            bad.add(it.line, because)
            if errors:
                errors.add(it.cells, it.line, because)
        if count % _AT_ONCE == 0:
            lead_import.stage(batch)
            batch.clear()
            shown(count, table.share)
    lead_import.stage(batch)
    return bad, count


def _failed_formula(lead: NewLead, used: Sequence[str]) -> Message | None:
    """Say which used field is a spreadsheet's error, like #N/A, which letters would print. None: no field is."""
    for name in used:
        if is_failed_formula(value := lead.fields.get(name, "")):
            template = gettext_noop(
                ", %(name)s: %(value)s is the error of a formula in the spreadsheet; correct it there"
            )
            return Message(template, name=name, value=value)
    return None


def _with_basis(lead: NewLead, basis: LegalBasis | None) -> NewLead:
    """The lead, with this legal basis if the file has none for it."""
    if lead.legal_basis or basis is None:
        return lead
    return replace(lead, legal_basis=basis.basis, legal_basis_source=basis.source, legal_basis_date=basis.date)


@dataclass(frozen=True)
class Findings:
    """What there is to say about the staged leads: lines of the file, or how many and the first of them."""

    forgotten: Sequence[int]  # left out
    repeated: tuple[int, Sequence[Repeated]]  # left out
    comparison: Comparison
    differences: Sequence[Difference]
    recent: tuple[int, Sequence[Recent]]  # written to by another campaign lately
    suppressed: Sequence[int]
    stopped: Sequence[int]  # by a reply
    without_basis: Sequence[int]

    @property
    def writes(self) -> int:
        return self.comparison.fresh + self.comparison.changed


def look(campaign_id: int | None, *, skip_recent: bool) -> Findings:
    """Leave out forgotten and repeated leads, and say what there is to say about those that are staged.

    campaign_id: None for a campaign that does not exist yet. skip_recent: leave recent ones out too.
    """
    gone, repeated = lead_import.leave_out_forgotten(), lead_import.leave_out_repeated(LISTED)
    found = lead_import.compare(campaign_id)
    differences = lead_import.differences(campaign_id, LISTED) if campaign_id is not None and found.changed else []
    days = config.settings().leads.recent_days
    recent: tuple[int, Sequence[Recent]] = lead_import.recently_mailed(campaign_id, days, LISTED) if days else (0, [])
    if skip_recent and recent[0]:
        lead_import.leave_out_recent(campaign_id, days)
        found = lead_import.compare(campaign_id)
    without_basis = lead_import.without_basis() if recipients.is_basis_required() else []
    return Findings(
        forgotten=gone,
        repeated=repeated,
        comparison=found,
        differences=differences,
        recent=recent,
        suppressed=lead_import.suppressed(),
        stopped=lead_import.stopped(campaign_id),
        without_basis=without_basis,
    )
