"""Reads a campaign file and a leads file, and checks everything before a row is written.

Every refusal names the file, the line or field, and what would be right.
"""

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mail.address import AddressInvalid, normalise
from mail.message import LetterInvalid, refuse_control_characters
from models.campaigns import NewLead
from models.tables import Campaign
from scheduling.window import Window, WindowInvalid

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_FIELD = 10_000
LARGEST_FILE = 50_000_000  # bytes
MOST_COLUMNS = 200
MOST_LEADS = 100_000
_SHOWN_PROBLEMS = 3


class FileInvalid(Exception):
    """A file that a person gave us cannot be used as it is."""


class CampaignFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1, max_length=200)
    subject: str = Field(min_length=1)
    text: str = Field(min_length=1)
    html: str | None = None
    mailboxes: list[str] = Field(min_length=1)
    window_start: str
    window_end: str
    weekdays: list[str] = Field(min_length=1)
    delay_between_emails_seconds: float = Field(gt=0, strict=False)
    daily_limit: int = Field(gt=0)

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        try:
            refuse_control_characters("name", value)
        except LetterInvalid as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("window_start", "window_end")
    @classmethod
    def _check_time(cls, value: str) -> str:
        _minute(value)
        return value

    @field_validator("weekdays")
    @classmethod
    def _check_weekdays(cls, value: list[str]) -> list[str]:
        for day in value:
            if day not in WEEKDAYS:
                raise ValueError(f"{day!r} is none of {', '.join(WEEKDAYS)}")
        return value

    @property
    def window(self) -> Window:
        days = frozenset(WEEKDAYS.index(day) for day in self.weekdays)
        return Window(_minute(self.window_start), _minute(self.window_end), days)


def read_campaign(path: Path) -> CampaignFile:
    try:
        values = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise FileInvalid(f"{path.name}: {error}") from None
    for key in ("subject", "text", "html"):
        if key in values:
            values[key] = _inline(path, key, values[key])
    return _checked(path.name, values)


def _checked(where: str, values: Mapping[str, Any]) -> CampaignFile:
    try:
        campaign = CampaignFile(**values)
        _ = campaign.window
    except WindowInvalid as error:
        raise FileInvalid(f"{where}: window_start, window_end: {error}") from None
    except ValidationError as error:
        raise FileInvalid(f"{where}: {_joined(_sentences(error))}") from None
    return campaign


def edited(
    row: Campaign,
    window_start: str | None,
    window_end: str | None,
    weekdays: str | None,
    delay: float | None,
    daily_limit: int | None,
) -> dict[str, object]:
    """The changed columns of a campaign, checked by the rules of a campaign file."""
    values = {
        "name": row.name,
        "subject": row.subject,
        "text": row.text,
        "mailboxes": ["as they are"],
        "window_start": window_start or _time(row.window_start_minute),
        "window_end": window_end or _time(row.window_end_minute),
        "weekdays": weekdays.split(",") if weekdays else [WEEKDAYS[day] for day in row.weekdays],
        "delay_between_emails_seconds": row.delay_seconds if delay is None else delay,
        "daily_limit": row.daily_limit if daily_limit is None else daily_limit,
    }
    file = _checked("the change", values)
    return {
        "window_start_minute": file.window.start_minute,
        "window_end_minute": file.window.end_minute,
        "weekdays": sorted(file.window.weekdays),
        "delay_seconds": file.delay_between_emails_seconds,
        "daily_limit": file.daily_limit,
    }


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@dataclass(frozen=True)
class LeadLine:
    line: int
    lead: NewLead


def read_leads(path: Path) -> list[LeadLine]:
    """A CSV with a header, an `email` column, and any further columns for the templates."""
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check_header(path, header)
        filled = ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
        rows = list(islice(filled, MOST_LEADS + 1))
    except csv.Error as error:
        raise FileInvalid(f"{path.name} line {reader.line_num}: {error}") from None
    if len(rows) > MOST_LEADS:
        raise FileInvalid(f"{path.name}: more than {MOST_LEADS} leads; make several campaigns of them")
    leads, problems = _leads(header, rows)
    if problems:
        raise FileInvalid(f"{path.name} {_joined(problems)}")
    if not leads:
        raise FileInvalid(f"{path.name}: there is no lead below the header")
    return leads


def _leads(header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> tuple[list[LeadLine], list[str]]:
    leads: list[LeadLine] = []
    problems: list[str] = []
    first_line: dict[str, int] = {}
    for line, row in rows:
        try:
            lead = _lead(header, row)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        if lead.normalised in first_line:
            problems.append(f"line {line}, email: the same address as in line {first_line[lead.normalised]}")
        first_line.setdefault(lead.normalised, line)
        leads.append(LeadLine(line, lead))
    return leads, problems


def _lead(header: Sequence[str], row: Sequence[str]) -> NewLead:
    if len(row) != len(header):
        raise ValueError(f"{len(row)} columns instead of {len(header)}")
    fields = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
    address = fields["email"]
    try:
        for name, value in fields.items():
            refuse_control_characters(name, value, lines=True)
    except LetterInvalid as error:
        raise ValueError(str(error)) from None
    try:
        return NewLead(address, normalise(address), fields, fields.get("legal_basis") or None)
    except AddressInvalid as error:
        raise ValueError(f"email: {error}") from None


def _check_header(path: Path, header: Sequence[str]) -> None:
    if len(header) > MOST_COLUMNS:
        raise FileInvalid(f"{path.name} line 1: {len(header)} columns; at most {MOST_COLUMNS} can be read")
    if "email" not in header:
        only = ", ".join(header)[:200] or "nothing"
        raise FileInvalid(f"{path.name} line 1: the header has no column `email`, only {only}")
    for name in header:
        if not name.isidentifier():
            raise FileInvalid(
                f"{path.name} line 1: {name!r} is no name that a template can use (letters, digits and _)"
            )
        if header.count(name) > 1:
            raise FileInvalid(f"{path.name} line 1: the column {name!r} comes twice")


def _inline(path: Path, key: str, value: object) -> object:
    """`{ file = "letter.txt" }` stands for the content of that file, beside the campaign file."""
    match value:
        case {"file": str(name), **rest} if not rest:
            return _text(path.parent / name)
        case Mapping():
            raise FileInvalid(f'{path.name}: {key} is either a text or {{ file = "NAME" }}')
    return value


def _text(path: Path) -> str:
    if not path.exists():
        raise FileInvalid(f"{path}: there is no such file")
    if not path.is_file():
        raise FileInvalid(f"{path}: is no file")
    if path.stat().st_size > LARGEST_FILE:
        raise FileInvalid(f"{path}: is larger than {LARGEST_FILE // 1_000_000} MB")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileInvalid(f"{path}: cannot be read as UTF-8 text: {error}") from None


def _minute(value: str) -> int:
    hour, colon, minute = value.partition(":")
    if not (colon and len(value) == 5 and hour.isdigit() and minute.isdigit()):
        raise ValueError(f'{value!r} is no time of day like "09:00"')
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > 24 * 60:
        raise ValueError(f'{value!r} is no time of day between "00:00" and "24:00"')
    return minutes


def _sentences(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in fault["loc"])
        yield f"{place}: {fault['msg'].removeprefix('Value error, ')}"


def _joined(problems: Any) -> str:
    found = list(problems)
    more = len(found) - _SHOWN_PROBLEMS
    return "; ".join(found[:_SHOWN_PROBLEMS]) + (f"; and {more} more problems" if more > 0 else "")
