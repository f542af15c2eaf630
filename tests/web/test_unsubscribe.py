"""The unsubscribe page: whom it lets do what, and what it never does."""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask.testing import FlaskClient

import config
from mail import unsubscribe
from mail.message import own_id
from models.email import moves
from models.people import suppressions
from models.states import Status
from models.store import database, vault
from reasons import Code, Reason
from tests import factories as make
from tests.conftest import Override
from tests.scraping import free_port
from tests.waiting import BOUND
from tests.web.conftest import HASH, Served, the_app
from web.app import MOST_PUBLIC_BYTES, create_public_app
from web.guard import access

ANNA = "anna@leads.example"
ONE_CLICK = dict([unsubscribe.ONE_CLICK])
FROM_A_PROVIDER = {"Host": "stop.sender.example"}


@pytest.fixture(params=["beside the pages", "behind their login", "alone"])
def client(request: pytest.FixtureRequest, db: None, settings: Override) -> Iterator[FlaskClient]:
    """The page beside the others, without and with a login, and served by itself."""
    if request.param == "behind their login":
        settings(WEB_PASSWORD_HASH=HASH)
    app = create_public_app() if request.param == "alone" else the_app()
    access.limiter.reset()
    with app.test_client(use_cookies=False) as client:
        yield client


def an_email() -> int:
    return make.an_email(leads=[ANNA])


def path_of(email_id: int, lang: str = "en", keys: list[bytes] | None = None) -> str:
    id = UUID(own_id(make.row(email_id).message_id))
    return f"/unsubscribe/{lang}/{unsubscribe.token(id, keys or vault.derived_keys(unsubscribe.PURPOSE))}"


def everything() -> list[tuple[object, ...]]:
    return [
        tuple(database.fetch(f"SELECT it::text FROM {table} it ORDER BY 1"))
        for table in ("suppression", "change", "campaign_email_queue", "email_history", "web_session")
    ]


class TestAPostOfTheRfcsBody:
    @pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
    def test_suppresses_the_lead_of_its_e_mail_at_once(self, client: FlaskClient, content_type: str) -> None:
        email_id, other = an_email(), make.an_email()

        answer = client.post(path_of(email_id), data=ONE_CLICK, content_type=content_type, headers=FROM_A_PROVIDER)

        assert answer.status_code == 200
        assert "You have been unsubscribed" in answer.text
        [found] = suppressions.every()
        assert (found.address, found.why, found.by, found.email_id) == (
            ANNA,
            Reason(Code.UNSUBSCRIBED),
            "unsubscribe page",
            email_id,
        )
        assert [make.row(it).status for it in (email_id, other)] == [Status.CANCELLED, Status.PENDING]

    def test_a_second_time_changes_nothing_more(self, client: FlaskClient) -> None:
        path = path_of(an_email())
        client.post(path, data=ONE_CLICK)
        before = everything()

        assert client.post(path, data=ONE_CLICK).status_code == 200
        assert everything() == before

    def test_stops_a_mail_that_is_just_being_sent(self, client: FlaskClient) -> None:
        claim = make.claimed(an_email())

        assert client.post(path_of(claim.held.email_id), data=ONE_CLICK).status_code == 200

        closed = moves.hand_over(claim.held, b"Subject: hello\r\n\r\n")
        assert closed is not None
        assert closed.reason == "suppressed: unsubscribed"

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "stop.sender.example", "Origin": "https://mail.provider.example"},
            {"Host": "stop.sender.example", "Sec-Fetch-Site": "cross-site"},
            {"Host": "203.0.113.7:8026", "User-Agent": ""},
        ],
    )
    def test_may_come_from_anywhere(self, client: FlaskClient, headers: dict[str, str]) -> None:
        assert client.post(path_of(an_email()), data=ONE_CLICK, headers=headers).status_code == 200

    def test_with_the_key_before_the_current_one_still_works(self, client: FlaskClient, settings: Override) -> None:
        path = path_of(an_email())
        old = vault.derived_keys(unsubscribe.PURPOSE)
        secret = config.settings().secret_key
        assert secret is not None
        settings(SECRET_KEY=f"{'n' * 43}=, {secret.get_secret_value()}")

        assert vault.derived_keys(unsubscribe.PURPOSE)[1:] == old
        assert client.post(path, data=ONE_CLICK).status_code == 200

    def test_of_a_mail_that_moved_to_another_mailbox_works(self, client: FlaskClient) -> None:
        email_id = an_email()
        path = path_of(email_id)
        other = make.a_mailbox("jan@elsewhere.example")
        database.execute("UPDATE campaign_email_queue SET mailbox_id = %s WHERE id = %s", (other, email_id))

        assert client.post(path, data=ONE_CLICK).status_code == 200
        assert [it.address for it in suppressions.every()] == [ANNA]

    @pytest.mark.parametrize("behind", [".", ",", ")", "%3E", "!"])
    def test_of_a_link_with_a_sign_behind_it_that_is_the_texts_works(self, client: FlaskClient, behind: str) -> None:
        assert client.post(path_of(an_email()) + behind, data=ONE_CLICK).status_code == 200


BODIES: dict[str, dict[str, object]] = {
    "nothing": {},
    "another value": {"data": {"List-Unsubscribe": "one-click"}},
    "another name": {"data": {"unsubscribe": "One-Click"}},
    "two of them": {"data": {"List-Unsubscribe": ["One-Click", "One-Click"]}},
    "JSON": {"json": ONE_CLICK},
    "text": {"data": "List-Unsubscribe=One-Click", "content_type": "text/plain"},
    "the query": {"query_string": ONE_CLICK},
    "a part that never ends": {"data": b"--x\r\n", "content_type": "multipart/form-data; boundary=x"},
}


class TestWhatChangesNothing:
    def test_a_post_of_another_body(self, client: FlaskClient) -> None:
        path = path_of(an_email())
        before = everything()

        for name, body in BODIES.items():
            answer = client.post(path, **body)
            assert (answer.status_code, "Nothing was changed" in answer.text) == (400, True), name
        assert everything() == before

    def test_every_other_method(self, client: FlaskClient) -> None:
        path = path_of(an_email())
        before = everything()

        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
            for headers in ({}, {"Sec-Purpose": "prefetch"}, {"Purpose": "preview"}):
                answer = client.open(path, method=method, data=ONE_CLICK, query_string=ONE_CLICK, headers=headers)
                assert answer.status_code < 500
        assert everything() == before

    def test_a_body_that_is_too_long(self, client: FlaskClient) -> None:
        path = path_of(an_email())
        before = everything()

        answer = client.post(path, data={**ONE_CLICK, "more": "x" * 70_000})

        assert answer.status_code == 413
        assert everything() == before

    def test_a_token_that_names_no_e_mail_of_ours(self, client: FlaskClient) -> None:
        email_id = an_email()
        nobodys = unsubscribe.token(UUID(int=7), vault.derived_keys(unsubscribe.PURPOSE))
        before = everything()

        for path in (
            path_of(email_id, keys=[b"x" * 32]),
            path_of(email_id)[:-1],
            f"/unsubscribe/en/{nobodys}",
            "/unsubscribe/en/%00%ff",
        ):
            answer = client.post(path, data=ONE_CLICK)
            assert (answer.status_code, "This link is not valid" in answer.text) == (404, True)
        assert "from a preview" in client.post(f"/unsubscribe/en/{unsubscribe.PREVIEW}", data=ONE_CLICK).text
        assert everything() == before


class TestThePage:
    @pytest.mark.parametrize(
        ("lang", "question", "done"),
        [
            ("en", "Would you like to stop", "You have been unsubscribed"),
            ("pl", "zrezygnować", "Wypisaliśmy"),
        ],
    )
    def test_asks_and_answers_in_the_leads_language_whatever_the_browsers(
        self, client: FlaskClient, lang: str, question: str, done: str
    ) -> None:
        path = path_of(an_email(), lang)

        asked = client.get(path, headers={"Accept-Language": "de, fr;q=0.5"})

        assert (asked.status_code, f'<html lang="{lang}">' in asked.text, question in asked.text) == (200, True, True)
        [(name, value)] = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', asked.text)
        assert done in client.post(path, data={name: value}).text

    def test_says_nothing_about_the_person_and_the_same_to_all(self, client: FlaskClient) -> None:
        one, other = (path_of(make.an_email(leads=[it])) for it in (ANNA, "jan@firm.example"))
        client.post(other, data=ONE_CLICK)

        first, second = (client.get(it).text.replace(it.rpartition("/")[2], "TOKEN") for it in (one, other))

        assert first == second
        assert not re.search("anna|leads|firm|campaign|sender", first, re.IGNORECASE)

    def test_sets_no_cookie_and_loads_nothing(self, client: FlaskClient) -> None:
        path = path_of(an_email())

        for answer in (
            client.get(path),
            client.get(f"{path}?lang=pl"),
            client.post(path, data=ONE_CLICK),
            client.post(path),
            client.get("/unsubscribe/en/x"),
        ):
            assert "Set-Cookie" not in answer.headers
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Robots-Tag"] == "noindex"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert not re.search(r"<(script|link|img|iframe)|url\(|@import", answer.text)

    def test_leads_to_its_other_language_by_a_relative_link(self, client: FlaskClient) -> None:
        path = path_of(an_email(), "pl")

        [link] = re.findall(r'href="\.\./(en/[^"]+)"', client.get(path).text)

        assert "Would you like" in client.get(f"/unsubscribe/{link}").text


class TestTheLimit:
    def test_of_wrong_requests_from_one_network_does_not_stop_another(self, client: FlaskClient) -> None:
        right, wrong = path_of(an_email()), "/unsubscribe/en/x"

        answers = [
            client.post(wrong, data=ONE_CLICK, environ_base={"REMOTE_ADDR": "203.0.113.7"}).status_code
            for _ in range(25)
        ]

        assert (answers[0], answers[-1], answers.count(404)) == (404, 429, 20)
        assert client.post(right, data=ONE_CLICK, environ_base={"REMOTE_ADDR": "203.0.113.8"}).status_code == 200

    def test_is_wide_enough_for_a_mail_provider(self, client: FlaskClient) -> None:
        path = path_of(an_email())

        assert {client.post(path, data=ONE_CLICK).status_code for _ in range(100)} == {200}


OTHER_PAGES = [
    "/",
    "/campaigns",
    "/login",
    "/api/campaigns",
    "/api/openapi.json",
    "/metrics",
    "/health/live",
    "/static/",
]


def test_alone_it_has_no_other_page(db: None) -> None:
    with create_public_app().test_client() as client:
        for path in [*OTHER_PAGES, "/unsubscribe/", "/unsubscribe/de/x", "/unsubscribe/en/x/y"]:
            for answer in (client.get(path), client.post(path)):
                assert (answer.status_code, "Set-Cookie" in answer.headers) == (404, False)
                assert "<a " not in answer.text


def test_alone_it_takes_no_more_than_a_few_kilobytes(db: None) -> None:
    path = path_of(an_email())
    with create_public_app().test_client() as client:
        answer = client.post(path, data={**ONE_CLICK, "more": "x" * MOST_PUBLIC_BYTES})

    assert answer.status_code == 413
    assert suppressions.every() == []


def test_beside_the_pages_it_opens_no_other_path_to_strangers(db: None) -> None:
    with the_app().test_client() as client:
        for path in ("/campaigns/1/pause", "/emails/1/settle", "/login", "/logout", "/unsubscribe/en"):
            assert client.post(path, data=ONE_CLICK, headers=FROM_A_PROVIDER).status_code == 400
            assert client.post(path, data=ONE_CLICK, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


class TestWhileTheDatabaseIsAway:
    def test_it_says_that_nothing_was_changed(self, client: FlaskClient, settings: Override) -> None:
        path, url = path_of(an_email()), config.settings().database.url.get_secret_value()
        settings(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
        database.close()
        database.open_database("tests")
        try:
            asked, answer = client.get(path), client.post(path, data=ONE_CLICK)
        finally:
            settings(DATABASE_URL=url)
            database.close()
            database.open_database("tests")

        assert asked.status_code == 200
        assert (answer.status_code, "nothing was changed" in answer.text) == (503, True)
        assert suppressions.every() == []


class TestTheProcess:
    def test_serves_the_page_on_a_port_of_its_own(self, serve: Callable[..., Served]) -> None:
        path, port = path_of(an_email()), free_port()

        served = serve("public", PUNKTUAL_UNSUBSCRIBE_PORT=str(port))

        assert served.said == f"the unsubscribe page is at http://127.0.0.1:{port}"
        body = urlencode(ONE_CLICK).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=BOUND) as answer:
            assert "You have been unsubscribed" in answer.read().decode()
        assert [it.address for it in suppressions.every()] == [ANNA]

    def test_refuses_other_words_in_one_line(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "web", "publik"], cwd=config.ROOT, capture_output=True, text=True, check=False
        )

        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "python -m web public" in done.stderr
