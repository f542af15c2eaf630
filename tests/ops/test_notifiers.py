"""The places where people are told: what may stand in PUNKTUAL_NOTICES_URLS, and what becomes of one call."""

import logging
import socket
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from config import SettingsInvalid
from ops import notifiers
from tests.conftest import Override
from tests.smtp_server import SmtpServer
from tests.webhook import Webhook

MAIL = "mailtos://ola:s3cret@{host}:{port}/?mode={mode}&from=punktual@sender.example&to=ola@owner.example"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(settings: Override) -> None:
    settings(NOTICES_ANSWER_TIMEOUT_SECONDS=0.5)


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """What a process that logs everything would have logged."""
    lines, root = StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(lines), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.setLevel(level)
    root.removeHandler(handler)


def failure(settings: Override, url: str) -> str | None:
    settings(NOTICES_URLS=url)
    [notifier] = notifiers.configured()
    return notifier.tell("a title", "a body")


class TestTheUrls:
    def test_are_told_apart_by_spaces_and_commas(self, settings: Override) -> None:
        settings(NOTICES_URLS=" json://one/a,b , json://two\tjsons://three?-a=b,c ")

        assert [notifier.url for notifier in notifiers.configured()] == [
            "json://one/a,b",
            "json://two",
            "jsons://three?-a=b,c",
        ]

    def test_may_be_missing(self, settings: Override) -> None:
        assert notifiers.configured() == []
        settings(NOTICES_URLS="")
        assert notifiers.configured() == []

    @pytest.mark.parametrize(
        ("url", "complaint"),
        [
            ("s3cret", "is not one that Apprise supports"),
            ("nonsense://s3cret/s3cret", "is not one that Apprise supports"),
            ("slack://s3cret", "is not one that Apprise supports"),
            ("file:///etc/s3cret", "is not one that Apprise supports"),
            ("jsons://s3cret@host/s3cret?verify=no", "turns off the check of certificates"),
            ("json://ola:s3cret@host.example/", "would send its password unencrypted"),
            ("mailto://ola:s3cret@host.example", "would send its password unencrypted"),
            ("mailtos://ola:s3cret@host.example?mode=insecure", "would send its password unencrypted"),
        ],
    )
    def test_that_cannot_be_used_stop_the_start_untold(
        self,
        settings: Override,
        url: str,
        complaint: str,
        logged: StringIO,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        settings(NOTICES_URLS=f"json://127.0.0.1/fine {url}")

        with pytest.raises(SettingsInvalid, match=f"PUNKTUAL_NOTICES_URLS: URL 2 {complaint}") as refusal:
            notifiers.configured()

        assert "cret" not in str(refusal.value) + logged.getvalue() + "".join(capfd.readouterr())

    def test_of_a_provider_that_encrypts_by_itself_need_no_mode(self, settings: Override) -> None:
        settings(NOTICES_URLS="mailto://ola:s3cret@gmail.com")

        assert [notifier.name for notifier in notifiers.configured()] == ["1: E-Mail"]

    def test_never_print(self, settings: Override) -> None:
        settings(NOTICES_URLS="json://127.0.0.1/tok3n")

        assert "tok3n" not in repr(notifiers.configured())


class TestAWebhook:
    def test_is_told_with_title_and_body(self, settings: Override, webhook: Webhook) -> None:
        assert failure(settings, webhook.url) is None

        [call] = webhook.calls
        assert (call["title"], call["message"], call["path"]) == ("a title", "a body", "/tok3n")

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (500, "error=500"),
            (401, "error=401"),
            (302, "error=302"),
            ("hang up", "Connection error"),
            ("stall", "no answer within 0.5 s"),
            ("trickle", "no answer within 0.5 s"),
        ],
    )
    def test_that_does_not_take_it_is_told_as_a_failure_without_its_secrets(
        self, settings: Override, webhook: Webhook, answer: int | str, told: str, logged: StringIO
    ) -> None:
        webhook.answer = answer

        says = failure(settings, webhook.url)

        assert says is not None
        assert told in says
        assert [call["path"] for call in webhook.calls] == ["/tok3n"]
        assert not [word for word in ("s3cret", "tok3n") if word in says + logged.getvalue()]

    def test_that_nobody_answers_for_is_a_failure(self, settings: Override) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]

        assert "Connection error" in str(failure(settings, f"json://127.0.0.1:{port}"))

    def test_whose_certificate_nobody_vouches_for_is_not_told(self, settings: Override) -> None:
        with SmtpServer(security="tls") as server:
            assert "Connection error" in str(failure(settings, f"jsons://localhost:{server.port}"))

            assert server.commands == []


class TestAMail:
    @pytest.mark.parametrize(("security", "mode"), [("starttls", "starttls"), ("tls", "ssl")])
    def test_is_sent_over_tls_that_is_verified(
        self, settings: Override, security: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with SmtpServer(security=security, credentials=("ola", "s3cret")) as server:
            assert server.certificate
            trusted = tmp_path / "trusted.pem"
            trusted.write_bytes(server.certificate.public)
            monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
            settings(NOTICES_ANSWER_TIMEOUT_SECONDS=10)

            assert failure(settings, MAIL.format(host="localhost", port=server.port, mode=mode)) is None

        [mail] = server.accepted
        assert (mail.recipient, b"Subject: a title" in mail.content) == ("ola@owner.example", True)

    @pytest.mark.parametrize(("security", "mode"), [("starttls", "starttls"), ("tls", "ssl"), ("none", "starttls")])
    def test_gives_no_password_to_a_server_that_nobody_vouches_for(
        self, settings: Override, security: str, mode: str
    ) -> None:
        with SmtpServer(security=security, credentials=("ola", "s3cret")) as server:
            says = failure(settings, MAIL.format(host="localhost", port=server.port, mode=mode))

            assert says is not None
            assert "s3cret" not in says
            assert not [command for command in server.commands if command.startswith("AUTH")]

    def test_that_is_refused_is_a_failure_told_without_the_parts_of_the_url(self, settings: Override) -> None:
        with SmtpServer() as server:
            url = f"mailto://localhost:{server.port}/?from=punktual@sender.example&to=550@owner.example"
            settings(NOTICES_ANSWER_TIMEOUT_SECONDS=10)

            says = str(failure(settings, url))

        assert says == "Sending email to *** failed."

    def test_has_a_title_that_begins_no_header_of_its_own(self, settings: Override) -> None:
        with SmtpServer() as server:
            url = f"mailto://localhost:{server.port}/?from=punktual@sender.example&to=ola@owner.example"
            settings(NOTICES_URLS=url, NOTICES_ANSWER_TIMEOUT_SECONDS=10)
            [notifier] = notifiers.configured()

            assert notifier.tell("a title\r\nBcc: anna@leads.example\r\n\r\n", "a body") is None

        head = server.accepted[0].content.partition(b"\r\n\r\n")[0]
        assert b"\nBcc:" not in head
        assert [mail.recipient for mail in server.accepted] == ["ola@owner.example"]
