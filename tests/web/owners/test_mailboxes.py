"""The pages on which mailboxes are added, edited, frozen and tried."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from models.audit import changes
from models.owner import mailboxes
from models.states import MailboxStatus
from models.store import vault
from models.store.tables import Mailbox, MailboxFreeze
from scheduling.window import warsaw_day
from tests import factories as make
from tests.smtp_server import SmtpServer
from tests.web.owners.conftest import Owner, text, typed, wrong

OLA = "ola@sender.example"
SECRET = "a-secret-for-nobody"


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


def a_form(**fields: str) -> dict[str, Any]:
    usual = {"address": OLA, "host": "smtp.sender.example", "security": "starttls", "imap_security": "tls"}
    return {**usual, "daily_limit": "40", "gap": "60", **fields}


class TestANewMailbox:
    def test_is_added_with_what_is_usual(self, owner: Owner) -> None:
        where = owner.may(
            "/mailboxes/new",
            **a_form(
                name="Ola Nowak",
                username="ola",
                password=SECRET,
                imap_host="imap.sender.example",
                ramp_start="5",
                ramp_step="2",
            ),
        )

        row = mailboxes.find(OLA)
        assert where == f"/mailboxes/{row.id}"
        assert (row.smtp_port, row.imap_port, row.daily_limit, row.name) == (587, 993, 40, "Ola Nowak")
        assert vault.decrypt(row.password_encrypted or "") == SECRET
        assert (row.ramp_start, row.ramp_step, row.ramp_from) == (5, 2, warsaw_day(make.now()))
        assert changes.of_mailbox(row.id)[0].by == "web"

    @pytest.mark.parametrize(
        ("fields", "where", "said"),
        [
            ({"address": "ola@"}, "address", "is not an e-mail address"),
            ({"address": ""}, "address", "Is missing"),
            ({"host": "smtp x"}, "host", "is not a server name"),
            ({"host": ""}, "host", "Is missing"),
            ({"port": "0"}, "port", "Must be at least 1"),
            ({"port": "x"}, "port", "Must be a whole number"),
            ({"security": "sll"}, "security", "Choose one"),
            ({"security": "none"}, "security", "unencrypted"),
            ({"daily_limit": ""}, "daily_limit", "Is missing"),
            ({"daily_limit": "-1"}, "daily_limit", "Must be at least 0"),
            ({"gap": "x"}, "gap", "Must be a number"),
            ({"gap": "1e9"}, "gap", "Must be at most 86,400"),
            ({"username": "ola"}, "password", "Is missing"),
            ({"username": "a\nb", "password": "x"}, "username", "control"),
            ({"name": "x" * 500}, "name", "longer"),
            ({"imap_host": "imap.sender.example"}, "imap_host", "user name"),
            ({"ramp_start": "5"}, "ramp_step", "both"),
            ({"ramp_start": "5", "ramp_step": "0"}, "ramp_step", "Must be at least 1"),
        ],
    )
    def test_that_is_wrong_is_told_beside_its_field(
        self, owner: Owner, fields: dict[str, Any], where: str, said: str
    ) -> None:
        page = owner.may_not("/mailboxes/new", **a_form(**fields))

        assert said in wrong(page)[where]
        assert typed(page, "gap") == fields.get("gap", "60")
        assert not Mailbox.select().exists()

    def test_of_an_address_that_there_is_is_refused(self, owner: Owner) -> None:
        make.a_mailbox(OLA)

        assert "already" in wrong(owner.may_not("/mailboxes/new", **a_form()))["address"]

    def test_never_gives_a_password_back(self, owner: Owner, capfd: pytest.CaptureFixture[str]) -> None:
        refused = owner.may_not("/mailboxes/new", **a_form(username="ola", password=SECRET, port="x"))
        where = owner.may("/mailboxes/new", **a_form(username="ola", password=SECRET))
        pages = refused + owner.browser.get(where).text + owner.browser.get("/mailboxes").text

        assert SECRET not in pages
        assert vault.encrypt(SECRET)[:5] not in pages
        assert SECRET not in "".join(capfd.readouterr())

    def test_is_tried_first_and_a_server_that_does_not_let_it_in_is_told(
        self, owner: Owner, server: SmtpServer
    ) -> None:
        local = {"host": "127.0.0.1", "security": "none", "port": str(server.port), "check": "yes"}

        page = owner.may_not("/mailboxes/new", **a_form(**{**local, "port": "1"}))
        assert set(wrong(page)) == {"check"}
        assert "SMTP" in text(page)
        owner.may("/mailboxes/new", **a_form(**local))

        assert mailboxes.find(OLA).smtp_port == server.port

    def test_is_added_untried_if_that_is_wanted(self, owner: Owner) -> None:
        owner.may("/mailboxes/new", **a_form(host="127.0.0.1", security="none", port="1"))

        assert mailboxes.find(OLA)


class TestAMailbox:
    def limits(self, **fields: str) -> dict[str, Any]:
        return {"form": "limits", "name": "Ola", "daily_limit": "1000", "gap": "0", **fields}

    def test_gets_another_limit_after_it_was_seen_which_emails_move(self, owner: Owner) -> None:
        mailbox_id = make.a_mailbox(OLA)
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        make.planned(campaign_id, mailbox_id, *(make.now() + timedelta(minutes=n) for n in (1, 2, 3)))

        answer = owner.sends(f"/mailboxes/{mailbox_id}/limits", **self.limits(daily_limit="1"))
        assert "planned e-mails move" in text(answer.text)
        assert mailboxes.get(mailbox_id).daily_limit == 1000
        [agreed] = [it.partition('"')[0] for it in answer.text.split('name="agreed" value="')[1:]]
        owner.may(f"/mailboxes/{mailbox_id}/limits", **self.limits(daily_limit="1", agreed=agreed))

        assert mailboxes.get(mailbox_id).daily_limit == 1

    def test_agreed_to_is_what_was_seen_and_nothing_else(self, owner: Owner) -> None:
        mailbox_id = make.a_mailbox(OLA)
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        make.planned(campaign_id, mailbox_id, *(make.now() + timedelta(minutes=n) for n in (1, 2, 3)))
        answer = owner.sends(f"/mailboxes/{mailbox_id}/limits", **self.limits(daily_limit="2"))
        [agreed] = [it.partition('"')[0] for it in answer.text.split('name="agreed" value="')[1:]]

        answer = owner.sends(f"/mailboxes/{mailbox_id}/limits", **self.limits(daily_limit="1", agreed=agreed))

        assert answer.status_code == 200
        assert mailboxes.get(mailbox_id).daily_limit == 1000

    def test_gets_and_loses_a_ramp(self, owner: Owner) -> None:
        mailbox_id = make.a_mailbox(OLA)

        owner.may(f"/mailboxes/{mailbox_id}/limits", **self.limits(ramp_start="5", ramp_step="2"))
        assert mailboxes.get(mailbox_id).ramp_step == 2
        owner.may(f"/mailboxes/{mailbox_id}/limits", **self.limits())

        assert mailboxes.get(mailbox_id).ramp_start is None

    def test_keeps_its_password_unless_another_is_given(self, owner: Owner) -> None:
        mailbox_id = make.a_listening_mailbox()
        row = mailboxes.get(mailbox_id)
        form = {"form": "login", "host": "smtp.new.example", "security": "tls", "imap_security": "tls"}
        form |= {"username": "ola", "imap_host": "imap.new.example"}

        owner.may(f"/mailboxes/{mailbox_id}/login", **form)
        changed = mailboxes.get(mailbox_id)
        assert (changed.smtp_host, changed.smtp_port, changed.imap_host) == (
            "smtp.new.example",
            465,
            "imap.new.example",
        )
        assert changed.password_encrypted == row.password_encrypted
        owner.may(f"/mailboxes/{mailbox_id}/login", **form, password=SECRET)

        assert vault.decrypt(mailboxes.get(mailbox_id).password_encrypted or "") == SECRET

    @pytest.mark.parametrize(
        ("fields", "where"),
        [({"username": "other"}, "password"), ({"username": ""}, "username"), ({"host": "a b"}, "host")],
    )
    def test_does_not_get_a_login_that_cannot_be_right(self, owner: Owner, fields: dict[str, Any], where: str) -> None:
        mailbox_id = make.a_listening_mailbox()
        form = {
            "form": "login",
            "host": "smtp.new.example",
            "security": "tls",
            "imap_security": "tls",
            "username": "ola",
        }

        page = owner.may_not(f"/mailboxes/{mailbox_id}/login", **{**form, **fields})

        assert where in wrong(page)

    def test_keeps_its_inbox_while_a_campaign_follows_up_from_it(self, owner: Owner) -> None:
        mailbox_id = make.a_listening_mailbox()
        make.a_campaign([mailbox_id], follow_ups=["1 day"])
        form = {"form": "login", "host": "smtp.new.example", "security": "tls", "imap_security": "tls"}

        page = owner.may_not(f"/mailboxes/{mailbox_id}/login", **form, username="ola", imap_host="")

        assert "must keep its IMAP settings" in wrong(page)["imap_host"]

    def test_is_frozen_for_days_and_that_is_taken_back(self, owner: Owner) -> None:
        mailbox_id = make.a_mailbox(OLA)
        today = warsaw_day(make.now())
        days = {"first": str(today), "last": str(today + timedelta(days=3))}

        owner.may(f"/mailboxes/{mailbox_id}/freeze", form="freeze", **days)
        [frozen] = MailboxFreeze.select()
        assert (frozen.first_day, frozen.last_day) == (today, today + timedelta(days=3))
        owner.may(f"/mailboxes/{mailbox_id}/unfreeze", form="unfreeze")

        assert not MailboxFreeze.select().exists()

    @pytest.mark.parametrize(
        ("first", "last", "where"),
        [("", "2026-01-01", "first"), ("tomorrow", "x", "first"), ("9999-01-01", "9999-01-01", "first")],
    )
    def test_is_not_frozen_for_no_days(self, owner: Owner, first: str, last: str, where: str) -> None:
        page = owner.may_not(f"/mailboxes/{make.a_mailbox()}/freeze", form="freeze", first=first, last=last)

        assert where in wrong(page)

    def test_is_not_frozen_backwards(self, owner: Owner) -> None:
        today = warsaw_day(make.now())
        form = {"first": str(today + timedelta(days=2)), "last": str(today + timedelta(days=1))}

        page = owner.may_not(f"/mailboxes/{make.a_mailbox()}/freeze", form="freeze", **form)

        assert "before it begins" in wrong(page)["last"]

    def test_is_paused_with_a_reason_and_resumed(self, owner: Owner) -> None:
        mailbox_id = make.a_mailbox(OLA)

        owner.may(f"/mailboxes/{mailbox_id}/pause", reason="on leave")
        assert mailboxes.get(mailbox_id).status == MailboxStatus.PAUSED
        assert "on leave" in owner.sees(f"/mailboxes/{mailbox_id}")
        owner.may(f"/mailboxes/{mailbox_id}/resume")

        assert mailboxes.get(mailbox_id).status == MailboxStatus.ACTIVE

    def test_tells_what_its_servers_say(self, owner: Owner, server: SmtpServer) -> None:
        mailbox_id = make.a_mailbox(smtp_host="127.0.0.1", smtp_port=server.port)

        answer = owner.sends(f"/mailboxes/{mailbox_id}/check")

        assert "SMTP ok" in text(answer.text)
        told = text(owner.sends(f"/mailboxes/{mailbox_id}/check?lang=pl").text)
        assert "IMAP brak serwera: o wiadomościach o nieznanym wyniku musi zdecydować człowiek" in told
        assert server.accepted == []

    def test_that_there_is_not_is_not_found(self, owner: Owner) -> None:
        for path in ("", "/limits", "/login", "/freeze", "/check", "/pause"):
            answer = owner.sends(f"/mailboxes/99{path}") if path else owner.browser.get("/mailboxes/99")
            assert answer.status_code == 404
