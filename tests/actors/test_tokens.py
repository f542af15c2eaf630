"""OAuth2 tokens of mailboxes: kept, renewed once, and whose fault it is when there is none."""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from dramatiq import get_broker

from actors import deliver as pipeline
from actors.inbox import read_inboxes
from actors.tokens import renew_tokens
from logins import send_test, servers, tokens
from mail import oauth
from mail.oauth import App, Provider
from models.email.claims import Access
from models.owner import authorizations, mailboxes, notices
from models.owner.authorizations import Authorization
from models.owner.mail_tests import TestMailRefused
from models.owner.mailboxes import SentMail
from models.owner.notices import Kind
from models.states import Status
from models.store import database, vault
from models.store.tables import CampaignEmailQueue, Change, Inbox, Mailbox, MailboxAuthorization, Notice
from reasons import Code
from tests import factories as make
from tests.conftest import Override
from tests.login_server import LoginServer, login_server, no
from tests.servers import lock_waits
from tests.smtp_server import SmtpServer
from tests.waiting import BOUND, until

OLA = "ola@sender.example"
APP = App(Provider.MICROSOFT, "an-app")
ENDED = timedelta(0)
MA, Q = MailboxAuthorization, CampaignEmailQueue


@pytest.fixture
def provider(db: None, settings: Override, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginServer]:
    with login_server(settings, monkeypatch.setenv) as server:
        yield server
    get_broker().flush_all()


@pytest.fixture
def smtp(provider: LoginServer) -> Iterator[SmtpServer]:
    with SmtpServer(is_token_of=provider.is_token_of, mechanisms="XOAUTH2") as server:
        yield server


def a_mailbox(provider: LoginServer, port: int = 2525, lasts: timedelta = timedelta(hours=1)) -> int:
    """One whose owner has consented. lasts: how long the token is still valid, as the row says."""
    device = oauth.begin_on_device(APP)
    provider.consents()
    got = oauth.finish_on_device(APP, device, lambda _: None)
    provider.forms.clear()
    mailbox_id = make.a_mailbox(smtp_port=port)
    make.authorize(mailbox_id, got.access, str(got.refresh), lasts=lasts)
    return mailbox_id


def a_mail(mailbox_id: int) -> int:
    [email_id] = make.planned(make.a_campaign([mailbox_id]), mailbox_id, make.now())
    return email_id


def deliver(email_id: int) -> CampaignEmailQueue:
    pipeline.deliver(email_id, round(make.row(email_id).scheduled_at.timestamp() * 1000))
    return make.row(email_id)


def stored(mailbox_id: int) -> Authorization:
    found = authorizations.of(mailbox_id)
    assert found
    return found


def end_token(mailbox_id: int) -> None:
    MA.update(access_ends_at=make.now()).where(MA.mailbox == mailbox_id).execute()


class TestAMail:
    def test_is_sent_with_the_token_that_is_kept(self, provider: LoginServer, smtp: SmtpServer) -> None:
        mailbox_id = a_mailbox(provider, smtp.port)

        assert deliver(a_mail(mailbox_id)).status == Status.SENT

        assert smtp.logins == ["XOAUTH2"]
        assert provider.forms == []

    @pytest.mark.parametrize("left", [ENDED, timedelta(seconds=60)])
    def test_has_it_renewed_shortly_before_it_ends_and_the_next_one_does_not(
        self, provider: LoginServer, smtp: SmtpServer, left: timedelta
    ) -> None:
        mailbox_id = a_mailbox(provider, smtp.port, lasts=left)
        before = stored(mailbox_id)

        assert [deliver(a_mail(mailbox_id)).status for _ in range(2)] == [Status.SENT] * 2

        [form] = provider.forms
        assert form["refresh_token"] == vault.decrypt(before.refresh_token_encrypted)
        after = stored(mailbox_id)
        assert vault.decrypt(after.refresh_token_encrypted) in provider.refresh  # the new one, as they rotate
        assert provider.is_token_of(OLA, vault.decrypt(after.access_token_encrypted))
        assert after.access_ends_at > make.now() + timedelta(minutes=59)

    def test_from_its_row_and_from_a_claim_has_the_same_login(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider)
        claim = make.claimed(a_mail(mailbox_id))

        found = [servers.smtp(claim), servers.smtp(mailboxes.get(mailbox_id))]

        assert found[0] == found[1]
        assert (found[0].username, found[0].password) == (OLA, None)
        assert provider.is_token_of(OLA, str(found[0].token))

    def test_whose_token_the_mail_server_refuses_gets_another_one_the_next_time(
        self, provider: LoginServer, smtp: SmtpServer
    ) -> None:
        mailbox_id = a_mailbox(provider, smtp.port)
        provider.access.clear()
        email_id = a_mail(mailbox_id)

        assert deliver(email_id).status == Status.PENDING
        row = mailboxes.get(mailbox_id)
        assert row.closed_reason_code == Code.TOKEN_NOT_ACCEPTED
        mailboxes.resume(mailbox_id, "ola")
        make.rested(make.row(email_id).campaign_id)

        assert deliver(email_id).status == Status.SENT
        assert len(provider.forms) == 1


class TestNoNewToken:
    @pytest.mark.parametrize(
        ("answer", "code", "phase"),
        [
            (no("invalid_grant", "AADSTS50173: the password was changed"), Code.ACCESS_ENDED, "auth"),
            (no("invalid_client", "AADSTS7000222: the secret has expired", 401), Code.APP_REFUSED, "auth"),
            ((500, b"oops"), Code.LOGIN_SERVER_AWAY, "connect"),
        ],
    )
    def test_closes_the_mailbox_costs_the_mail_nothing_and_raises_a_notice(
        self, provider: LoginServer, smtp: SmtpServer, answer: tuple[int, bytes], code: Code, phase: str
    ) -> None:
        mailbox_id = a_mailbox(provider, smtp.port, lasts=ENDED)
        provider.next_answers = [answer]

        mail = deliver(a_mail(mailbox_id))

        assert (mail.status, mail.attempts, mail.error) == (Status.PENDING, 0, None)
        row = mailboxes.get(mailbox_id)
        assert (row.closed_reason_code, row.closed_phase, row.faults) == (code, phase, 1)
        assert row.closed_until > make.now()
        assert smtp.connections == 0
        notices.refresh()
        [notice] = Notice.select()
        assert (notice.kind, notice.subject) == (Kind.MAILBOX, mailbox_id)

    def test_is_over_once_the_login_server_is_back(self, provider: LoginServer, smtp: SmtpServer) -> None:
        mailbox_id = a_mailbox(provider, smtp.port, lasts=ENDED)
        provider.next_answers = [(503, b"")] * 2
        email_id = a_mail(mailbox_id)
        pauses = []
        for _ in range(2):
            deliver(email_id)
            pauses.append(mailboxes.get(mailbox_id).closed_until - make.now())
            Mailbox.update(closed_until=make.now()).where(Mailbox.id == mailbox_id).execute()
            make.rested(make.row(email_id).campaign_id)

        assert deliver(email_id).status == Status.SENT
        assert pauses[1] > pauses[0]
        assert mailboxes.get(mailbox_id).faults == 0

    def test_because_the_key_is_another_is_the_mailboxs_fault(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        MA.update(refresh_token_encrypted="gAAAA-of-another-key").execute()

        assert deliver(a_mail(mailbox_id)).status == Status.PENDING

        assert mailboxes.get(mailbox_id).closed_reason_code == Code.SECRET_KEY_CHANGED

    def test_because_another_process_takes_long_to_renew_it_is_nobodys_fault(
        self, provider: LoginServer, smtp: SmtpServer, settings: Override
    ) -> None:
        mailbox_id = a_mailbox(provider, smtp.port, lasts=ENDED)
        email_id = a_mail(mailbox_id)
        settings(DATABASE_LOCK_TIMEOUT_SECONDS=0.2)
        database.close()
        with another_that_renews(mailbox_id):
            database.open_database("tests")

            mail = deliver(email_id)

        # The settings of sessions to come are those with which it was opened last.
        settings(DATABASE_LOCK_TIMEOUT_SECONDS=5)
        database.open_database("tests")
        assert (mail.status, mail.attempts) == (Status.PENDING, 0)
        assert mailboxes.get(mailbox_id).closed_until is None


class another_that_renews:
    """A process that holds the lock of this mailbox."""

    def __init__(self, mailbox_id: int) -> None:
        self._mailbox_id = mailbox_id
        self._holds, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        try:
            with authorizations.lock(self._mailbox_id):
                self._holds.set()
                self._over.wait(BOUND)
        finally:
            database.close()

    def __enter__(self) -> None:
        self._thread.start()
        assert self._holds.wait(BOUND)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class TestTwoWorkersAtOnce:
    def test_ask_for_one_token(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        provider.held = threading.Event()
        found: list[str] = []

        def work() -> None:
            try:
                found.append(str(servers.smtp(mailboxes.get(mailbox_id)).token))
            finally:
                database.close()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: len(provider.forms) == 1 and lock_waits() == 2, "one to ask and two to wait for it")
        provider.held.set()
        for thread in threads:
            thread.join()

        assert len(set(found)) == 1
        assert len(found) == 3
        assert len(provider.forms) == 1

    def test_keep_what_an_owner_authorized_meanwhile(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        old = stored(mailbox_id)
        make.authorize(mailbox_id, "newer-access", "newer-refresh")

        authorizations.renew(old, vault.encrypt("older"), timedelta(hours=1), vault.encrypt("older"), None)

        assert vault.decrypt(stored(mailbox_id).access_token_encrypted) == "newer-access"
        assert vault.decrypt(stored(mailbox_id).refresh_token_encrypted) == "newer-refresh"

    def test_do_not_distrust_what_another_has_just_got(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider)

        tokens.distrust(mailbox_id, Access(vault.encrypt("an older one"), make.now()))

        assert stored(mailbox_id).access_ends_at > make.now() + timedelta(minutes=50)


class TestInAdvance:
    def test_a_token_that_ends_before_the_next_mail_is_renewed(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=timedelta(minutes=10))
        a_mail(mailbox_id)

        renew_tokens()

        assert len(provider.forms) == 1
        assert stored(mailbox_id).access_ends_at > make.now() + timedelta(minutes=50)

    def test_neither_one_that_lasts_nor_one_that_nothing_waits_for_is(self, provider: LoginServer) -> None:
        a_mail(a_mailbox(provider))
        a_mailbox(provider, lasts=timedelta(minutes=10))

        renew_tokens()

        assert provider.forms == []

    def test_an_idle_mailbox_keeps_its_consent(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        MA.update(renewed_at=make.now() - timedelta(days=2)).execute()

        renew_tokens()
        renew_tokens()

        assert len(provider.forms) == 1
        assert stored(mailbox_id).access_ends_at > make.now()

    def test_a_consent_that_has_ended_closes_the_mailbox_before_a_mail_needs_it(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        MA.update(renewed_at=make.now() - timedelta(days=2)).execute()
        provider.revoke()

        renew_tokens()
        renew_tokens()  # not while it is closed

        assert len(provider.forms) == 1
        row = mailboxes.get(mailbox_id)
        assert (row.closed_reason_code, row.closed_phase) == (Code.ACCESS_ENDED, "auth")
        assert notices.any_due()

    def test_a_login_server_that_is_away_closes_nothing(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=timedelta(minutes=10))
        a_mail(mailbox_id)
        provider.next_answers = [(500, b"")]

        renew_tokens()

        assert mailboxes.get(mailbox_id).closed_until is None

    def test_one_that_fails_does_not_stop_the_others(self, provider: LoginServer) -> None:
        broken, works = (a_mailbox(provider, lasts=timedelta(minutes=number)) for number in (5, 10))
        for mailbox_id in (broken, works):
            a_mail(mailbox_id)
        MA.update(refresh_token_encrypted="gAAAA-of-another-key").where(MA.mailbox == broken).execute()

        renew_tokens()

        assert stored(works).access_ends_at > make.now() + timedelta(minutes=50)

    @pytest.mark.parametrize("status", ["paused", "closed"])
    def test_one_that_does_not_send_is_left_alone(self, provider: LoginServer, status: str) -> None:
        mailbox_id = a_mailbox(provider, lasts=timedelta(minutes=10))
        a_mail(mailbox_id)
        if status == "paused":
            mailboxes.pause(mailbox_id, "ola")
        else:
            Mailbox.update(closed_until=make.now() + timedelta(hours=1)).execute()

        renew_tokens()

        assert provider.forms == []


class TestAConsentThatHasEnded:
    @pytest.fixture
    def mailbox_id(self, provider: LoginServer) -> int:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        provider.revoke()
        return mailbox_id

    def test_is_a_failed_look_into_its_inbox_and_the_next_inbox_is_read(self, mailbox_id: int) -> None:
        nowhere = SentMail("127.0.0.1", 1, "none", None)
        mailboxes.edit(mailbox_id, "tests", mailboxes.Edit(sent_mail=nowhere))
        other = make.a_mailbox(username="jan", sent_mail=nowhere)

        read_inboxes()

        failed = {row.mailbox.id: str(row.failed_reason) for row in Inbox.select().where(Inbox.failures == 1)}
        assert failed.keys() == {mailbox_id, other}
        assert "AADSTS700082" in failed[mailbox_id]

    def test_refuses_a_test_mail_with_its_reason(self, mailbox_id: int) -> None:
        with pytest.raises(TestMailRefused, match=r"@sender\.example cannot send it: .*AADSTS700082"):
            send_test.send(None, mailbox_id, "ewa@firm.example", "ola", lambda _: b"Subject: hello\r\n\r\n")


class TestAConsentThatEnds:
    @pytest.mark.parametrize(("days", "told"), [(2, True), (10, False), (None, False)])
    def test_raises_a_notice_some_days_before(self, db: None, days: int | None, told: bool) -> None:
        mailbox_id = make.a_mailbox()
        make.authorize(mailbox_id, consent_lasts=None if days is None else timedelta(days=days))

        notices.refresh()

        assert [(it.kind, it.subject) for it in Notice.select()] == ([(Kind.CONSENT, mailbox_id)] if told else [])

    def test_is_told_by_the_provider_with_each_new_token(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        provider.extra = {"refresh_token_expires_in": 86_400}

        tokens.current(mailbox_id, stored(mailbox_id).access)

        ends = stored(mailbox_id).consent_ends_at
        assert ends is not None
        assert timedelta(hours=23) < ends - make.now() <= timedelta(hours=24)

    def test_stays_known_if_the_refresh_token_stays(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        ends = make.now() + timedelta(days=5)
        MA.update(consent_ends_at=ends).execute()
        provider.gives_refresh_tokens = False

        tokens.current(mailbox_id, stored(mailbox_id).access)

        assert stored(mailbox_id).consent_ends_at == ends

    def test_of_an_earlier_refresh_token_is_not_that_of_the_new_one(self, provider: LoginServer) -> None:
        mailbox_id = a_mailbox(provider, lasts=ENDED)
        MA.update(consent_ends_at=make.now() + timedelta(days=5)).execute()

        tokens.current(mailbox_id, stored(mailbox_id).access)

        assert stored(mailbox_id).consent_ends_at is None


class TestALoginIsOneOrTheOther:
    def test_a_consent_removes_the_password(self, db: None) -> None:
        mailbox_id = make.a_mailbox(username="ola", password_encrypted=vault.encrypt("s3cret"))

        make.authorize(mailbox_id)

        row = mailboxes.get(mailbox_id)
        assert (row.username, row.password_encrypted) == (OLA, None)

    def test_a_password_removes_the_consent(self, db: None) -> None:
        mailbox_id = make.a_mailbox()
        make.authorize(mailbox_id)

        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(username="ola", password_encrypted=vault.encrypt("s3cret")))

        assert authorizations.of(mailbox_id) is None
        assert servers.smtp(mailboxes.get(mailbox_id)).password == "s3cret"

    def test_another_setting_leaves_it(self, db: None) -> None:
        mailbox_id = make.a_mailbox()
        make.authorize(mailbox_id)

        mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(daily_limit=7, smtp_host="smtp.office365.com"))

        assert authorizations.of(mailbox_id)

    def test_a_new_consent_opens_a_closed_mailbox(self, db: None) -> None:
        mailbox_id = make.a_mailbox()
        make.authorize(mailbox_id)
        mailboxes.close(mailbox_id, "no token", lambda _: timedelta(hours=1))

        make.authorize(mailbox_id)

        row = mailboxes.get(mailbox_id)
        assert (row.closed_until, row.faults) == (None, 0)


def test_no_secret_stands_in_a_row_or_a_log(
    provider: LoginServer, smtp: SmtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Of all that was said on the way to a sent mail, at the finest level that the log has."""
    caplog.set_level(logging.DEBUG)
    mailbox_id = a_mailbox(provider, smtp.port, lasts=ENDED)
    deliver(a_mail(mailbox_id))
    secrets = [*provider.access, *provider.refresh, *(form["refresh_token"] for form in provider.forms)]
    assert len(secrets) >= 3

    tables = [name for (name,) in database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    rows = [text for name in tables for (text,) in database.fetch(f'SELECT it::text FROM "{name}" it')]
    written = "\n".join([*rows, caplog.text, repr(stored(mailbox_id)), *(str(it.values) for it in Change.select())])
    assert not [secret for secret in secrets if secret in written or secret[:20] in written]
