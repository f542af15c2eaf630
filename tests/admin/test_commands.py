"""The admin script as a person types it: a process of its own, its output, its exit status."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import config
from admin import show
from admin.person import who
from models.email import moves, retention
from models.owner import mailboxes
from models.owner.mailboxes import SentMail
from models.people import suppressions
from models.states import Status
from models.store import vault
from models.store.tables import Campaign, CampaignEmailQueue, CampaignLead, Mailbox
from tests import factories as make
from tests.dovecot import Dovecot
from tests.forking import admin
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.usefixtures("db")
EXAMPLES = config.ROOT / "examples"
LEADS = "email,name\nanna@leads.example,Anna\njan@leads.example,Jan\n"
CAMPAIGN = """
name = "Autumn"
subject = "Hello {{ name }}"
text = "Dear {{ name }}, how are you?"
mailboxes = ["ola@sender.example"]
window_start = "09:00"
window_end = "17:00"
weekdays = ["mon", "tue", "wed", "thu", "fri"]
delay_between_emails_seconds = 90
daily_limit = 50
"""


def done(*arguments: str, **environment: str) -> str:
    result = admin(*arguments, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def read(*arguments: str) -> Any:
    return json.loads(done(*arguments, "--json"))


def refused(*arguments: str, **environment: str) -> str:
    result = admin(*arguments, **environment)
    assert result.returncode == 1, result.stdout + result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result.stderr.strip()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    campaign, leads = tmp_path / "autumn.toml", tmp_path / "leads.csv"
    campaign.write_text(CAMPAIGN)
    leads.write_text(LEADS)
    return campaign, leads


@pytest.fixture
def mailbox() -> int:
    return make.a_mailbox("ola@sender.example")


class TestTheCatcher:
    def test_says_at_once_why_it_cannot_listen(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in refused("catcher", "--port", port)
        assert "cannot listen on 192.0.2.1:1025: Cannot assign" in refused("catcher", "--host", "192.0.2.1")
        assert refused("catcher", "--port", "80000") == "punktual: port: must be at most 65,535"


class TestMailboxes:
    def test_one_can_be_added_shown_paused_and_resumed(self) -> None:
        done(
            "mailbox", "add", "Ola@Sender.example", "--host", "smtp.sender.example", "--daily-limit", "40", "--no-check"
        )

        assert [it["address"] for it in read("mailbox", "list")] == ["ola@sender.example"]
        done("mailbox", "pause", "ola@sender.example")
        assert read("mailbox", "show", "ola@sender.example")["status"] == "paused"
        done("mailbox", "resume", "ola@sender.example")
        shown = read("mailbox", "show", "ola@sender.example")
        assert shown["status"] == "active"
        assert [(it["by"], it["verb"]) for it in shown["changes"]] == [(who(), it) for it in ("resume", "pause", "add")]

    def test_is_paused_with_a_reason(self, mailbox: int) -> None:
        done("mailbox", "pause", "ola@sender.example", "--reason", " she is on holiday ")

        latest = read("mailbox", "show", "ola@sender.example")["changes"][0]
        assert latest["sentence"] == f"{who()} paused it: she is on holiday"
        too_long = refused("mailbox", "pause", "ola@sender.example", "--reason", "x" * 1001)
        assert "a reason has at most 1000 characters" in too_long

    def test_its_password_comes_from_the_environment_and_is_stored_encrypted(self) -> None:
        add = (
            "mailbox",
            "add",
            "ola@sender.example",
            "--host",
            "h.example",
            "--daily-limit",
            "40",
            "--username",
            "ola",
            "--no-check",
        )

        done(*add, PUNKTUAL_MAILBOX_PASSWORD="s3cret-word")

        row = Mailbox.get()
        assert row.password_encrypted
        assert "s3cret-word" not in repr(row.__data__)
        assert "s3cret-word" not in done("mailbox", "show", "ola@sender.example", "--json")

    def test_the_same_one_twice_is_refused(self, mailbox: int) -> None:
        reason = refused("mailbox", "add", "OLA@sender.example", "--host", "h.example", "--daily-limit", "40")

        assert reason == "punktual: there is a mailbox ola@sender.example already"

    def test_warm_up_mails_count_towards_its_limit_and_can_be_said_twice(self, mailbox: int) -> None:
        done("warmup", "record", "ola@sender.example", "7")
        done("warmup", "record", "ola@sender.example", "7")
        done("warmup", "record", "ola@sender.example", "9", "--day", "2026-01-01")

        assert read("mailbox", "show", "ola@sender.example")["used_today"] == 7


class TestTheSentFolderOfAMailbox:
    ADD = (
        *("mailbox", "add", "ola@sender.example", "--host", "h.example", "--daily-limit", "40", "--username", "ola"),
        "--no-check",
    )
    PASSWORD = {"PUNKTUAL_MAILBOX_PASSWORD": "s3cret-word"}

    def shown(self) -> tuple[str | None, str | None, str | None]:
        line = read("mailbox", "show", "ola@sender.example")
        return line["imap"], line["imap_security"], line["sent_folder"]

    def test_can_be_told_when_it_is_added(self) -> None:
        done(*self.ADD, "--imap-host", "imap.example", "--sent-folder", "Wysłane", **self.PASSWORD)

        assert self.shown() == ("imap.example:993", "tls", "Wysłane")

    def test_can_be_told_changed_and_taken_back_later(self) -> None:
        done(*self.ADD, **self.PASSWORD)
        edit = ("mailbox", "edit", "ola@sender.example")

        done(*edit, "--imap-host", "imap.example", "--imap-port", "1993", "--sent-folder", "Wysłane")
        assert self.shown() == ("imap.example:1993", "tls", "Wysłane")
        done(*edit, "--sent-folder", "")
        assert self.shown() == ("imap.example:1993", "tls", None)
        done(*edit, "--imap-security", "starttls")
        assert self.shown() == ("imap.example:143", "starttls", None)
        done(*edit, "--name", "Ola")
        assert self.shown() == ("imap.example:143", "starttls", None)
        done(*edit, "--imap-host", "")
        assert self.shown() == (None, None, None)

    def test_wants_a_user_name(self, mailbox: int) -> None:
        reason = refused("mailbox", "edit", "ola@sender.example", "--imap-host", "imap.example")

        assert reason == "punktual: an IMAP server wants the mailbox's user name"

    def test_wants_a_host(self, mailbox: int) -> None:
        reason = refused("mailbox", "edit", "ola@sender.example", "--sent-folder", "Sent")

        assert reason == "punktual: the other IMAP options need --imap-host"

    def test_told_again_is_looked_into_again(self) -> None:
        done(*self.ADD, "--imap-host", "imap.example", **self.PASSWORD)
        email_id, _ = make.in_status(Status.UNKNOWN)
        ola = Mailbox.get(address="ola@sender.example")
        CampaignEmailQueue.update(mailbox=ola, evidence_sought_at=make.now()).execute()

        done("mailbox", "edit", "ola@sender.example", "--sent-folder", "Sent")

        assert make.row(email_id).evidence_sought_at is None


class TestCheckingAMailbox:
    @pytest.fixture
    def smtp(self) -> Iterator[SmtpServer]:
        with SmtpServer(security="starttls", credentials=("checker", Dovecot.password)) as running:
            yield running

    def add(self, smtp: SmtpServer, dovecot: Dovecot, **changes: Any) -> None:
        values: dict[str, Any] = {
            "smtp_host": "localhost",
            "smtp_port": smtp.port,
            "smtp_security": "starttls",
            "username": "checker",
            "password_encrypted": vault.encrypt(dovecot.password),
            "sent_mail": SentMail("localhost", dovecot.port, "none", None),
        }
        make.a_mailbox("ola@sender.example", **values | changes)

    def check(self, smtp: SmtpServer, folder: Path) -> subprocess.CompletedProcess[str]:
        assert smtp.certificate
        (folder / "trusted.pem").write_bytes(smtp.certificate.public)
        return admin("mailbox", "check", "ola@sender.example", SSL_CERT_FILE=str(folder / "trusted.pem"))

    def test_tells_that_both_servers_let_it_in_and_sends_nothing(
        self, smtp: SmtpServer, dovecot: Dovecot, tmp_path: Path
    ) -> None:
        self.add(smtp, dovecot)

        result = self.check(smtp, tmp_path)

        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines() == ["smtp  ok", "imap  ok, sent e-mails are in Sent"]
        assert [command.split()[0].upper() for command in smtp.commands] == ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]

    def test_tells_of_each_that_does_not_in_its_own_words(
        self, smtp: SmtpServer, dovecot: Dovecot, tmp_path: Path
    ) -> None:
        self.add(smtp, dovecot, password_encrypted=vault.encrypt("wr0ng-one"))

        result = self.check(smtp, tmp_path)

        assert result.returncode == 1
        assert result.stdout.splitlines() == [
            "smtp  auth: the server refuses the user name or password (535 5.7.8 wrong username or password): set them"
            " with `python -m admin mailbox edit --username`",
            "imap  login: [AUTHENTICATIONFAILED] Authentication failed.",
        ]
        assert "wr0ng-one" not in result.stdout + result.stderr

    def test_without_imap_is_fine(self, smtp: SmtpServer, dovecot: Dovecot, tmp_path: Path) -> None:
        self.add(smtp, dovecot, sent_mail=None)

        result = self.check(smtp, tmp_path)

        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[1] == "imap  not set up: unknown e-mails need a person's decision"


class TestAddingACampaign:
    def test_writes_a_draft_with_its_leads_in_order(self, files: tuple[Path, Path], mailbox: int) -> None:
        done("campaign", "add", str(files[0]), "--leads", str(files[1]))

        row = Campaign.get()
        assert (row.name, row.status, row.weekdays, row.window_start_minute) == (
            "Autumn",
            "draft",
            [0, 1, 2, 3, 4],
            540,
        )
        leads = CampaignLead.select().order_by(CampaignLead.position)
        assert [lead.address for lead in leads] == ["anna@leads.example", "jan@leads.example"]

    def test_says_what_a_reply_stops(self, files: tuple[Path, Path], mailbox: int) -> None:
        files[0].write_text(CAMPAIGN + "stop_in_all_campaigns = true\nstop_colleagues = true\n")

        done("campaign", "add", str(files[0]), "--leads", str(files[1]))

        assert done("campaign", "replies", "Autumn") == "a reply stops the lead and its colleagues in all campaigns\n"

    def test_the_example_can_be_added(self) -> None:
        for address in ("ola@warsztaty.example", "marek@warsztaty.example"):
            make.a_listening_mailbox(address=address)

        done("campaign", "add", str(EXAMPLES / "campaign.toml"), "--leads", str(EXAMPLES / "leads.csv"))

        assert CampaignLead.select().count() >= 24

    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("daily_limit = 50", "daily_limit = 0", "autumn.toml line 10: daily_limit: must be at least 1"),
            ('"17:00"', '"08:00"', "autumn.toml line 6: window_start, window_end: a window must start before"),
            ("ola@sender", "eva@sender", "autumn.toml line 5: mailboxes: there is no mailbox eva@sender.example"),
            ("Hello {{ name }}", "Hello {{ name", "autumn.toml: subject line 1"),
            ("Hello {{ name }}", "Hello {{ nick }}", "autumn.toml: subject line 1: 'nick' is undefined"),
            ('text = "Dear', 'text = { file = "nowhere.txt" }\n#', "nowhere.txt: there is no such file"),
            ("Autumn", "Au\\u001b[2Jtumn", "autumn.toml line 2: name: the name has a control character"),
            ("how are you?", "\\u0000", "autumn.toml: text line 1: there is a control character"),
            (
                "Dear {{ name }}",
                "{{ name" + "|upper" * 60 + " }}",
                "autumn.toml: text: the template is nested too deeply",
            ),
            ("Dear {{ name }}", "{{ name.__class__ }}", "autumn.toml: text line 1: '.' is not available"),
        ],
    )
    def test_a_mistake_in_the_campaign_file_is_named_and_nothing_is_written(
        self, files: tuple[Path, Path], mailbox: int, old: str, new: str, complaint: str
    ) -> None:
        files[0].write_text(CAMPAIGN.replace(old, new, 1))

        reason = refused("campaign", "add", str(files[0]), "--leads", str(files[1]))

        assert complaint in reason
        assert Campaign.select().count() == CampaignLead.select().count() == 0

    @pytest.mark.parametrize(
        ("leads", "complaint"),
        [
            ("name\nAnna\n", "punktual: leads.csv line 1: the header has no column `email`, only name"),
            (
                LEADS + '"evil@leads.example","Eve\r\nBcc: all@leads.example"\n',
                "line 4: 'name' has a line break, and the subject prints it; remove the line break",
            ),
            (LEADS + "eve@leads.example,\x1b[2JEve\n", "line 4: the name has a control character"),
            (LEADS + "eve@leads.example,\n", "leads.csv line 4: 'name' is empty"),
            (
                LEADS + "=?utf-8?q?x?=@leads.example,Eve\n",
                "line 4: '=?utf-8?q?x?=@leads.example' cannot be used in a header",
            ),
            (LEADS + "eve\u202e@leads.example,Eve\n", "line 4: email: "),
            ("email\x1b[2J,name\na@b.example,A\n", "line 1: email may be 'email\\x1b[2J'; say which with"),
            ("email,name\n" + "".join(f"a{n},b\n" for n in range(9)), "; and 6 more problems; nothing was imported"),
        ],
    )
    def test_a_mistake_in_the_leads_file_is_named_with_its_line_and_nothing_is_written(
        self, files: tuple[Path, Path], mailbox: int, leads: str, complaint: str
    ) -> None:
        files[1].write_text(leads, newline="")

        reason = refused("campaign", "add", str(files[0]), "--leads", str(files[1]))

        assert complaint in reason
        assert Campaign.select().count() == CampaignLead.select().count() == 0

    def test_a_byte_order_mark_is_no_part_of_the_first_column(self, files: tuple[Path, Path], mailbox: int) -> None:
        files[1].write_text(LEADS, encoding="utf-8-sig")

        done("campaign", "add", str(files[0]), "--leads", str(files[1]))

        assert CampaignLead.get().fields["email"] == "anna@leads.example"

    def test_the_same_name_twice_is_refused(self, files: tuple[Path, Path], mailbox: int) -> None:
        add = ("campaign", "add", str(files[0]), "--leads", str(files[1]))
        done(*add)

        assert refused(*add) == "punktual: there is a campaign 'Autumn' already"
        assert CampaignLead.select().count() == 2


class TestEditing:
    def test_a_campaigns_pace_can_be_changed_and_the_rest_stays(self, files: tuple[Path, Path], mailbox: int) -> None:
        done("campaign", "add", str(files[0]), "--leads", str(files[1]))

        done("campaign", "edit", "Autumn", "--daily-limit", "7", "--window-end", "12:30", "--weekdays", "sat,sun")

        row = Campaign.get()
        assert (row.daily_limit, row.window_start_minute, row.window_end_minute) == (7, 540, 750)
        assert (row.weekdays, row.delay_seconds, row.replan_reason) == ([5, 6], 90, "edited")

    def test_a_change_that_makes_no_sense_is_refused(self, files: tuple[Path, Path], mailbox: int) -> None:
        done("campaign", "add", str(files[0]), "--leads", str(files[1]))

        assert "must start before it ends" in refused("campaign", "edit", "Autumn", "--window-end", "08:00")
        assert "daily_limit" in refused("campaign", "edit", "Autumn", "--daily-limit", "0")

    def test_a_mailboxes_limit_can_be_changed_and_its_campaigns_are_planned_again(self, mailbox: int) -> None:
        campaign_id = make.a_campaign([mailbox])

        done("mailbox", "edit", "ola@sender.example", "--daily-limit", "3")

        assert Mailbox.get_by_id(mailbox).daily_limit == 3
        assert Campaign.get_by_id(campaign_id).replan_reason == "edited"


class TestAnEditThatMovesMails:
    EDIT = ("campaign", "edit", "Autumn", "--delay", "60")

    @pytest.fixture
    def planned(self, mailbox: int) -> list[int]:
        campaign_id = make.a_campaign([mailbox], leads=3, delay=3600)
        Campaign.update(name="Autumn").where(Campaign.id == campaign_id).execute()
        return make.planned(campaign_id, mailbox, *[make.now() + timedelta(hours=hours) for hours in (1, 2, 3)])

    def asked(self, answer: str) -> subprocess.CompletedProcess[bytes]:
        """As a person gives it, at a terminal."""
        terminal, its_other_end = os.openpty()
        os.write(terminal, answer.encode())
        try:
            command = [sys.executable, "-m", "admin", *self.EDIT]
            return subprocess.run(command, cwd=config.ROOT, stdin=its_other_end, capture_output=True)
        finally:
            os.close(terminal)
            os.close(its_other_end)

    def test_says_what_moves_and_asks_nobody_where_there_is_no_terminal(self, planned: list[int]) -> None:
        times = [show.moment(make.row(it).scheduled_at) for it in planned]

        told, changed = done(*self.EDIT).splitlines()

        assert re.fullmatch(
            rf"3 e-mails of 'Autumn' move: the first from {times[0]} to [-0-9: ]+,"
            rf" the last from {times[2]} to [-0-9: ]+",
            told,
        )
        assert changed == "changed 'Autumn'; its e-mails are being planned again"

    def test_is_not_given_where_the_person_at_the_terminal_says_no(self, planned: list[int]) -> None:
        result = self.asked("n\n")

        assert result.returncode == 1
        assert b"3 e-mails of 'Autumn' move" in result.stdout
        assert (Campaign.get().delay_seconds, Campaign.get().replan_reason) == (3600, None)

    def test_is_given_where_the_person_says_yes(self, planned: list[int]) -> None:
        assert self.asked("y\n").returncode == 0
        assert Campaign.get().delay_seconds == 60

    def test_of_a_mailbox_says_it_of_each_campaign(self, planned: list[int]) -> None:
        printed = done("mailbox", "edit", "ola@sender.example", "--gap", "5", "--yes").splitlines()

        assert printed[0].startswith("3 e-mails of 'Autumn' move: ")
        assert printed[1:] == ["changed ola@sender.example"]

    def test_says_nothing_where_nothing_moves(self, planned: list[int]) -> None:
        same = "nothing was changed: 'Autumn' has these settings already"
        assert done("campaign", "edit", "Autumn", "--delay", "3600").splitlines() == [same]
        done("campaign", "pause", "Autumn")
        before, after, later = done(*self.EDIT).splitlines()
        assert (before[:17], after[:17]) == ("before: 3 e-mails", "after:  3 e-mails")
        assert later == "changed 'Autumn'; its e-mails are planned again when it is resumed"


class TestACampaignsLife:
    def test_is_started_paused_resumed_and_cancelled(self, files: tuple[Path, Path], mailbox: int) -> None:
        done("campaign", "add", str(files[0]), "--leads", str(files[1]))

        for verb, status in [("start", "active"), ("pause", "paused"), ("resume", "active"), ("cancel", "cancelled")]:
            done("campaign", verb, "Autumn")
            assert read("campaign", "show", "Autumn")["status"] == status

        assert (
            refused("campaign", "resume", "Autumn") == "punktual: cannot resume the campaign 'Autumn': it is cancelled"
        )

    def test_tells_who_ordered_what_lately(self, files: tuple[Path, Path], mailbox: int) -> None:
        done("campaign", "add", str(files[0]), "--leads", str(files[1]))
        done("campaign", "edit", "Autumn", "--daily-limit", "40")
        done("campaign", "start", "Autumn")

        changes = read("campaign", "show", "Autumn")["changes"]

        assert [(it["by"], it["verb"]) for it in changes] == [(who(), verb) for verb in ("start", "edit", "add")]
        assert changes[1]["values"] == {"daily_limit": [50, 40]}
        assert changes[1]["sentence"] == f"{who()} changed the daily limit from 50 to 40"
        assert changes[1]["sentence"] in done("campaign", "show", "Autumn")

    def test_that_cannot_send_is_started_and_says_so_in_the_same_answer_and_in_every_list(
        self, files: tuple[Path, Path], mailbox: int
    ) -> None:
        file, leads = files
        done("campaign", "add", str(file), "--leads", str(leads))
        mailboxes.edit(mailbox, "tests", mailboxes.Edit(daily_limit=0))

        printed = done("campaign", "start", "Autumn")

        because = "waiting: all its mailboxes have a daily limit of 0"
        assert f"started 'Autumn'; nothing is sent yet: {because}" in printed
        assert because in done("campaign", "list")
        assert because in done("campaign", "show", "Autumn")
        assert because in (status := done("status"))
        assert "sends nothing: its daily limit is 0" in status

    def test_that_is_resumed_after_the_times_of_its_mails_is_said_to_be_planned_again(self, mailbox: int) -> None:
        campaign_id = make.a_campaign([mailbox])
        make.planned(campaign_id, mailbox, make.now() - timedelta(hours=5))
        name = Campaign.get_by_id(campaign_id).name
        done("campaign", "pause", name)

        assert done("campaign", "resume", name).strip() == f"resumed {name!r}; its e-mails are being planned again"

    def test_its_calendar_can_be_seen_before_it_starts(self, files: tuple[Path, Path], mailbox: int) -> None:
        done("campaign", "add", str(files[0]), "--leads", str(files[1]))

        calendar = read("campaign", "forecast", "Autumn")

        assert len(calendar) == 2
        assert Campaign.get().status == "draft"

    @pytest.mark.parametrize("broker", ["unknown", "refusing", "silent"])
    def test_is_started_also_while_the_broker_is_away(
        self, files: tuple[Path, Path], mailbox: int, broker: str
    ) -> None:
        done("campaign", "add", str(files[0]), "--leads", str(files[1]))
        with socket.create_server(("127.0.0.1", 0)) as silent:
            host = {
                "unknown": "nowhere.invalid",
                "refusing": "127.0.0.1:1",
                "silent": f"127.0.0.1:{silent.getsockname()[1]}",
            }[broker]
            url = f"amqp://ola:s3cret@{host}/"

            printed = done(
                *("campaign", "start", "Autumn"), PUNKTUAL_BROKER_URL=url, PUNKTUAL_BROKER_BLOCKED_TIMEOUT_SECONDS="3"
            )

        assert "started" in printed
        assert Campaign.get().status == "active"

    def test_an_unknown_one_is_refused(self) -> None:
        assert refused("campaign", "start", "Spring") == "punktual: there is no campaign 'Spring'"


class TestUntrustedText:
    """The server's words and the lead's fields reach a person's terminal as text, and never as commands to it."""

    EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"

    @pytest.mark.parametrize("json", [(), ("--json",)])
    def test_moves_no_cursor_in_any_reading_command(self, mailbox: int, json: tuple[str, ...]) -> None:
        email_id, held = make.in_status(Status.SENDING)
        content = f"Subject: =?utf-8?q?a=1b=5b2Jb=c2=9b?=\r\n\r\nDear {self.EVIL}lead"
        moves.hand_over(held, content.encode())
        moves.reject(held, make.no(550, f"no {self.EVIL}"))
        mailboxes.close(make.row(email_id).mailbox_id, f"421 {self.EVIL}", lambda faults: timedelta(hours=1))
        suppressions.add("anna@leads.example", f"she asked {self.EVIL}", "tests")
        Campaign.update(name=f"Autumn {self.EVIL}").execute()

        for command in [
            ("email", "show", str(email_id)),
            *(("email", "list"), ("mailbox", "list"), ("campaign", "list"), ("suppression", "list"), ("status",)),
            ("campaign", "show", Campaign.get().name),
            ("mailbox", "show", mailboxes.get(make.row(email_id).mailbox_id).address),
        ]:
            printed = done(*command, *json)
            assert "\\u001b" in printed, command
            assert not set(printed) & set("\x1b\x07\x9b\u202e"), command

    def test_moves_no_cursor_in_a_refusal(self) -> None:
        assert "\\x1b[2J" in refused("campaign", "show", "\x1b[2J")

    @pytest.mark.parametrize("name", ["Ola\nBcc: all@leads.example", "O" * 201])
    def test_a_senders_name_that_no_header_can_hold_is_refused_before_any_lead_fails_for_it(self, name: str) -> None:
        add = ("mailbox", "add", "eva@sender.example", "--host", "h.example", "--daily-limit", "4", "--no-check")

        assert "the name " in refused(*add, "--name", name)
        assert Mailbox.select().count() == 0


class TestEmails:
    def test_one_shows_its_whole_history_and_what_was_sent(self) -> None:
        email_id, _ = make.in_status(Status.SENT)

        shown = read("email", "show", str(email_id))

        assert [move["move"] for move in shown["history"]] == ["plan", "claim", "hand_over", "accept"]
        assert shown["status"] == "sent"
        assert shown["content"] == "Subject: hello\n\nDear lead"
        letter, ended = shown["conversation"].split(" → ")
        assert letter.startswith("letter 1 sent ")
        assert ended == "ended: all its letters were sent"

    def test_one_says_that_its_letter_was_deleted_because_of_its_age(self) -> None:
        email_id, _ = make.in_status(Status.SENT)
        make.everything_older(timedelta(days=90, minutes=1))
        retention.delete_letters(90)

        shown = read("email", "show", str(email_id))

        assert shown["content"] is None
        assert shown["content_gone"].endswith("90 days after it was handed over (retention.letters_days)")
        assert "its content is no longer kept: deleted on" in " ".join(done("email", "show", str(email_id)).split())

    def test_they_can_be_listed_by_campaign_and_status(self) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        make.in_status(Status.SENT)
        name = Campaign.get_by_id(make.row(email_id).campaign_id).name

        assert [it["id"] for it in read("email", "list", "--status", "unknown")] == [email_id]
        assert [it["id"] for it in read("email", "list", "--campaign", name)] == [email_id]
        assert len(read("email", "list")) == 2

    def test_an_unknown_one_can_be_settled_with_a_reason_under_ones_name(self) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)

        done("email", "settle", str(email_id), "--sent", "--reason", "seen in Sent", LOGNAME="ola")

        last = read("email", "show", str(email_id))["history"][-1]
        assert (last["move"], last["reason"], last["by"]) == ("settle", "seen in Sent", "ola")

    def test_settling_too_early_or_what_is_not_unknown_is_refused(self) -> None:
        unknown, _ = make.in_status(Status.UNKNOWN)
        sent, _ = make.in_status(Status.SENT)

        assert "may still get the server's answer" in refused(
            "email", "settle", str(unknown), "--again", "--reason", "x"
        )
        assert "only an unknown" in refused("email", "settle", str(sent), "--sent", "--reason", "x")

    def test_a_failed_one_can_be_tried_again_with_a_reason_under_ones_name(self) -> None:
        email_id, _ = make.in_status(Status.FAILED)

        done("email", "retry", str(email_id), "--reason", "the block is lifted", LOGNAME="ola")

        shown = read("email", "show", str(email_id))
        assert shown["status"] == "pending"
        last = shown["history"][-1]
        assert (last["move"], last["reason"], last["by"]) == ("reopen", "the block is lifted", "ola")

    def test_all_of_a_campaign_can_be_tried_again_by_code(self) -> None:
        email_id, _ = make.in_status(Status.FAILED)
        name = Campaign.get_by_id(make.row(email_id).campaign_id).name

        none = done("email", "retry", "--campaign", name, "--code", "550", "--enhanced", "5.1.1", "--reason", "x")
        one = done("email", "retry", "--campaign", name, "--code", "550", "--reason", "x")

        assert (none.strip(), one.strip()) == ("0 e-mails are planned again", "1 e-mails are planned again")

    def test_to_try_again_what_has_not_failed_or_without_saying_which_is_refused(self) -> None:
        sent, _ = make.in_status(Status.SENT)

        assert "only a failed one" in refused("email", "retry", str(sent), "--reason", "x")
        assert "requires a reason" in refused("email", "retry", str(make.in_status(Status.FAILED)[0]))

    def test_one_that_waits_for_another_attempt_says_until_when(self) -> None:
        claim = make.claimed(make.an_email())
        later = make.now() + timedelta(hours=2)
        moves.retry(claim.held, later, make.later(451))

        shown = read("email", "show", str(claim.held.email_id))

        assert (shown["deferred_until"], shown["error"]) == (shown["scheduled_at"], "451 later")

    def test_one_that_is_not_there_is_refused(self) -> None:
        assert refused("email", "show", "4711") == "punktual: there is no e-mail 4711"


class TestSuppressions:
    def test_an_address_can_be_suppressed_and_allowed_again(self) -> None:
        done("suppression", "add", "Anna@Leads.example", "--reason", "she asked us to")

        assert [it["address"] for it in read("suppression", "list")] == ["anna@leads.example"]
        done("suppression", "remove", "anna@leads.example")
        assert read("suppression", "list") == []


class TestOtherCommands:
    def test_status_says_everything_at_a_glance(self) -> None:
        make.in_status(Status.SENT)

        status = read("status")

        assert status["emails"]["sent"] == 1
        assert status["campaigns"][0]["standing"]["sentence"]
        assert "last tick" in done("status")

    def test_config_prints_the_settings_without_their_secrets(self) -> None:
        printed = done("config", PUNKTUAL_BROKER_URL="amqp://ola:s3cret@127.0.0.1/")

        assert "amqp://ola:***@127.0.0.1/" in printed
        assert os.environ["PUNKTUAL_SECRET_KEY"] not in printed

    def test_migrate_can_be_run_twice(self) -> None:
        assert done("migrate").strip() == "the schema is up to date"

    def test_a_wrong_setting_is_one_line(self) -> None:
        assert "worker.threads" in refused("status", PUNKTUAL_WORKER_THREADS="none")

    def test_a_database_that_is_away_is_one_line(self) -> None:
        reason = refused("status", PUNKTUAL_DATABASE_URL="postgresql://ola:s3cret@127.0.0.1:1/x")

        assert "the database does not answer" in reason
        assert "s3cret" not in reason
