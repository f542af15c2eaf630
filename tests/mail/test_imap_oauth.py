"""A Sent folder opened with an OAuth2 access token, at a real IMAP server that asks its provider whose token it is."""

from base64 import b64decode, b64encode
from collections.abc import Iterator

import pytest

from mail import imap, oauth
from mail.connection import Server
from mail.imap import SentFolderUnreadable, Step
from mail.oauth import App, Provider
from tests.conftest import Override
from tests.dovecot import Dovecot
from tests.login_server import LoginServer, login_server
from tests.mail.test_imap import MESSAGE_ID, QUICK, YESTERDAY, a_mail, a_server_that_says

APP = App(Provider.MICROSOFT, "an-app")
OLA = "ola@sender.example"


@pytest.fixture
def provider(settings: Override, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginServer]:
    with login_server(settings, monkeypatch.setenv) as server:
        yield server


def a_token(provider: LoginServer) -> str:
    device = oauth.begin_on_device(APP)
    provider.consents()
    return oauth.finish_on_device(APP, device, lambda _: None).access


def look(dovecot: Dovecot, token: str, user: str = OLA, security: str = "tls") -> bool:
    port = dovecot.tls_port if security == "tls" else dovecot.port
    server = Server(dovecot.host, port, security, user, token=token)
    with imap.sent_folder(server, None, QUICK, dovecot.certificate.trusting) as sent:
        return sent.find(MESSAGE_ID, YESTERDAY) is not None


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer", "plain xoauth2 oauthbearer"])
def test_a_token_opens_it(provider: LoginServer, mechanism: str) -> None:
    with Dovecot(login_server=provider, mechanisms=f"plain {mechanism}") as dovecot:
        dovecot.file(OLA, a_mail())

        assert look(dovecot, a_token(provider))
        assert look(dovecot, a_token(provider), security="starttls")


class TestATokenThatIsRefused:
    @pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
    def test_says_what_it_means_and_is_not_told(self, provider: LoginServer, mechanism: str) -> None:
        token = "not-a-token-0123456789" * 20
        with Dovecot(login_server=provider, mechanisms=f"plain {mechanism}") as dovecot:
            for user, given in ((OLA, token), ("another@sender.example", a_token(provider))):
                with pytest.raises(SentFolderUnreadable, match="the server refuses the OAuth2 login") as caught:
                    look(dovecot, given, user)

                assert caught.value.step is Step.LOGIN
                assert given[:10] not in str(caught.value)

    def test_because_the_server_knows_no_oauth2_is_not_sent(self, dovecot: Dovecot) -> None:
        with pytest.raises(SentFolderUnreadable, match="offers no OAuth2 login"):
            look(dovecot, "a-token")

    @pytest.mark.parametrize(("mechanism", "answer"), [("XOAUTH2", ""), ("OAUTHBEARER", "AQ==")])
    def test_by_an_error_challenge_is_told_after_an_answer_to_it(self, mechanism: str, answer: str) -> None:
        token = "a-token-0123456789"
        error = b64encode(b'{"status":"400","schemes":"Bearer"}').decode()
        refusal = "NO [AUTHENTICATIONFAILED] not with {line}"
        with a_server_that_says(offering=f"AUTH={mechanism}", challenge=error, to_login=refusal) as it:
            server = Server("127.0.0.1", it.port, "none", OLA, token=token)
            refuses = r"the server refuses the OAuth2 login .*AUTHENTICATIONFAILED"
            with pytest.raises(SentFolderUnreadable, match=refuses) as caught, imap.sent_folder(server, None, QUICK):
                raise AssertionError("it was opened")

        response, after_error = it.answers
        assert after_error == answer
        assert f"auth=Bearer {token}\x01\x01" in b64decode(response).decode()
        assert "***" in str(caught.value)
        assert response[:12] not in str(caught.value)
