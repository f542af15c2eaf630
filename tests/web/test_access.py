"""Who is let in, and who is not, whatever they try."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

import config
from models.owner import web_sessions
from models.store import database, vault
from models.store.tables import WebSession
from tests import factories as make
from tests.conftest import Override
from tests.web.conftest import CHEAP, HASH, PASSWORD, TOKEN, Browser, csrf_token, log_in, the_app, token_of
from web.app import create_app
from web.guard import access, origin
from web.guard.sizes import MOST_BYTES

BEARER = {"Authorization": f"Bearer {TOKEN}"}
LET_IN = 404  # the address that is asked for does not exist, which only those who are let in are told
SOMEWHERE = "/nowhere"


class TestOnTheMachineItself:
    def test_everything_is_open_as_long_as_there_is_no_password_and_no_token(self, browser: FlaskClient) -> None:
        assert browser.get(SOMEWHERE).status_code == LET_IN
        assert browser.get("/api/openapi.json").status_code == 200

    @pytest.mark.parametrize("host", ["localhost", "localhost:8025", "127.0.0.1:8025", "[::1]:8025", "LOCALHOST"])
    def test_it_answers_to_every_name_of_this_machine(self, browser: FlaskClient, host: str) -> None:
        assert browser.get("/api/openapi.json", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8025",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "0.0.0.0",
            "192.168.1.7",
            "a b",
            "[::1",
        ],
    )
    def test_another_name_that_leads_here_is_that_of_an_attacking_page(self, browser: FlaskClient, host: str) -> None:
        for path in ("/api/openapi.json", SOMEWHERE, "/health/live"):
            assert browser.get(path, headers={"Host": host}).status_code == 400

    def test_once_there_is_a_password_it_is_asked_for_here_too(self, protected: Browser) -> None:
        assert protected().get(SOMEWHERE, headers={"Host": "127.0.0.1"}).status_code == 303


class TestWithoutPasswordAndToken:
    @pytest.mark.parametrize(
        "path", ["/", SOMEWHERE, "/campaigns/1", "/api/campaigns", "/api/nowhere", "/api/openapi.json"]
    )
    def test_nobody_reaches_anything_not_even_that_it_does_not_exist(self, protected: Browser, path: str) -> None:
        answer = protected().get(path)

        assert answer.status_code == (401 if path.startswith("/api/") else 303)

    def test_programs_are_told_what_to_send(self, protected: Browser) -> None:
        answer = protected().get("/api/campaigns")

        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json == {"message": "Log in, or send the token.", "fields": {}}

    def test_people_come_back_to_where_they_wanted_to_go(self, protected: Browser) -> None:
        client = protected()
        asked_for = client.get("/find?address=anna@leads.example").headers["Location"]

        log_in(client, path=asked_for)

        assert asked_for == "/login?next=/find?address%3Danna@leads.example"

    def test_health_is_open_to_all(self, protected: Browser) -> None:
        assert protected().get("/health/live").status_code == 200


class TestToken:
    def test_it_opens_the_api(self, protected: Browser) -> None:
        assert protected().get("/api/openapi.json", headers=BEARER).status_code == 200

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "Bearer",
            "Bearer ",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            TOKEN,
            f"Basic {TOKEN}",
            "Bearer żółć",
            "Bearer a=b",
        ],
    )
    def test_nothing_else_does(self, protected: Browser, value: str) -> None:
        assert protected().get("/api/openapi.json", headers={"Authorization": value}).status_code == 401

    def test_a_wrong_one_is_refused_whoever_is_logged_in(self, protected: Browser) -> None:
        client = protected()
        log_in(client)

        assert client.get("/api/openapi.json").status_code == 200
        assert client.get("/api/openapi.json", headers={"Authorization": "Bearer wrong"}).status_code == 401

    def test_where_there_is_none_none_is_right(self, db: None, settings: Override) -> None:
        settings(WEB_PASSWORD_HASH=HASH)

        for value in ("Bearer None", "Bearer ", "Bearer"):
            answer = the_app().test_client().get("/api/openapi.json", headers={"Authorization": value})
            assert answer.status_code == 401

    def test_with_a_token_alone_nobody_logs_in(self, db: None, settings: Override) -> None:
        settings(WEB_TOKEN=TOKEN)
        client = the_app().test_client()

        page = client.get("/login")

        assert page.status_code == 403
        assert "new-password" in page.text


class TestLogin:
    def test_the_password_lets_in_and_logging_out_ends_it(self, protected: Browser) -> None:
        client = protected()

        assert log_in(client) == 303
        assert client.get(SOMEWHERE).status_code == LET_IN
        assert client.post("/logout", data={"csrf_token": token_of(client)}).status_code == 303
        assert client.get(SOMEWHERE).status_code == 303

    @pytest.mark.parametrize("wrong", ["", "another", PASSWORD + " ", PASSWORD.upper(), HASH, "a\x01b", "ż" * 1000])
    def test_another_does_not_and_is_not_logged(
        self,
        protected: Browser,
        wrong: str,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        client = protected()

        assert log_in(client, wrong) == 401
        assert client.get(SOMEWHERE).status_code == 303
        logged = "".join((caplog.text, *capsys.readouterr()))
        assert "login_failed" in logged
        assert not wrong or wrong not in logged

    def test_letters_with_accents_may_be_typed_on_any_keyboard(self, protected: Browser) -> None:
        decomposed = "zaz\u0307o\u0301łc\u0301 ge\u0328s\u0301la\u0328 jaz\u0301n\u0301"

        assert decomposed != PASSWORD
        assert log_in(protected(), decomposed) == 303

    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "javascript:alert(1)",
            "evil.example",
            "/a\r\nSet-Cookie: a=b",
        ],
    )
    def test_it_sends_nobody_to_another_site(self, protected: Browser, target: str) -> None:
        client = protected()
        token = csrf_token(client)

        answer = client.post("/login", query_string={"next": target}, data={"csrf_token": token, "password": PASSWORD})

        assert answer.status_code == 303
        assert answer.headers["Location"] == "/"

    def test_it_sends_back_to_a_page_of_ours(self, protected: Browser) -> None:
        client = protected()
        token = csrf_token(client)

        answer = client.post("/login?next=/campaigns/7?status%3Dsent", data={"csrf_token": token, "password": PASSWORD})

        assert answer.headers["Location"] == "/campaigns/7?status=sent"


class TestThrottle:
    def test_after_five_attempts_in_a_minute_an_address_has_to_wait(self, protected: Browser) -> None:
        client = protected()

        statuses = [log_in(client, "wrong") for _ in range(6)]

        assert statuses == [401] * 5 + [429]
        assert log_in(client) == 429

    def test_another_cookie_is_no_other_address(self, protected: Browser) -> None:
        assert [log_in(protected(), "wrong") for _ in range(6)] == [401] * 5 + [429]

    def test_one_address_that_hammers_leaves_the_others_their_attempts(self, protected: Browser) -> None:
        for _ in range(50):
            log_in(protected(), "wrong")

        assert log_in(protected(), environ_base={"REMOTE_ADDR": "10.0.0.2"}) == 303

    def test_all_addresses_together_have_thirty(self, protected: Browser) -> None:
        statuses = [log_in(protected(), "wrong", environ_base={"REMOTE_ADDR": f"10.0.0.{i}"}) for i in range(31)]

        assert statuses == [401] * 30 + [429]

    def test_a_browser_that_knew_the_password_gets_in_whatever_the_others_try(self, protected: Browser) -> None:
        client = protected()
        log_in(client)
        client.post("/logout", data={"csrf_token": token_of(client)})
        for i in range(60):
            log_in(protected(), "wrong", environ_base={"REMOTE_ADDR": f"10.0.0.{i % 20}"})
        for _ in range(6):
            log_in(protected(), "wrong")

        assert log_in(protected()) == 429
        assert log_in(client) == 303

    def test_such_a_browser_has_five_attempts_itself(self, protected: Browser) -> None:
        client = protected()
        log_in(client)
        client.post("/logout", data={"csrf_token": token_of(client)})

        assert [log_in(client, "wrong") for _ in range(6)] == [401] * 5 + [429]


class TestNetworks:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("10.0.0.2", "10.0.0.2"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("::ffff:10.0.0.2", "10.0.0.2"),
            ("::1", "::/64"),
            ("unix", "unix"),
        ],
    )
    def test_of_ipv6_a_household_has_many_addresses(self, address: str, network: str) -> None:
        assert origin.network(address) == network

    def test_its_addresses_have_five_attempts_together(self, protected: Browser) -> None:
        statuses = [
            log_in(protected(), "wrong", environ_base={"REMOTE_ADDR": f"2001:db8:1:2::{n}"}) for n in range(1, 7)
        ]

        assert statuses == [401] * 5 + [429]
        assert log_in(protected(), environ_base={"REMOTE_ADDR": "2001:db8:1:3::1"}) == 303


@contextmanager
def without_the_table() -> Iterator[None]:
    database.execute("ALTER TABLE web_session RENAME TO put_aside")
    try:
        yield
    finally:
        database.execute("ALTER TABLE put_aside RENAME TO web_session")


class TestSession:
    def test_only_login_and_logout_set_the_cookie_so_that_no_late_answer_undoes_them(self, protected: Browser) -> None:
        client = protected()
        log_in(client)
        client.get(SOMEWHERE)

        assert "Set-Cookie" not in client.get(SOMEWHERE).headers

    def test_it_ends_after_its_time(self, protected: Browser) -> None:
        client = protected()
        log_in(client)

        WebSession.update(ends_at=WebSession.ends_at - access.LOGGED_IN_FOR).execute()

        assert client.get(SOMEWHERE).status_code == 303

    def test_logging_out_ends_it_for_whoever_kept_its_cookie_in_every_process(self, protected: Browser) -> None:
        client, other = protected(), protected()
        log_in(client)
        log_in(other)
        cookie = session_cookie(client)
        assert with_cookie(cookie).get(SOMEWHERE).status_code == LET_IN

        client.post("/logout", data={"csrf_token": token_of(client)})

        assert with_cookie(cookie).get(SOMEWHERE).status_code == 303
        assert other.get(SOMEWHERE).status_code == LET_IN

    def test_logging_in_again_ends_the_one_before(self, protected: Browser) -> None:
        client = protected()
        log_in(client)
        cookie = session_cookie(client)
        WebSession.update(ends_at=WebSession.ends_at - access.LOGGED_IN_FOR).execute()

        log_in(client)

        assert client.get(SOMEWHERE).status_code == LET_IN
        assert with_cookie(cookie).get(SOMEWHERE).status_code == 303
        assert WebSession.select().count() == 1

    def test_a_cookie_of_the_version_before_is_none(self, protected: Browser) -> None:
        client = protected()
        with client.session_transaction() as session:
            session["logged_in_until"] = 9_999_999_999

        assert client.get(SOMEWHERE).status_code == 303

    @pytest.mark.parametrize("id", ["", "x", 7, None, [], "0" * 32])
    def test_one_that_no_login_began_is_none(self, protected: Browser, id: object) -> None:
        client = protected()
        with client.session_transaction() as session:
            session["id"] = id

        assert client.get(SOMEWHERE).status_code == 303

    def test_no_more_are_kept_than_there_are_browsers(self, protected: Browser) -> None:
        client = protected()
        log_in(client)
        first = web_sessions.begin(access.LOGGED_IN_FOR)
        rows = [{"id": uuid4(), "ends_at": make.now() + 2 * access.LOGGED_IN_FOR} for _ in range(web_sessions.MOST)]
        WebSession.insert_many(rows).execute()

        latest = web_sessions.begin(3 * access.LOGGED_IN_FOR)

        assert WebSession.select().count() == web_sessions.MOST
        assert (web_sessions.is_open(first), web_sessions.is_open(latest)) == (False, True)

    def test_health_does_not_ask_for_it(self, protected: Browser) -> None:
        client = protected()
        log_in(client)
        with without_the_table():
            assert client.get("/health/live").status_code == 200

    def test_a_new_password_ends_all(self, protected: Browser, settings: Override) -> None:
        client = protected()
        log_in(client)
        cookie = session_cookie(client)

        settings(WEB_PASSWORD_HASH=CHEAP.hash("another password"))

        assert with_cookie(cookie).get(SOMEWHERE).status_code == 303

    def test_a_new_secret_key_ends_all(self, protected: Browser, settings: Override) -> None:
        client = protected()
        log_in(client)
        cookie = session_cookie(client)
        assert with_cookie(cookie).get(SOMEWHERE).status_code == LET_IN

        settings(SECRET_KEY="0" * 43 + "=")

        assert with_cookie(cookie).get(SOMEWHERE).status_code == 303

    def test_one_that_is_signed_by_another_key_is_none(self, protected: Browser, settings: Override) -> None:
        forger = create_app()
        forger.secret_key = config.settings().secret_key.get_secret_value()  # type: ignore[union-attr]
        serializer = forger.session_interface.get_signing_serializer(forger)  # type: ignore[attr-defined]

        forged = serializer.dumps({"id": web_sessions.begin(access.LOGGED_IN_FOR).hex, "_permanent": True})

        assert with_cookie(forged).get(SOMEWHERE).status_code == 303

    @pytest.mark.parametrize("cookie", ["", ".", "..", "e30.e30.e30", "a" * 4000, '{"id": 1}'])
    def test_garbage_is_none(self, protected: Browser, cookie: str) -> None:
        protected()

        assert with_cookie(cookie).get(SOMEWHERE).status_code == 303

    def test_its_key_is_not_that_of_the_mailbox_passwords(self) -> None:
        key = config.settings().secret_key
        assert key is not None

        derived = vault.derived_key("a purpose")

        assert derived.hex() not in key.get_secret_value().encode().hex()
        assert derived != vault.derived_key("another")
        assert derived != vault.derived_key("a purpose", bound_to="something")

    def test_scripts_cannot_read_its_cookie_and_other_sites_do_not_send_it(self, protected: Browser) -> None:
        cookie = protected().get("/login").headers["Set-Cookie"]

        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie


class TestOtherSites:
    """A page of another site, in the browser of somebody who may do everything here."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:3000"},
            {"Origin": "http://localhost.evil.example"},
        ],
    )
    def test_its_orders_are_refused_whatever_they_look_like(
        self, browser: FlaskClient, headers: dict[str, str]
    ) -> None:
        for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            for path in ("/api/campaigns/1/start", "/campaigns/1/start", "/logout"):
                answer = browser.post(path, data="{}", content_type=content_type, headers=headers)
                assert answer.status_code == 403

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
    )
    def test_an_old_browser_cannot_say_json_for_it(self, browser: FlaskClient, content_type: str | None) -> None:
        answer = browser.post("/api/campaigns/1/start", data=b"{}", content_type=content_type)

        assert answer.status_code == 415

    def test_a_form_without_its_token_is_refused(self, browser: FlaskClient, protected: Browser) -> None:
        client = protected()

        assert client.post("/login", data={"password": PASSWORD}).status_code == 400
        assert client.post("/login", data={"password": PASSWORD, "csrf_token": "forged"}).status_code == 400
        assert client.get(SOMEWHERE).status_code == 303

    def test_our_own_pages_may_order(self, protected: Browser) -> None:
        own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}

        assert log_in(protected(), headers=own) == 303
        assert log_in(protected(), headers={"Origin": "http://localhost"}) == 303

    def test_none_may_read_or_frame_an_answer(self, browser: FlaskClient) -> None:
        answer = browser.get("/api/openapi.json", headers={"Origin": "https://evil.example"})

        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


class TestHeaders:
    @pytest.mark.parametrize("path", ["/login", SOMEWHERE, "/api/openapi.json", "/health/live"])
    def test_nothing_of_others_is_loaded_nothing_is_kept_and_nothing_told(
        self, browser: FlaskClient, path: str
    ) -> None:
        headers = browser.get(path).headers

        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in headers
        assert "Server" not in headers

    def test_pages_hold_no_script_and_no_style_that_the_policy_forbids(self, protected: Browser) -> None:
        page = protected().get("/login").text

        assert not re.search(r"<script|<style| style=| on\w+=", page)


class TestBehindHttps:
    @pytest.fixture
    def client(self, db: None, settings: Override) -> FlaskClient:
        settings(WEB_PASSWORD_HASH=HASH, WEB_BEHIND_HTTPS="true")
        return the_app().test_client()

    FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "mail.example"}

    def test_cookies_go_over_tls_alone(self, client: FlaskClient) -> None:
        cookie = client.get("/login", headers=self.FORWARDED).headers["Set-Cookie"]

        assert cookie.startswith("__Host-punktual=")
        assert "Secure" in cookie

    def test_browsers_are_told_to_stay_on_https(self, client: FlaskClient) -> None:
        assert "max-age" in client.get("/login", headers=self.FORWARDED).headers["Strict-Transport-Security"]

    def test_nobody_is_sent_round_in_circles(self, client: FlaskClient) -> None:
        assert client.get("/login", headers=self.FORWARDED).status_code == 200
        assert client.get("/health/live").status_code == 200

    def test_the_form_works_through_the_proxy(self, client: FlaskClient) -> None:
        own = {"Origin": "https://mail.example", "Referer": "https://mail.example/login"}
        token = csrf_token(client, base_url="https://localhost", headers=self.FORWARDED)

        answer = client.post(
            "/login",
            base_url="https://localhost",
            headers=self.FORWARDED | own,
            data={"csrf_token": token, "password": PASSWORD},
        )

        assert answer.status_code == 303

    def test_attempts_are_counted_by_the_address_that_the_proxy_saw(self, client: FlaskClient) -> None:
        own = self.FORWARDED | {"Referer": "https://mail.example/login"}
        form = {"csrf_token": csrf_token(client, base_url="https://localhost", headers=own), "password": "wrong"}

        answers = [
            client.post("/login", data=form, base_url="https://localhost", headers=own | {"X-Forwarded-For": seen})
            for seen in [f"{i}.1.1.1, 203.0.113.9" for i in range(6)]
        ]

        assert [answer.status_code for answer in answers] == [401] * 5 + [429]


class TestWithoutAProxy:
    def test_what_anybody_may_write_about_where_it_comes_from_counts_for_nothing(self, protected: Browser) -> None:
        client = protected()
        form = {"csrf_token": csrf_token(client), "password": "wrong"}

        answers = [
            client.post("/login", data=form, headers={"X-Forwarded-For": f"{i}.1.1.1", "X-Forwarded-Proto": "https"})
            for i in range(6)
        ]

        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert not any("Strict-Transport-Security" in answer.headers for answer in answers)


class TestMalformedRequests:
    def test_a_body_that_is_too_large_is_refused(self, protected: Browser) -> None:
        client = protected()
        form = {"csrf_token": csrf_token(client), "password": "a" * MOST_BYTES}

        assert client.post("/login", data=form).status_code == 413

    @pytest.mark.parametrize(
        "path", ["/find?address=a%00b", "/find?%00=b", "/%00", "/campaigns/%00", "/login?next=%00"]
    )
    def test_a_nul_character_is_bad_input_and_no_failure(self, browser: FlaskClient, path: str) -> None:
        assert browser.get(path).status_code == 422

    def test_a_nul_character_in_a_form_too(self, browser: FlaskClient) -> None:
        token = {"X-CSRFToken": "none"}

        assert browser.post("/logout", data={"reason": "a\0b"}, headers=token).status_code in (400, 422)

    @pytest.mark.parametrize(
        "path",
        [
            "/static/../app.py",
            "/static/%2e%2e/app.py",
            "/static/..%2fapp.py",
            "/static//etc/passwd",
            "/static/..\\app.py",
        ],
    )
    def test_no_path_leads_out_of_the_static_files(self, browser: FlaskClient, path: str) -> None:
        assert browser.get(path, follow_redirects=True).status_code == 404


class TestSettings:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"WEB_HOST": "0.0.0.0"}, "PUNKTUAL_WEB_PASSWORD_HASH"),
            ({"WEB_BEHIND_HTTPS": "true"}, "PUNKTUAL_WEB_PASSWORD_HASH"),
            ({"WEB_TOKEN": "short"}, "at least 20"),
            ({"WEB_TOKEN": "a token with spaces in between"}, "no space"),
            ({"WEB_PASSWORD_HASH": "the password itself"}, "new-password"),
            ({"WEB_PASSWORD_HASH": "=19=65536,t=3,p=4"}, "single quotes"),
        ],
    )
    def test_what_would_open_it_to_strangers_stops_the_start(
        self, settings: Override, values: dict[str, str], said: str
    ) -> None:
        settings(**values)

        with pytest.raises(config.SettingsInvalid, match=said) as refusal:
            config.load()

        assert values.get("WEB_TOKEN", "no such") not in str(refusal.value)


def session_cookie(client: FlaskClient) -> str:
    found = client.get_cookie("punktual")
    assert found is not None
    return found.value


def with_cookie(value: str) -> FlaskClient:
    """A new browser, before an application with the settings of now, that bears this cookie."""
    client = the_app().test_client()
    client.set_cookie("punktual", value)
    return client
