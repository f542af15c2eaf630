"""OAuth2 with a login server: consents by code and by browser, renewed tokens, and servers that refuse or are away."""

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, build_opener

import pytest

from mail import oauth
from mail.oauth import App, Away, NoToken, Provider, Refused, Tokens
from reasons import Code, Reason
from tests.conftest import Override
from tests.login_server import DEVICE, LoginServer, login_server, no, yes

MICROSOFT = App(Provider.MICROSOFT, "an-app", None, "sender.example")
GOOGLE = App(Provider.GOOGLE, "a-desktop-app", "n0t-really-secret")
APPS = {"microsoft": MICROSOFT, "google": GOOGLE}
OLA = "ola@sender.example"


@pytest.fixture
def provider(settings: Override, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginServer]:
    with login_server(settings, monkeypatch.setenv) as server:
        server.clients[GOOGLE.client_id] = GOOGLE.client_secret
        yield server


def no_wait(seconds: float) -> None:
    """For flows that need none."""


def consent(provider: LoginServer, app: App = MICROSOFT) -> Tokens:
    """In a browser that comes back."""
    begun = oauth.begin_in_browser(app, "http://127.0.0.1:4711/", OLA)
    return oauth.finish_in_browser(app, begun, came_back(provider, begun.url))


def came_back(provider: LoginServer, url: str) -> str:
    """Where the browser is sent once the person has consented there."""
    assert url.startswith(provider.url)
    return provider.page({name: values[0] for name, values in parse_qs(urlsplit(url).query).items()})


def refuse(provider: LoginServer, *answers: tuple[int, bytes], app: App = MICROSOFT) -> NoToken:
    """What is raised by asking for a new token, while these are the answers."""
    token = consent(provider).refresh
    assert token
    provider.next_answers = list(answers)
    with pytest.raises(NoToken) as caught:
        oauth.refresh(app, token)
    assert token not in f"{caught.value} {caught.value!r}"
    return caught.value


def reason(failure: NoToken) -> Reason:
    found: Reason = failure.args[0]
    return found


class TestACodeOnADevice:
    def test_is_asked_for_with_what_the_mail_needs(self, provider: LoginServer) -> None:
        device = oauth.begin_on_device(MICROSOFT)

        assert (device.user_code, device.uri) == ("ABCD-EFGH", "https://login.example/device")
        [form] = provider.devices
        assert form["client_id"] == "an-app"
        assert form["scope"].split() == [
            "https://outlook.office.com/SMTP.Send",
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "offline_access",
        ]

    def test_becomes_tokens_once_the_person_has_entered_it(self, provider: LoginServer) -> None:
        device, waits = oauth.begin_on_device(MICROSOFT), list[float]()

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                provider.consents()

        tokens = oauth.finish_on_device(MICROSOFT, device, wait)

        assert waits == [5, 5, 5]
        assert provider.is_token_of(OLA, tokens.access)
        assert tokens.refresh in provider.refresh
        assert {form["grant_type"] for form in provider.forms} == {DEVICE}

    @pytest.mark.parametrize(("given", "first"), [(5, 5), ("7", 7), (0, 1), (None, 5), ("soon", 5), (-3, 5)])
    def test_is_asked_about_no_faster_than_the_server_wants(
        self, provider: LoginServer, given: object, first: float
    ) -> None:
        provider.interval = given

        assert oauth.begin_on_device(MICROSOFT).pause_seconds == first

    @pytest.mark.parametrize(
        ("answer", "waits"),
        [
            (no("slow_down"), [5, 10, 10]),
            (no("authorization_pending"), [5, 5, 5]),
            ((500, b"<html>oops</html>"), [5, 10, 10]),
            (no("temporarily_unavailable", status=503), [5, 10, 10]),
        ],
    )
    def test_is_asked_about_again_in_the_servers_pace(
        self, provider: LoginServer, answer: tuple[int, bytes], waits: list[float]
    ) -> None:
        device, waited = oauth.begin_on_device(MICROSOFT), list[float]()
        provider.next_answers = [answer, no("authorization_pending")]
        provider.consents()

        oauth.finish_on_device(MICROSOFT, device, waited.append)

        assert waited == waits

    @pytest.mark.parametrize(
        "error", ["access_denied", "authorization_declined", "expired_token", "bad_verification_code", "never_heard_of"]
    )
    def test_that_is_refused_is_not_asked_about_again(self, provider: LoginServer, error: str) -> None:
        device = oauth.begin_on_device(MICROSOFT)
        provider.next_answers = [no(error, "the person said no")]

        with pytest.raises(Refused, match=f"{error} the person said no"):
            oauth.finish_on_device(MICROSOFT, device, no_wait)

        assert len(provider.forms) == 1

    @pytest.mark.slow
    def test_that_nobody_enters_ends_with_its_time(self, provider: LoginServer) -> None:
        device, waited = oauth.begin_on_device(MICROSOFT), list[float]()

        with pytest.raises(Refused, match="nobody entered it"):
            oauth.finish_on_device(MICROSOFT, device, waited.append)

        assert sum(waited) == 900

    def test_for_an_app_that_is_not_known_says_so(self, provider: LoginServer) -> None:
        with pytest.raises(Refused, match="AADSTS700016: Application was not found") as caught:
            oauth.begin_on_device(App(Provider.MICROSOFT, "another-app"))

        assert reason(caught.value).code is Code.APP_REFUSED


class TestAConsentInABrowser:
    @pytest.mark.parametrize("app", APPS.values(), ids=APPS)
    def test_becomes_tokens(self, provider: LoginServer, app: App) -> None:
        tokens = consent(provider, app)

        assert provider.is_token_of(OLA, tokens.access)
        assert tokens.refresh in provider.refresh

    @pytest.mark.parametrize("app", APPS.values(), ids=APPS)
    def test_is_asked_for_with_pkce_a_state_and_the_mailbox_as_a_hint(self, provider: LoginServer, app: App) -> None:
        first, second = (oauth.begin_in_browser(app, "http://127.0.0.1:4711/", OLA) for _ in range(2))

        query = parse_qs(urlsplit(first.url).query)
        assert query["login_hint"] == [OLA]
        assert query["scope"] == [" ".join(oauth.SCOPES[app.provider])]
        assert query["code_challenge_method"] == ["S256"]
        assert (first.state, first.verifier) != (second.state, second.verifier)
        assert first.verifier not in first.url
        if app is GOOGLE:
            assert (query["access_type"], query["prompt"]) == (["offline"], ["consent"])

    def test_of_another_login_is_not_taken(self, provider: LoginServer) -> None:
        begun, other = (oauth.begin_in_browser(MICROSOFT, "http://127.0.0.1:4711/", OLA) for _ in range(2))

        with pytest.raises(Refused, match="belongs to another login"):
            oauth.finish_in_browser(MICROSOFT, begun, came_back(provider, other.url))

        assert provider.forms == []

    def test_with_another_verifier_gives_no_token(self, provider: LoginServer) -> None:
        begun, other = (oauth.begin_in_browser(MICROSOFT, "http://127.0.0.1:4711/", OLA) for _ in range(2))
        back = came_back(provider, other.url).replace(other.state, begun.state)

        with pytest.raises(Refused, match="the code is not yours"):
            oauth.finish_in_browser(MICROSOFT, begun, back)

    def test_that_the_person_refused_says_why(self, provider: LoginServer) -> None:
        begun = oauth.begin_in_browser(GOOGLE, "http://127.0.0.1:4711/", OLA)

        with pytest.raises(Refused, match="access_denied"):
            oauth.finish_in_browser(GOOGLE, begun, f"/?error=access_denied&state={begun.state}")


class TestANewToken:
    def test_comes_with_a_new_refresh_token_where_they_rotate(self, provider: LoginServer) -> None:
        first = consent(provider)

        second = oauth.refresh(MICROSOFT, str(first.refresh))

        assert provider.is_token_of(OLA, second.access)
        assert second.refresh not in (None, first.refresh)
        with pytest.raises(Refused):
            oauth.refresh(MICROSOFT, str(first.refresh))

    def test_leaves_the_refresh_token_where_they_stay(self, provider: LoginServer) -> None:
        provider.rotates = False
        first = consent(provider, GOOGLE)

        assert oauth.refresh(GOOGLE, str(first.refresh)).refresh is None

    @pytest.mark.parametrize(
        ("said", "lasts"), [(3599, 3599), ("3599", 3599), (None, 3600), ("soon", 3600), (1e99, 3600), (0, 0)]
    )
    def test_lasts_as_long_as_the_server_says(self, provider: LoginServer, said: object, lasts: float) -> None:
        provider.expires_in = said

        assert consent(provider).access_lasts == timedelta(seconds=lasts)

    @pytest.mark.parametrize("name", ["refresh_token_expires_in", "refresh_expires_in"])
    def test_says_when_the_consent_ends_if_the_provider_does(self, provider: LoginServer, name: str) -> None:
        assert consent(provider).consent_lasts is None

        provider.extra = {name: 604_799}

        assert consent(provider).consent_lasts == timedelta(seconds=604_799)

    def test_and_secrets_stand_in_no_repr(self, provider: LoginServer) -> None:
        tokens = consent(provider, GOOGLE)

        shown = f"{tokens!r} {GOOGLE!r} {oauth.begin_on_device(MICROSOFT)!r}"
        assert not any(secret in shown for secret in (tokens.access, str(tokens.refresh), str(GOOGLE.client_secret)))


class TestAServerThatRefuses:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            ("invalid_grant", Code.ACCESS_ENDED),
            ("interaction_required", Code.ACCESS_ENDED),
            ("consent_required", Code.ACCESS_ENDED),
            ("invalid_client", Code.APP_REFUSED),
            ("unauthorized_client", Code.APP_REFUSED),
            ("invalid_scope", Code.AUTHORIZATION_REFUSED),
            ("never_heard_of", Code.AUTHORIZATION_REFUSED),
        ],
    )
    @pytest.mark.parametrize("status", [400, 401, 403, 200])
    def test_is_told_in_its_words(self, provider: LoginServer, error: str, code: Code, status: int) -> None:
        failure = refuse(provider, no(error, "AADSTS1: so it is.\r\nTrace ID: 7", status))

        assert isinstance(failure, Refused)
        assert reason(failure) == Reason(code, error=f"{error} AADSTS1: so it is.")

    def test_and_repeats_the_token_is_not_repeated(self, provider: LoginServer) -> None:
        token = str(consent(provider).refresh)
        oauth.refresh(MICROSOFT, token)

        with pytest.raises(Refused, match=r"AADSTS700082: \*\*\* has expired") as caught:
            oauth.refresh(MICROSOFT, token)

        assert token[:12] not in str(caught.value)

    @pytest.mark.parametrize(
        "fields", [{}, {"access_token": 7}, {"access_token": ""}, {"access_token": "a b"}, {"access_token": "a\r\nb"}]
    )
    def test_by_an_answer_without_a_usable_token_gives_none(
        self, provider: LoginServer, fields: dict[str, Any]
    ) -> None:
        assert isinstance(refuse(provider, yes(fields)), Refused)


class TestAServerThatIsAway:
    @pytest.mark.parametrize(
        "answer",
        [
            (500, b""),
            (502, b"<html>bad gateway</html>"),
            no("server_error", status=500),
            no("temporarily_unavailable"),
            no("invalid_grant", status=503),
            no("slow_down"),
            (429, json.dumps({"error": "too_many"}).encode()),
            (302, b"{}"),
            (404, b"<html>captive portal</html>"),
            (200, b""),
            (200, b"not json"),
            (200, b'["a list"]'),
            (200, b"\xff\xfe"),
            (200, b"[" * 60_000),
            (200, b'{"access_token": "a-token", "more": "' + b"x" * 1_000_000 + b'"}'),
        ],
    )
    def test_is_temporary_whatever_it_says(self, provider: LoginServer, answer: tuple[int, bytes]) -> None:
        failure = refuse(provider, answer)

        assert isinstance(failure, Away)
        assert reason(failure).code is Code.LOGIN_SERVER_AWAY
        assert reason(failure).values["host"] == "localhost"

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_and_sends_elsewhere_is_not_followed_with_secrets(self, provider: LoginServer, status: int) -> None:
        failure = refuse(provider, (status, b"{}"))

        assert isinstance(failure, Away)
        assert [form["grant_type"] for form in provider.forms] == ["authorization_code", "refresh_token"]

    def test_because_nobody_listens_is_temporary(self, settings: Override) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings(OAUTH_MICROSOFT_LOGIN_URL=f"https://127.0.0.1:{port}")

        with pytest.raises(Away, match=r"127\.0\.0\.1 gave no access token .*refused"):
            oauth.refresh(MICROSOFT, "a-refresh-token")

    def test_because_it_does_not_answer_is_temporary(self, settings: Override) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}"
            settings(OAUTH_MICROSOFT_LOGIN_URL=url, OAUTH_TIMEOUT_SECONDS=0.2)

            with pytest.raises(Away, match="timed out"):
                oauth.refresh(MICROSOFT, "a-refresh-token")

    def test_because_its_certificate_is_not_trusted_gets_no_secret(
        self, provider: LoginServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)

        with pytest.raises(Away, match="TLS failed"):
            oauth.refresh(MICROSOFT, "a-refresh-token")

        assert provider.forms == []


def test_a_browser_really_comes_back(provider: LoginServer) -> None:
    """The test server's page, over HTTPS: what the other tests ask it directly."""

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    trusting = ssl.create_default_context(cadata=provider.certificate.public.decode())
    begun = oauth.begin_in_browser(MICROSOFT, "http://127.0.0.1:4711/", OLA)

    with pytest.raises(Exception, match="302") as caught:
        build_opener(HTTPSHandler(context=trusting), Stay).open(begun.url)

    assert caught.value.headers["Location"].startswith("http://127.0.0.1:4711/?state=")  # type: ignore[attr-defined]
