"""Reads a campaign file, and checks everything before any row is written.

Every error names the file, the line or field, and what would be right.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

import bounds
import clock
import faults
import messages
from intake import texts
from intake.texts import FileInvalid as FileInvalid
from mail.blank import is_blank
from mail.compose import Templates
from mail.message import LetterInvalid, refuse_control_characters
from mail.render import TemplateInvalid
from messages import Message, Number, Said, gettext_noop
from models.audit.sentences import WEEKDAYS
from models.owner.campaigns import NO_BOUND, NO_END, Edit, Letter, NewCampaign
from models.owner.steps import MOST_STEPS, LaterStep
from models.store.tables import Campaign
from scheduling import waits
from scheduling.waits import Wait, WaitInvalid, WaitOutOfBounds
from scheduling.window import Window, WindowInvalid, warsaw_day

_LETTER = ("subject", "text", "html")
# As an end date on the command line: the campaign gets none.
NO_END_DATE = "none"
_SHOWN_PROBLEMS = 3


def _wait(value: object) -> Wait:
    if not isinstance(value, str):
        raise ValueError(Message(gettext_noop('must be text like "3 working days"')))
    try:
        return waits.parsed(value)
    except WaitOutOfBounds as error:
        template = gettext_noop("a wait in %(unit)s must be between 1 and %(most)s")
        raise ValueError(Message(template, unit=Message(error.unit), most=Number(error.most))) from None
    except WaitInvalid:
        template = gettext_noop('%(text)s is not a wait like "3 working days", "2 days" or "4 hours"')
        raise ValueError(Message(template, text=repr(value[:60]))) from None


class StepFile(BaseModel):
    """A follow-up's letter."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    after: Annotated[Wait, BeforeValidator(_wait)]
    subject: str | None = None  # None: it answers the letters before it
    text: str
    html: str | None = None


class CampaignFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1, max_length=200)
    subject: str
    text: str
    html: str | None = None
    mailboxes: list[str] = Field(min_length=1)
    window_start: str
    window_end: str
    weekdays: list[str] = Field(min_length=1)
    delay_between_emails_seconds: Annotated[faults.Float, faults.within(bounds.CAMPAIGN["delay_seconds"])]
    daily_limit: Annotated[faults.Int, faults.within(bounds.CAMPAIGN["daily_limit"])]
    send_on_holidays: bool = False
    end_date: date | None = None
    steps: list[StepFile] = Field(default=[], max_length=MOST_STEPS - 1)  # those after the first letter
    new_leads_per_day: Annotated[faults.Int, faults.within(bounds.SEQUENCE["new_leads_per_day"])] | None = None
    follow_up_share: Annotated[faults.Int, faults.within(bounds.SEQUENCE["follow_up_share"])] = 70
    follow_up_without_inbox: bool = False
    stop_in_all_campaigns: bool | None = None
    stop_colleagues: bool | None = None

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if is_blank(value):
            raise ValueError(Message(gettext_noop("must not be empty")))
        try:
            refuse_control_characters("name", value)
        except LetterInvalid as error:
            raise ValueError(messages.of(error)) from None
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
                template = gettext_noop("%(text)s is not one of %(known)s")
                raise ValueError(Message(template, text=repr(day), known=", ".join(WEEKDAYS)))
        return value

    @field_validator("end_date", mode="before")
    @classmethod
    def _check_end_date(cls, value: object) -> object:
        return day(value) if isinstance(value, str) else value

    @field_validator("end_date")
    @classmethod
    def _refuse_past(cls, value: date | None) -> date | None:
        if value is not None and value < warsaw_day(clock.now()):
            raise ValueError(Message(gettext_noop("%(day)s is over"), day=value))
        return value

    @property
    def window(self) -> Window:
        days = frozenset(WEEKDAYS.index(day) for day in self.weekdays)
        return Window(
            _minute(self.window_start),
            _minute(self.window_end),
            days,
            on_holidays=self.send_on_holidays,
            last_day=self.end_date,
        )

    @property
    def later_steps(self) -> list[LaterStep]:
        return [LaterStep(it.after, it.subject, it.text, it.html) for it in self.steps]

    def as_new(self, mailbox_ids: Sequence[int]) -> NewCampaign:
        return NewCampaign(
            name=self.name,
            subject=self.subject,
            text=self.text,
            html=self.html,
            mailbox_ids=mailbox_ids,
            window=self.window,
            delay_seconds=self.delay_between_emails_seconds,
            daily_limit=self.daily_limit,
            later_steps=self.later_steps,
            new_leads_per_day=self.new_leads_per_day,
            follow_up_share=self.follow_up_share,
            follow_up_without_inbox=self.follow_up_without_inbox,
            stop_in_all_campaigns=bool(self.stop_in_all_campaigns),
            stop_colleagues=bool(self.stop_colleagues),
        )

    def as_edit(self, letter: Letter | None, mailbox_ids: Sequence[int]) -> Edit:
        """The edit that gives a campaign the settings of this file. letter: None keeps the current one."""
        return Edit(
            name=self.name,
            letter=letter,
            mailbox_ids=mailbox_ids,
            later_steps=self.later_steps,
            window_start_minute=self.window.start_minute,
            window_end_minute=self.window.end_minute,
            weekdays=sorted(self.window.weekdays),
            delay_seconds=self.delay_between_emails_seconds,
            daily_limit=self.daily_limit,
            send_on_holidays=self.send_on_holidays,
            last_day=self.end_date or NO_END,
            stop_in_all_campaigns=self.stop_in_all_campaigns,
            stop_colleagues=self.stop_colleagues,
            new_leads_per_day=self.new_leads_per_day or NO_BOUND,
            follow_up_share=self.follow_up_share,
            follow_up_without_inbox=self.follow_up_without_inbox,
        )


def read_campaign(path: Path) -> tuple[CampaignFile, list[Templates]]:
    """The campaign and the templates of its letters, which know their files for error messages.

    The first letter is the file's own or, if that has none, the first of its steps.
    """
    source = texts.read(path)
    try:
        values = faults.toml(source)
    except faults.TomlInvalid as error:
        raise FileInvalid(Message("%(file)s %(said)s", file=path.name, said=messages.of(error))) from None
    if lifted := _begins_with_a_step(values):
        values = _with_first_step_as_letter(path.name, source, values)
    places = [_inline_letter(path, values, "step 1: " if lifted else "")]
    for number, step in enumerate(_tables(values.get("steps")), 2):
        places.append(_inline_letter(path, step, f"step {number}: "))
    campaign = _checked(path.name, values, source, lifted=lifted)
    letters = [Templates.of(campaign.subject, campaign.text, campaign.html, places[0])]
    for it, place in zip(campaign.steps, places[1:], strict=True):
        letters.append(Templates.of(it.subject, it.text, it.html, place))
    try:
        for templates in letters:
            templates.check()
    except TemplateInvalid as error:
        raise FileInvalid(*error.args) from None
    return campaign, letters


def _begins_with_a_step(values: Mapping[str, Any]) -> bool:
    """Whether all letters are steps, the first one without a wait."""
    steps = values.get("steps")
    return "text" not in values and isinstance(steps, list) and any("after" not in it for it in _tables(steps[:1]))


def _with_first_step_as_letter(where: str, source: str, values: Mapping[str, Any]) -> dict[str, Any]:
    first, *later = values["steps"]
    for name in first:
        if name not in _LETTER:
            raise FileInvalid(_told_of_step(where, source, 1, name, None, lifted=True))
    return {**values, **first, "steps": later}


def _tables(steps: object) -> list[dict[str, Any]]:
    return [it for it in steps if isinstance(it, dict)] if isinstance(steps, list) else []


def _inline_letter(path: Path, values: dict[str, Any], step: str) -> dict[str, str]:
    """Replace references to files by the files' texts. Returns part -> its place, for error messages."""
    where: dict[str, str] = {}
    for key in _LETTER:
        if key in values:
            values[key], where[key] = _inline(path, f"{step}{key}", values[key])
    if isinstance(values.get("subject"), str):
        values["subject"] = values["subject"].removesuffix("\n")
    return where


def faults_in(values: Mapping[str, Any]) -> dict[str, Said]:
    """Field -> what is wrong with it, for values that came from a form."""
    try:
        _ = CampaignFile(**values).window
    except WindowInvalid:
        return {"window_end": Message(gettext_noop("must be later than the start"))}
    except ValidationError as error:
        return {fault.place[0]: fault.text for fault in faults.of(error)}
    return {}


def _checked(where: Said, values: Mapping[str, Any], source: str = "", *, lifted: bool = False) -> CampaignFile:
    """Check the values. source: their TOML text, for line numbers in errors. lifted: its first step is the letter."""
    try:
        campaign = CampaignFile(**values)
        _ = campaign.window
    except WindowInvalid:
        template = gettext_noop(
            "%(where)s: window_start, window_end: a window must start before it ends, between 00:00 and 24:00"
        )
        raise FileInvalid(Message(template, where=_at(where, faults.line_of(source, ["window_start"])))) from None
    except ValidationError as error:
        raise FileInvalid(joined(_told(where, source, fault, lifted=lifted) for fault in faults.of(error))) from None
    return campaign


def named(name: str) -> str:
    """A campaign's name, checked by the rules of a campaign file."""
    others = {"subject": "-", "text": "-", "mailboxes": ["-"], "window_start": "00:00", "window_end": "24:00"}
    pace = {"weekdays": ["mon"], "delay_between_emails_seconds": 1, "daily_limit": 1}
    return _checked(Message(gettext_noop("the name")), {"name": name, **others, **pace}).name


def _told(where: Said, source: str, fault: faults.Fault, *, lifted: bool) -> Message:
    name, *inner = fault.place
    if name == "steps" and inner and inner[0].isdigit():
        field = inner[1] if len(inner) > 1 else ""
        return _told_of_step(where, source, int(inner[0]) + 2, field, fault.text, lifted=lifted)
    if lifted and name in _LETTER:
        return _told_of_step(where, source, 1, name, fault.text, lifted=True)
    line = faults.line_of(source, [name])
    entry: Said = name
    for each in filter(str.isdigit, inner):
        entry = Message(gettext_noop("%(field)s, entry %(number)d"), field=entry, number=int(each) + 1)
    known = set(CampaignFile.model_fields)
    text = fault.text if name in known else _no_such_field(name, known)
    return _at_field(_at(where, line), entry, text)


def _at(where: Said, line: int | None) -> Said:
    return Message(gettext_noop("%(file)s line %(line)d"), file=where, line=line) if line else where


def place_of(path: Path, name: str) -> Said:
    """Where a field stands in a file that was read already: the file's name, the line and the field's name."""
    return Message("%(where)s: %(name)s", where=_at(path.name, faults.line_of(texts.read(path), [name])), name=name)


def _at_field(where: Said, field: Said, text: Said) -> Message:
    return Message("%(where)s: %(field)s: %(said)s", where=where, field=field, said=text)


def _no_such_field(name: str, known: set[str]) -> Message:
    template = gettext_noop("there is no such field%(suggestion)s")
    return Message(template, suggestion=faults.suggestion(name, known))


def _told_of_step(where: Said, source: str, number: int, name: str, text: Said | None, *, lifted: bool) -> Message:
    """Say what is wrong with a step. number: 1 for the first letter. lifted: that is among the file's steps."""
    line = _line_of_step(source, number - 1 if lifted else number - 2, name)
    known = set(_LETTER if number == 1 else StepFile.model_fields)
    if text is None or (name and name not in known):
        text = _no_such_field(name, known)
    step = Message(gettext_noop("step %(number)d"), number=number)
    field = Message("%(step)s: %(name)s", step=step, name=name) if name else step
    return _at_field(_at(where, line), field, text)


def _line_of_step(source: str, index: int, name: str) -> int | None:
    """The line of a field in one of the [[steps]], or where that begins."""
    lines = source.split("\n")
    begins = [number for number, line in enumerate(lines, 1) if re.match(r"\s*\[\[\s*[\"']?steps[\"']?\s*\]\]", line)]
    if index >= len(begins):
        return None
    ends = begins[index + 1] - 1 if index + 1 < len(begins) else len(lines)
    for number in range(begins[index], ends + 1) if name else ():
        if re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", lines[number - 1]):
            return number
    return begins[index]


def edited(
    row: Campaign,
    window_start: str | None,
    window_end: str | None,
    weekdays: str | None,
    delay: float | None,
    daily_limit: int | None,
    send_on_holidays: bool | None = None,
    end_date: str | None = None,
    name: str | None = None,
) -> Edit:
    """The given changes, checked together with the campaign's other settings by the rules of a campaign file."""
    values = {
        "name": row.name if name is None else name,
        "subject": "as it is",
        "text": "as it is",
        "mailboxes": ["as they are"],
        "window_start": _time(row.window_start_minute) if window_start is None else window_start,
        "window_end": _time(row.window_end_minute) if window_end is None else window_end,
        "weekdays": [WEEKDAYS[day] for day in row.weekdays] if weekdays is None else _listed(weekdays),
        "delay_between_emails_seconds": row.delay_seconds if delay is None else delay,
        "daily_limit": row.daily_limit if daily_limit is None else daily_limit,
        "end_date": None if end_date == NO_END_DATE else end_date,
    }
    file = _checked(Message(gettext_noop("the change")), values)
    return Edit(
        name=name,
        window_start_minute=None if window_start is None else file.window.start_minute,
        window_end_minute=None if window_end is None else file.window.end_minute,
        weekdays=None if weekdays is None else sorted(file.window.weekdays),
        delay_seconds=None if delay is None else file.delay_between_emails_seconds,
        daily_limit=daily_limit,
        send_on_holidays=send_on_holidays,
        last_day=NO_END if end_date == NO_END_DATE else file.end_date,
    )


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(Message(gettext_noop("%(text)s is not a day like 2026-12-31"), text=repr(text))) from None


def _listed(text: str) -> list[str]:
    return [each.strip().lower() for each in text.split(",")]


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _inline(path: Path, key: str, value: object) -> tuple[object, str]:
    """The template and its location. `{ file = "letter.txt" }`: a file in the campaign file's folder or below."""
    where = f"{path.name}: {key}"
    match value:
        case {"file": str(name), **rest} if not rest:
            try:
                value, where = texts.read_beside(path, name), name
            except FileInvalid as error:
                raise FileInvalid(Message("%(where)s: %(said)s", where=where, said=messages.of(error))) from None
        case Mapping():
            template = gettext_noop('%(where)s must be text or { file = "NAME" }')
            raise FileInvalid(Message(template, where=where if ":" in key else place_of(path, key)))
    if isinstance(value, str) and (damage := texts.damage(value)):
        raise FileInvalid(Message("%(where)s: %(said)s", where=where, said=damage))
    return value, where


def _minute(value: str) -> int:
    hour, colon, minute = value.partition(":")
    if not (colon and len(value) == 5 and value.isascii() and hour.isdigit() and minute.isdigit()):
        raise ValueError(Message(gettext_noop("%(text)s is not a time of day like 09:00"), text=repr(value)))
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > 24 * 60:
        template = gettext_noop("%(text)s is not a time of day between 00:00 and 24:00")
        raise ValueError(Message(template, text=repr(value)))
    return minutes


def joined(problems: Iterable[Message]) -> Message:
    """One message with the first problems, and how many more there are. problems: at least one."""
    first, *others = problems
    for each in others[: _SHOWN_PROBLEMS - 1]:
        first = Message("%(this)s; %(that)s", this=first, that=each)
    if more := len(others[_SHOWN_PROBLEMS - 1 :]):
        one, many = (
            gettext_noop("%(first)s; and 1 more problem"),
            gettext_noop("%(first)s; and %(count)d more problems"),
        )
        return Message(one if more == 1 else many, first=first, count=more)
    return first
