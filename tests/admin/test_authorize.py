"""`mailbox authorize`: an owner consents, and only a consent of this very mailbox is kept."""

import json
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import typer

from admin import authorize
from admin.authorize import Flow
from mail.oauth import App, Provider
from models.audit import changes
from models.owner import authorizations, mailboxes
from models.owner.mailboxes import MailboxInvalid, SentMail
from models.store import database, vault
from tests import factories as make
from tests.conftest import Override
from tests.forking import admin
from tests.login_server import LoginServer, login_server
from tests.smtp_server import SmtpServer
from tests.waiting import BOUND, until

OLA = "ola@sender.example"
SECRET = "GOCSPX-n0t-really-secret"
APP = App(Provider.MICROSOFT, "an-app", None, "sender.example")


@pytest.fixture
def provider(db: None, settings: Override, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginServer]:
    with login_server(settings, monkeypatch.setenv) as server:
        server.clients["a-desktop-app"] = SECRET
        yield server


@pytest.fixture
def smtp(provider: LoginServer) -> Iterator[SmtpServer]:
    with SmtpServer(is_token_of=provider.is_token_of, mechanisms="XOAUTH2") as server:
        yield server


@pytest.fixture
def mailbox(smtp: SmtpServer) -> int:
    return make.a_mailbox(OLA, smtp_port=smtp.port)


def by_code(provider: LoginServer, mailbox: int, username: str = OLA) -> None:
    """The command's own steps, with a person who enters the code while it waits."""
    got = authorize.by_code(APP, OLA, lambda _: provider.consents())
    authorize.store(mailboxes.get(mailbox), username, APP, got)


class TestByACode:
    def test_the_whole_command_tells_what_to_do_and_shows_no_secret(self, provider: LoginServer, mailbox: int) -> None:
        provider.consents_at_once, provider.interval = True, 1

        done = admin("mailbox", "authorize", OLA, "--provider", "microsoft", "--client-id", "an-app")

        assert done.returncode == 0, done.stderr
        assert "Open https://login.example/device in any browser and enter the code ABCD-EFGH." in done.stdout
        assert "Sign in as ola@sender.example itself, not as an administrator." in done.stdout
        assert done.stdout.endswith("authorized ola@sender.example: OAuth2 (Microsoft)\n")
        it = authorizations.of(mailbox)
        assert it
        assert (it.provider, it.client_id, it.tenant) == ("microsoft", "an-app", "sender.example")
        shown = [admin("mailbox", "show", OLA, *json_or_not).stdout for json_or_not in ((), ("--json",))]
        assert "OAuth2 (Microsoft), authorized " in shown[0]
        assert json.loads(shown[1])["oauth"].startswith("OAuth2 (Microsoft), authorized ")
        said = done.stdout + done.stderr + "".join(shown)
        assert not [secret for secret in (*provider.access, *provider.refresh) if secret[:12] in said]
        checked = admin("mailbox", "check", OLA)
        assert (checked.returncode, checked.stdout.splitlines()[0]) == (0, "smtp  ok")

    def test_it_is_recorded_without_secrets(self, provider: LoginServer, mailbox: int) -> None:
        by_code(provider, mailbox)

        recorded = [(it.verb, it.values) for it in changes.of_mailbox(mailbox)]
        assert ("authorize", {"provider": [None, "microsoft"], "client_id": [None, "an-app"]}) in recorded
        assert not [secret for secret in (*provider.access, *provider.refresh) if secret in str(recorded)]

    @pytest.mark.parametrize("address", ["ola@outlook.com", "ola@hotmail.com"])
    def test_a_personal_mailbox_belongs_to_no_organisation(self, address: str) -> None:
        assert authorize._tenant_of(address) == "consumers"


def browser(url: str, provider: LoginServer) -> str:
    """A person's: consents at the provider and goes where it is sent. What is shown there."""
    trusting = ssl.create_default_context(cadata=provider.certificate.public.decode())
    with urllib.request.urlopen(url, context=trusting) as page:
        return str(page.read().decode())


class TestByTheBrowser:
    @pytest.mark.parametrize(
        ("whose", "client_id", "secret", "host"),
        [(Provider.GOOGLE, "a-desktop-app", SECRET, "127.0.0.1"), (Provider.MICROSOFT, "an-app", None, "localhost")],
    )
    def test_a_consent_comes_back_to_this_machine(
        self,
        provider: LoginServer,
        mailbox: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        whose: Provider,
        client_id: str,
        secret: str | None,
        host: str,
    ) -> None:
        if secret:
            monkeypatch.setenv("PUNKTUAL_MAILBOX_CLIENT_SECRET", secret)
        command = Command(OLA, whose, client_id, flow=Flow.BROWSER)
        url = command.asks(capsys)
        assert f"redirect_uri=http%3A%2F%2F{host}%3A" in url

        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{redirect_of(url)}favicon.ico")
        assert browser(url, provider) == "Punktual has the answer. You can close this page."

        assert command.ends() is None
        it = authorizations.of(mailbox)
        assert it
        assert (it.provider, it.client_id) == (whose, client_id)
        assert secret is None or vault.decrypt(str(it.client_secret_encrypted)) == secret

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("error=access_denied&state={state}", "access_denied"),
            ("code=stolen&state=another", "the answer belongs to another login"),
        ],
    )
    def test_another_answer_is_refused_and_nothing_is_kept(
        self,
        provider: LoginServer,
        mailbox: int,
        capsys: pytest.CaptureFixture[str],
        query: str,
        said: str,
    ) -> None:
        command = Command(OLA, Provider.MICROSOFT, "an-app", flow=Flow.BROWSER)
        url = command.asks(capsys)
        state = re.search(r"[?&]state=([^&]+)", url)
        assert state

        urllib.request.urlopen(f"{redirect_of(url)}?{query.format(state=state[1])}").close()

        assert said in str(command.ends())
        assert authorizations.of(mailbox) is None

    def test_a_port_that_is_taken_is_named(self, provider: LoginServer, mailbox: int, smtp: SmtpServer) -> None:
        command = Command(OLA, Provider.MICROSOFT, "an-app", flow=Flow.BROWSER, port=smtp.port)

        assert f"--port: {smtp.port} cannot be used" in str(command.ends())


def redirect_of(url: str) -> str:
    found = re.search(r"redirect_uri=([^&]+)", url)
    assert found
    return unquote(found[1])


class Command:
    """`mailbox authorize`, running in a thread beside the test, which is its person."""

    def __init__(
        self, address: str, provider: Provider | None, client_id: str | None, *, flow: Flow | None = None, port: int = 0
    ) -> None:
        self._arguments: Any = (address, provider, client_id, None, None, flow, port)
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            authorize.authorize(*self._arguments)
        except (MailboxInvalid, typer.BadParameter) as failure:
            self._failure = failure
        finally:
            database.close()

    def asks(self, capsys: pytest.CaptureFixture[str]) -> str:
        """The page that it wants to be opened."""
        said: list[str] = []

        def is_there() -> bool:
            said.append(capsys.readouterr().out)
            return "https://" in "".join(said) and "".join(said).endswith("\n")

        until(is_there, "the address of the provider's page")
        return next(line for line in "".join(said).splitlines() if line.startswith("https://"))

    def ends(self) -> Exception | None:
        self._thread.join(BOUND)
        assert not self._thread.is_alive()
        return self._failure


class TestAConsentThatIsNotThisMailboxs:
    def test_of_an_administrator_is_not_kept(self, provider: LoginServer, mailbox: int) -> None:
        provider.account = "admin@sender.example"

        with pytest.raises(MailboxInvalid, match=r"nothing was stored: the server refuses the OAuth2 login"):
            by_code(provider, mailbox)

        assert authorizations.of(mailbox) is None
        assert mailboxes.get(mailbox).username is None

    def test_does_not_replace_one_that_works(self, provider: LoginServer, mailbox: int) -> None:
        by_code(provider, mailbox)
        before = authorizations.of(mailbox)
        provider.account = "admin@sender.example"

        with pytest.raises(MailboxInvalid):
            by_code(provider, mailbox)

        assert authorizations.of(mailbox) == before

    def test_without_a_refresh_token_is_not_kept(self, provider: LoginServer, mailbox: int) -> None:
        provider.gives_refresh_tokens = False

        with pytest.raises(MailboxInvalid, match="no refresh token"):
            by_code(provider, mailbox)

    def test_that_could_not_be_tried_is_not_kept(self, provider: LoginServer) -> None:
        mailbox = make.a_mailbox(OLA, smtp_port=1)

        with pytest.raises(MailboxInvalid, match="nothing was stored, because the SMTP server could not be asked"):
            by_code(provider, mailbox)

        assert authorizations.of(mailbox) is None


class TestWhatIsMissingOrWrong:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "--provider: say whose mailbox it is, microsoft or google"),
            (["--provider", "google"], "--client-id: give the client id of your app registration"),
            (["--provider", "google", "--client-id", "x", "--flow", "code"], "--flow: Google gives no codes for mail"),
            (["--provider", "google", "--client-id", "x", "--tenant", "y"], "--tenant: only Microsoft has tenants"),
            (["--provider", "yahoo", "--client-id", "x"], "--provider: 'yahoo' is not one of 'microsoft', 'google'"),
            (["--provider", "microsoft", "--client-id", "x\ny"], "--client-id"),
            (["--provider", "microsoft", "--client-id", "x" * 400], "--client-id: has more than 320 characters"),
            (["--provider", "microsoft", "--client-id", "another"], "AADSTS700016: Application was not found."),
        ],
    )
    def test_is_said_in_one_line(self, provider: LoginServer, mailbox: int, arguments: list[str], said: str) -> None:
        done = admin("mailbox", "authorize", OLA, *arguments)

        assert done.returncode != 0
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert authorizations.of(mailbox) is None

    def test_is_a_mailbox_that_is_not_there(self, provider: LoginServer) -> None:
        done = admin("mailbox", "authorize", OLA, "--provider", "microsoft", "--client-id", "x")

        assert done.stderr == "punktual: there is no mailbox ola@sender.example\n"

    def test_need_not_be_said_twice(self, provider: LoginServer, mailbox: int) -> None:
        by_code(provider, mailbox)
        provider.consents_at_once, provider.interval = True, 1
        before = authorizations.of(mailbox)

        done = admin("mailbox", "authorize", OLA)

        assert done.returncode == 0, done.stderr
        after = authorizations.of(mailbox)
        assert before
        assert after
        assert (after.client_id, after.tenant) == ("an-app", "sender.example")
        assert after.refresh_token_encrypted != before.refresh_token_encrypted


class TestCheckingAMailbox:
    def test_whose_consent_has_ended_says_what_to_do(self, provider: LoginServer, mailbox: int) -> None:
        by_code(provider, mailbox)
        mailboxes.edit(mailbox, "ola", mailboxes.Edit(sent_mail=SentMail("127.0.0.1", 1, "none", None)))
        database.execute("UPDATE mailbox_authorization SET access_ends_at = now()")
        provider.revoke()

        done = admin("mailbox", "check", OLA)

        assert done.returncode == 1
        for line, server in zip(done.stdout.splitlines(), ("smtp", "imap"), strict=True):
            assert line.startswith(f"{server}  login: the provider no longer accepts this authorization (invalid_grant")
            assert line.endswith("run `python -m admin mailbox authorize`")

    def test_that_the_server_refuses_says_what_it_means(
        self, provider: LoginServer, mailbox: int, smtp: SmtpServer
    ) -> None:
        by_code(provider, mailbox)
        smtp.refusal = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
        provider.access.clear()

        done = admin("mailbox", "check", OLA)

        assert done.stdout.startswith(
            "smtp  auth: SMTP AUTH is off for this mailbox or its whole organisation (535 5.7.139"
        )
