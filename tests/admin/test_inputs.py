"""What is typed behind a command: what is wrong is told in one line, by the option's name, and ends with status 1."""

import re
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
from rich.console import Console

from admin import show
from admin.__main__ import main
from models.audit import changes
from models.owner import mailboxes
from models.states import Status
from models.store import database
from models.store.tables import Campaign, Mailbox, Suppression, WarmupCount
from scheduling.window import warsaw_day
from tests import factories as make

pytestmark = pytest.mark.usefixtures("db")

Typed = Callable[..., tuple[object, str]]
OLA = "ola@sender.example"
ADD = ("mailbox", "add", OLA, "--host", "smtp.sender.example", "--daily-limit", "40", "--no-check")
TOO_LONG = "99999999999999999999"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """The status, or what is told instead, and what was printed."""

    def type_(*words: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["admin", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        database.close()
        return ended.value.code, capsys.readouterr().out

    return type_


@pytest.fixture
def ola() -> int:
    return make.a_mailbox(OLA)


@pytest.fixture
def autumn(ola: int) -> int:
    campaign_id = make.a_campaign([ola], leads=2)
    Campaign.update(name="Autumn").execute()
    return campaign_id


class TestANumber:
    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            *(
                (("mailbox", "edit", OLA, "--gap", gap), f"gap seconds: must be {right}")
                for gap, right in (
                    ("1e300", "at most 86,400"),
                    ("inf", "at most 86,400"),
                    ("86401", "at most 86,400"),
                    ("-1", "at least 0"),
                    ("-inf", "at least 0"),
                    ("nan", "a number"),
                )
            ),
            (("mailbox", "edit", OLA, "--gap", "much"), "--gap: must be a number"),
            (("mailbox", "edit", OLA, "--daily-limit", "99999999999"), "daily limit: must be at most 1,000,000"),
            (("mailbox", "edit", OLA, "--daily-limit", "-1"), "daily limit: must be at least 0"),
            (("mailbox", "edit", OLA, "--daily-limit", "1.5"), "--daily-limit: must be a whole number"),
            (("mailbox", "edit", OLA, "--port", "0"), "smtp port: must be at least 1"),
            (("mailbox", "edit", OLA, "--port", "65536"), "smtp port: must be at most 65,535"),
            ((*ADD, "--port", "0"), "smtp port: must be at least 1"),
            ((*ADD, "--gap", "1e300"), "gap seconds: must be at most 86,400"),
            (
                (*ADD, "--username", "ola", "--imap-host", "i.example", "--imap-port", "0"),
                "imap port: must be at least 1",
            ),
            (("warmup", "record", OLA, "1000001"), "count: must be at most 1,000,000"),
            (("warmup", "record", OLA, TOO_LONG), "count: must be at most 1,000,000"),
            (("warmup", "record", "--", OLA, "-1"), "count: must be at least 0"),
            (("campaign", "edit", "Autumn", "--daily-limit", "0"), "the change: daily_limit: must be at least 1"),
            (
                ("campaign", "edit", "Autumn", "--daily-limit", TOO_LONG),
                "the change: daily_limit: must be at most 1,000,000",
            ),
            *(
                (
                    ("campaign", "edit", "Autumn", "--delay", delay),
                    f"the change: delay_between_emails_seconds: must be {right}",
                )
                for delay, right in (("1e12", "at most 604,800"), ("inf", "at most 604,800"), ("nan", "a number"))
            ),
            (("email", "show", TOO_LONG), f"there is no e-mail {TOO_LONG}"),
            (("email", "show", "0"), "there is no e-mail 0"),
            (("email", "show", "one"), "ID: must be a whole number"),
            (("email", "settle", TOO_LONG, "--sent", "--reason", "x"), f"there is no e-mail {TOO_LONG}"),
            (("email", "list", "--after", TOO_LONG), "--after: must be at most 9,223,372,036,854,775,807"),
            (("email", "list", "--limit", "0"), "--limit: must be at least 1"),
        ],
    )
    def test_beyond_its_bounds_is_told_and_nothing_is_written(
        self, typed: Typed, autumn: int, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], complaint: str
    ) -> None:
        monkeypatch.setenv("PUNKTUAL_MAILBOX_PASSWORD", "s3cret")
        if words[:2] == ("mailbox", "add"):
            words = (*words[:2], "eva@sender.example", *words[3:])
        before = (list(Mailbox.select().dicts()), list(Campaign.select().dicts()), WarmupCount.select().count())

        said, _ = typed(*words)

        assert str(said).startswith(f"punktual: {complaint}")
        assert "\n" not in str(said)
        assert (list(Mailbox.select().dicts()), list(Campaign.select().dicts()), WarmupCount.select().count()) == before


class TestWhatIsNotANumber:
    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            *(
                (("mailbox", "edit", OLA, "--host", host), f"--host: {host!r} is not a server name")
                for host in ("smtp .x", "", "smtp.x:587", "https://smtp.x", "-x.example", "a..b", "a\tb", "x" * 300)
                if len(host) < 80
            ),
            (("mailbox", "edit", OLA, "--imap-host", "imap x"), "--imap-host: 'imap x' is not a server name"),
            (("mailbox", "edit", OLA, "--username", ""), "--username: must not be empty"),
            (("mailbox", "edit", OLA, "--username", "o\x1bla"), "--username: the user name has a control character"),
            (
                ("mailbox", "edit", OLA, "--sent-folder", "Se\nnt"),
                "--sent-folder: the folder's name has a control character",
            ),
            (("mailbox", "edit", OLA), "give at least one option to change"),
            (("mailbox", "edit", OLA, "--name", " \u200b"), "--name: the name has no visible character"),
            (("campaign", "edit", "Autumn"), "give at least one option to change"),
            (("mailbox", "show", "ola"), "'ola' is not an e-mail address: it must have one @"),
            (("warmup", "record", OLA, "1", "--day", "2026-02-30"), "--day: '2026-02-30' is not a date like 2"),
            (("warmup", "record", OLA, "1", "--day", "17.11.2026"), "--day: '17.11.2026' is not a date like 2"),
            (("warmup", "record", OLA, "1", "--day", "0001-01-01"), "--day: 0001-01-01 is more than a year from today"),
            (("warmup", "record", OLA, "1", "--day", "9999-12-31"), "--day: 9999-12-31 is more than a year from today"),
            (("suppression", "add", "jan@x.example", "--reason", " "), "--reason: must have from 1 to 1000 characters"),
            (("suppression", "add", "jan@x.example", "--reason", "x" * 1001), "--reason: must have from 1 to 1000"),
            (("suppression", "add", "jan@x.example", "--reason", "a\x00b"), "the reason has a control character"),
            (
                ("suppression", "add", "jan@", "--reason", "x"),
                "'jan@' is not an e-mail address: there is nothing after",
            ),
            (("campaign", "edit", "Autumn", "--weekdays", ""), "the change: weekdays: '' is not one of mon"),
            (("campaign", "edit", "Autumn", "--window-start", ""), "the change: window_start: '' is not a time of day"),
            (("campaign", "start", "Aut\udcb3mn"), "the arguments are not UTF-8 text"),
            (("campaign", "start"), "Missing argument"),
            (("campaign", "begin", "Autumn"), "No such command 'begin'"),
            (("campaign", "start", "Autumn", "--soon"), "No such option: --soon"),
        ],
    )
    def test_and_makes_no_sense_is_told_and_nothing_is_written(
        self, typed: Typed, autumn: int, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], complaint: str
    ) -> None:
        monkeypatch.setenv("PUNKTUAL_MAILBOX_PASSWORD", "s3cret")
        before = list(Mailbox.select().dicts())

        said, _ = typed(*words)

        assert str(said).startswith(f"punktual: {complaint}")
        assert "\n" not in str(said)
        assert list(Mailbox.select().dicts()) == before
        assert Suppression.select().count() == WarmupCount.select().count() == 0

    @pytest.mark.parametrize("host", ["smtp.sender.example", "localhost", "127.0.0.1", "::1", "poczta.żółw.pl", "a_b."])
    def test_and_names_a_server_is_taken(self, typed: Typed, ola: int, host: str) -> None:
        assert typed("mailbox", "edit", OLA, "--host", host)[0] is None
        assert Mailbox.get_by_id(ola).smtp_host == host

    def test_weekdays_may_be_typed_with_spaces(self, typed: Typed, autumn: int) -> None:
        assert typed("campaign", "edit", "Autumn", "--weekdays", "Mon, tue")[0] is None
        assert Campaign.get_by_id(autumn).weekdays == [0, 1]

    def test_a_day_within_a_year_is_taken(self, typed: Typed, ola: int) -> None:
        yesterday = warsaw_day(database.clock()) - timedelta(days=1)

        assert typed("warmup", "record", OLA, "7", "--day", str(yesterday))[0] is None
        assert [(row.day, row.count) for row in WarmupCount.select()] == [(yesterday, 7)]


class TestAMistake:
    def test_of_postgres_about_a_value_is_not_told_as_an_outage(
        self, typed: Typed, ola: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mailboxes, "find", lambda address: database.fetch("SELECT 99999999999::integer"))

        assert typed("mailbox", "pause", OLA)[0] == (
            "punktual: the database refuses what was asked of it: integer out of range"
        )


class TestWhatIsShown:
    def test_is_whole_where_it_is_not_read_on_a_terminal(self, typed: Typed, ola: int) -> None:
        address = f"{'long.name.' * 5}x@{'subdomain.' * 10}leads.example"
        make.planned(make.a_campaign([ola], leads=[address]), ola, make.now())

        status, out = typed("email", "list")

        assert status is None
        assert address in out
        assert len(out.splitlines()) == 2

    def test_fits_a_terminal_and_is_whole_there_too(self, ola: int, monkeypatch: pytest.MonkeyPatch) -> None:
        address = f"{'long.name.' * 5}x@leads.example"
        screen = Console(width=80, force_terminal=True, color_system=None)
        monkeypatch.setattr(show, "console", screen)

        with screen.capture() as captured:
            show.table(("id", "lead", "status", "planned"), [(1, address, "pending", make.now())], "")

        lines = captured.get().splitlines()
        assert max(len(line) for line in lines) <= 80
        assert address in re.sub(r"pending|\d|[ :\n-]", "", "\n".join(lines[1:])).replace("planned", "")

    def test_a_letter_has_the_line_ends_of_a_text(self, typed: Typed) -> None:
        email_id, _ = make.in_status(Status.SENT)

        for json in ((), ("--json",)):
            out = typed("email", "show", str(email_id), *json)[1]
            assert "Dear lead" in out
            assert "\\u000d" not in out
            assert "\\r" not in out

    def test_a_change_has_its_values_as_they_are_given(self, typed: Typed, autumn: int, ola: int) -> None:
        typed("campaign", "edit", "Autumn", "--window-end", "17:05", "--weekdays", "mon,fri", "--delay", "5400")
        typed("mailbox", "edit", OLA, "--gap", "90")

        out = typed("campaign", "show", "Autumn")[1]
        assert "the window's end from 24:00 to 17:05" in out
        assert "the weekdays from mon,tue,wed,thu,fri,sat,sun to mon,fri" in out
        assert "the delay from 1 min to 1 h 30 min" in out
        assert "changed the gap from 0 s to 1 min 30 s" in typed("mailbox", "show", OLA)[1]

    @pytest.mark.parametrize("gap", [10**300, "Infinity", "NaN", 1e-9, -5, True, 0.5])
    def test_a_change_of_another_time_is_shown_whatever_it_holds(self, typed: Typed, ola: int, gap: object) -> None:
        changes._insert(Mailbox, ola, {"gap_seconds": [gap, 60], "weekdays": [9, [9]]}, "ola", "edit", None)

        assert typed("mailbox", "show", OLA)[0] is None


class TestFreezing:
    def test_is_told_listed_and_taken_back(self, typed: Typed) -> None:
        told = typed("freeze", "add", "2026-12-28", "2026-12-31", "--reason", "company holidays")[1]
        assert told == "frozen: 2026-12-28 to 2026-12-31; what is planned then is planned again\n"
        assert "2026-12-28  2026-12-31  company holidays" in typed("freeze", "list")[1]

        assert (
            typed("freeze", "remove", "2026-12-28", "2026-12-31")[1] == "2026-12-28 to 2026-12-31: no longer frozen\n"
        )
        assert typed("freeze", "list")[1] == "no day is frozen\n"

    @pytest.mark.parametrize(
        "days",
        [
            ("FIRST", "LAST"),
            ("FIRST", "--to", "LAST"),
            ("--from", "FIRST", "--to", "LAST"),
        ],
    )
    def test_of_all_and_of_one_mailbox_take_the_days_alike(self, typed: Typed, days: tuple[str, ...]) -> None:
        make.a_mailbox("ola@sender.example")
        first, last = (str(warsaw_day(make.now()) + timedelta(days=it)) for it in (10, 13))
        days = tuple({"FIRST": first, "LAST": last}.get(it, it) for it in days)

        assert f"frozen: {first} to {last}" in typed("freeze", "add", *days)[1]
        assert "no longer frozen" in typed("freeze", "remove", *days)[1]
        frozen = typed("mailbox", "freeze", "ola@sender.example", *days)[1]
        assert f"from {first} to {last}" in frozen

    @pytest.mark.parametrize(
        ("days", "complaint"),
        [
            ((), "give the first day and the last, like 2026-12-28 2026-12-31"),
            (("2026-12-28", "--from", "2026-12-29"), "is given as FIRST too; give it once"),
            (("2026-12-28", "2026-12-29", "--to", "2026-12-29"), "is given as LAST too; give it once"),
        ],
    )
    def test_of_days_that_are_not_said_or_said_twice_is_refused(
        self, typed: Typed, days: tuple[str, ...], complaint: str
    ) -> None:
        make.a_mailbox("ola@sender.example")

        assert complaint in str(typed("freeze", "add", *days)[0])
        assert complaint in str(typed("mailbox", "freeze", "ola@sender.example", *days)[0])

    @pytest.mark.parametrize("day", ["28.12.2026", "2026-02-30", "tomorrow"])
    def test_of_what_is_no_day_is_refused(self, typed: Typed, day: str) -> None:
        assert f"{day!r} is not a day like 2026-12-31" in str(typed("freeze", "add", day)[0])


class TestTheDaysOfACampaign:
    def test_holidays_and_its_end_are_edited(self, typed: Typed, autumn: int) -> None:
        typed("campaign", "edit", "Autumn", "--send-on-holidays", "--end-date", "2100-12-31")
        row = Campaign.get_by_id(autumn)
        assert (row.send_on_holidays, str(row.last_day)) == (True, "2100-12-31")

        typed("campaign", "edit", "Autumn", "--not-on-holidays", "--end-date", "none")
        row = Campaign.get_by_id(autumn)
        assert (row.send_on_holidays, row.last_day) == (False, None)

    def test_an_end_that_is_no_day_is_refused(self, typed: Typed, autumn: int) -> None:
        refused = typed("campaign", "edit", "Autumn", "--end-date", "31.12.2100")[0]

        assert str(refused) == "punktual: the change: end_date: '31.12.2100' is not a day like 2026-12-31"
