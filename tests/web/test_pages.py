"""What the pages say, and to whom; how they are met in a browser is in tests/pipeline/test_pages.py."""

import re
from datetime import timedelta
from html import unescape

import pytest
from flask.testing import FlaskClient

from models.audit import changes
from models.email import batch_moves, moves, retention
from models.health import heartbeats
from models.owner import arming, campaigns, mailboxes, notices
from models.people import suppressions
from models.states import Status
from models.store import database
from models.store.tables import (
    Campaign,
    CampaignEmailQueue,
    CampaignLead,
    CampaignStep,
    EmailHistory,
    Heartbeat,
    Incoming,
    Mailbox,
)
from models.views import overview
from reasons import Code, Reason
from scheduling.window import warsaw_day, warsaw_day_bounds
from tests import factories as make
from tests.constraints import without_checks
from tests.waiting import until
from tests.web.conftest import token_of
from tests.web.rows import something_of_everything
from web import outlook, timeline_bars, words


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    outlook.played.cache_clear()


def page(browser: FlaskClient, path: str, status: int = 200) -> str:
    answer = browser.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def text(html: str) -> str:
    """As a person reads it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


class TestEveryPage:
    def test_answers_whatever_is_in_the_rows(self, browser: FlaskClient) -> None:
        found = something_of_everything()
        paths = ["/", "/?show=hour", "/campaigns", "/mailboxes", "/unknown", "/find", "/find?address=a@b.example"]
        paths += [
            "/needs-you",
            "/needs-you?after=1",
            "/incoming",
            "/incoming?class=human&campaign=1&before=9",
        ]
        paths += [f"/campaigns/{row.id}" for row in campaigns.every()] + [f"/emails/{each}" for each in found.values()]

        for path in paths:
            for language in ("en", "pl"):
                answer = page(browser, f"{path}{'&' if '?' in path else '?'}lang={language}")
                # A tag of ours that was escaped like text.
                assert not re.search(r"&lt;/?(code|b|br|bdi|a|p)\b", answer), path

    @pytest.mark.parametrize(
        ("table", "change"),
        [
            ("campaign", "delay_seconds = 1e300"),
            ("campaign", "delay_seconds = 'NaN'"),
            ("campaign", "weekdays = '{8}'"),
            ("campaign", "window_end_minute = 3000"),
            ("mailbox", "gap_seconds = 1e300"),
            ("mailbox", "gap_seconds = -1"),
        ],
    )
    def test_answers_also_with_a_row_that_nothing_can_be_planned_with(
        self, browser: FlaskClient, table: str, change: str
    ) -> None:
        with without_checks("campaign", "mailbox"):
            make.an_email(leads=2)
            good = make.row(make.an_email()).campaign_id
            database.execute(f"UPDATE {table} SET {change} WHERE id = 1")

            for path in (
                "/",
                "/?show=hour",
                "/campaigns",
                "/mailboxes",
                "/campaigns/1",
                f"/campaigns/{good}",
                "/metrics",
            ):
                page(browser, f"{path}{'&' if '?' in path else '?'}lang=pl")
            assert browser.get("/api/campaigns").status_code == 200

    def test_answers_where_there_is_nothing_yet(self, browser: FlaskClient) -> None:
        for path in ("/", "/campaigns", "/mailboxes", "/needs-you", "/incoming", "/unknown", "/find"):
            page(browser, path)

    def test_is_sent_a_second_time_only_if_it_changed(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        first = browser.get("/unknown")
        again = {"If-None-Match": first.headers["ETag"]}

        assert browser.get("/unknown", headers=again).status_code == 304
        assert browser.application.test_client().get("/unknown").headers["ETag"] == first.headers["ETag"]
        CampaignEmailQueue.update(error="news").where(CampaignEmailQueue.id == email_id).execute()
        assert browser.get("/unknown", headers=again).status_code == 200

    def test_has_no_style_or_handler_that_the_policy_forbids(self, browser: FlaskClient) -> None:
        found = something_of_everything()

        for path in (
            "/",
            "/campaigns",
            f"/emails/{found[Status.UNKNOWN]}",
            "/mailboxes",
            "/unknown",
            "/needs-you",
            "/incoming",
        ):
            html = page(browser, path)
            assert not re.findall(r"<[^>]*\s(?:style|on\w+)\s*=", html)
            assert re.findall(r"<script([^>]*)>", html) == [' type="module" src="/static/live.js"']

    def test_says_of_a_table_that_turns_into_cards_that_it_is_one(self, browser: FlaskClient) -> None:
        email_id = make.an_email()
        [campaign] = campaigns.every()

        for path in ("/campaigns", f"/campaigns/{campaign.id}", f"/find?address={overview.email(email_id).lead}"):
            tables = re.findall(r'<table class="cards".*?</table>', page(browser, path), re.DOTALL)
            assert tables
            assert re.findall(r"<(?:table|thead|tbody|tr|th|td)\b(?![^>]* role=)[^>]*>", "".join(tables)) == []

    def test_warns_where_nothing_may_be_sent(self, browser: FlaskClient) -> None:
        arming.disarm("the database went back in time", "tests")

        assert "Sending is blocked. the database went back in time" in text(page(browser, "/campaigns"))

    @pytest.mark.parametrize(("minutes", "warns"), [(2, False), (4, True)])
    def test_warns_where_the_timekeeper_is_not_heard_of(self, browser: FlaskClient, minutes: int, warns: bool) -> None:
        heartbeats.beat("tick")
        Heartbeat.update(at=database.clock() - timedelta(minutes=minutes)).execute()

        assert ("Nothing is being planned." in page(browser, "/")) == warns

    def test_that_does_not_exist_says_so(self, browser: FlaskClient) -> None:
        for path in ("/nothing", "/emails/4711", "/emails/4711/html", "/campaigns/4711"):
            assert "404" in text(page(browser, path, 404))
            assert "Nie znaleziono." in page(browser, f"{path}?lang=pl", 404)

    def test_that_refuses_does_so_in_polish(self, browser: FlaskClient) -> None:
        elsewhere = browser.get("/?lang=pl", headers={"Host": "evil.example"})

        assert "nazwa hosta jest niedozwolona" in elsewhere.text
        assert "address: zawiera znak NUL" in page(browser, "/find?address=%00&lang=pl", 422)


class TestToday:
    def test_shows_where_a_moved_mail_came_from_and_why(self, browser: FlaskClient) -> None:
        email_id = make.an_email(make.now() + timedelta(seconds=5))
        row = make.row(email_id)
        batch_moves.replan(
            row.campaign_id, [make.slot(row, row.scheduled_at + timedelta(seconds=2))], "downtime", "tests"
        )

        html = page(browser, "/")

        assert re.search(r"moved from \d\d:\d\d:\d\d: nothing could be sent at the time", html)
        assert "1 moved: nothing could be sent at the time" in text(html)

    def test_marks_late_mails_so(self, browser: FlaskClient) -> None:
        today, _ = warsaw_day_bounds(warsaw_day(make.now()))
        email_id = make.an_email(max(today, make.now() - timedelta(minutes=2)))

        # In the first minute of a day none of its e-mails is late yet.
        until(lambda: f'id="mark-{email_id}" class="mark pending late"' in page(browser, "/"), "a late mark")

    def test_draws_many_as_bars_that_lead_to_the_list_of_each(self, browser: FlaskClient) -> None:
        mailbox_id, count = make.a_mailbox(), timeline_bars.MOST_OF_LINE + 1
        campaign_id = make.a_campaign([mailbox_id], leads=count)
        begin, end = warsaw_day_bounds(warsaw_day(make.now()))
        noon = begin + (end - begin) / 2
        ids = make.planned(campaign_id, mailbox_id, *[noon + timedelta(seconds=each) for each in range(count)])

        html = page(browser, "/")

        assert 'id="mark-' not in html
        [bar] = re.findall(rf'id="bar-{campaign_id}-[^>]+ href="([^"]+)"><title>([^<]+)', html)
        assert f"{count} planned" in bar[1]
        listed, address = [], unescape(bar[0])
        while address:
            found = page(browser, address)
            listed += [int(id) for id in re.findall(r'href="/emails/(\d+)"', found)]
            [address] = re.findall(r'rel="next" href="([^"]+)"', found) or [""]
            address = unescape(address)
        assert sorted(set(listed)) == sorted(ids)

    @pytest.mark.parametrize(
        "query",
        [
            *("since=2026-11-17T11:00Z", "since=x&until=y", "since=2026-11-17T11:00&until=2026-11-17T12:00"),
            *("since=2026-11-17T12:00Z&until=2026-11-17T11:00Z", "since=2026-01-01T12:00Z&until=2026-11-17T11:00Z"),
            "since=0001-01-01T00:00%2B23:00&until=0001-01-01T01:00%2B23:00",
        ],
    )
    def test_a_stretch_that_makes_no_sense_is_refused(self, browser: FlaskClient, query: str) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        assert "This link is not valid." in page(browser, f"/campaigns/{campaign_id}?{query}", 400)

    def test_tells_what_is_overdue_from_before(self, browser: FlaskClient) -> None:
        begin, _ = warsaw_day_bounds(warsaw_day(make.now()))
        email_id = make.an_email(begin - timedelta(hours=1))

        html = page(browser, "/")

        assert f'id="mark-{email_id}" class="mark pending late"' in html
        assert "1 overdue from before today" in text(html)
        assert "1 zaległa sprzed dzisiaj" in text(page(browser, "/?lang=pl"))

    def test_keeps_a_campaign_that_ended_today(self, browser: FlaskClient) -> None:
        make.in_status(Status.SENT)
        campaigns.complete_finished("tests")

        html = page(browser, "/")

        assert Campaign.get().status == "completed"
        assert "1 sent" in text(html)

    def test_does_not_count_as_planned_what_a_paused_campaign_holds(self, browser: FlaskClient) -> None:
        email_id = make.an_email(make.now())
        assert "Still planned today 1" in text(page(browser, "/"))

        campaigns.pause(make.row(email_id).campaign_id, "tests")

        assert "Still planned today 0" in text(page(browser, "/"))


class TestFinding:
    def test_is_by_a_part_of_an_address_a_name_or_a_company(self, browser: FlaskClient) -> None:
        box = make.a_mailbox()
        make.a_campaign([box], leads=["anna.kowalska@leads.example", "jan@leads.example"])
        CampaignLead.update(fields={"company": "Piekarnia <Kłos>"}).where(CampaignLead.position == 2).execute()

        by_address, by_company = (page(browser, f"/find?address={it}") for it in ("OWALS", "klos"))

        assert ("anna.kowalska@leads.example" in by_address, "jan@" in by_address) == (True, False)
        assert ("Piekarnia &lt;Kłos&gt;" in by_company, "anna." in by_company) == (True, False)
        assert "at least 3 characters" in page(browser, "/find?address=an")
        assert "Żaden odbiorca" in page(browser, "/find?address=piotr&lang=pl")


class TestCampaign:
    def test_filters_its_mails_by_status_and_a_part_of_the_address(self, browser: FlaskClient) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=["anna@leads.example", "jan@leads.example"])
        make.planned(campaign_id, mailbox_id, make.now(), make.now() + timedelta(minutes=1))

        def rows(query: str) -> list[str]:
            return re.findall(r"(\w+)@leads.example", page(browser, f"/campaigns/{campaign_id}?{query}"))

        assert rows("") == ["anna", "jan"]
        assert rows("status=pending&lead=") == ["anna", "jan"]
        assert rows("status=sent") == []
        assert rows("lead=JAN@Leads.example")[-1] == "jan"
        assert rows("lead=nna") == ["anna"]
        assert "no such e-mails" in page(browser, f"/campaigns/{campaign_id}?lead=piotr")

    def test_says_of_leads_without_a_mail_whether_they_may_still_get_one(self, browser: FlaskClient) -> None:
        ids = [make.a_campaign([make.a_mailbox()], leads=3) for _ in range(2)]
        campaigns.cancel(ids[1], "ola")

        going, over = (text(page(browser, f"/campaigns/{each}")) for each in ids)

        assert "not planned yet 3" in going
        assert "never planned 3" in over

    def test_leads_from_page_to_page_and_back(self, browser: FlaskClient) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=51)
        make.planned(campaign_id, mailbox_id, *(make.now() + timedelta(minutes=each) for each in range(51)))

        first = page(browser, f"/campaigns/{campaign_id}")
        second = page(browser, link(first, "next"))
        back = page(browser, link(second, "prev"))

        assert [html.count('id="mail-') for html in (first, second, back)] == [50, 1, 50]

    def test_a_page_that_was_made_up_is_refused(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        assert "400" in page(browser, f"/campaigns/{campaign_id}?cursor=nonsense", 400)

    def test_shows_who_changed_what_from_what_to_what(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], delay=60)
        campaigns.edit(campaign_id, "admin:ola", campaigns.Edit(delay_seconds=90.0, window_start_minute=540))

        said = text(page(browser, f"/campaigns/{campaign_id}"))

        assert "changed by admin:ola" in said
        assert "delay: 1 min → 1 min 30 s" in said
        assert "window opens: 00:00 → 09:00" in said

    def test_says_in_polish_what_is_ours_and_leaves_a_persons_words_alone(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        campaigns.pause(campaign_id, "ola", reason="today")

        said = text(page(browser, f"/campaigns/{campaign_id}?lang=pl"))

        assert "Kampania jest wstrzymana: today." in said

    def test_names_its_status_in_polish(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], active=False)

        assert "kampanii: szkic." in text(page(browser, f"/campaigns/{campaign_id}?lang=pl"))

    def test_says_no_end_that_is_further_off_than_it_looks(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=5001, limit=6000, active=False)

        said = text(page(browser, f"/campaigns/{campaign_id}"))

        assert "It still sends after" in said
        assert "its last e-mail" not in said

    def test_is_ordered_only_by_its_own_forms(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        refused = browser.post(f"/campaigns/{campaign_id}/pause")
        assert refused.status_code == 400
        assert Campaign.get_by_id(campaign_id).status == "active"

        token = csrf_token_of_any_form(browser, f"/campaigns/{campaign_id}")
        assert browser.post(f"/campaigns/{campaign_id}/pause", data={"csrf_token": token}).status_code == 303
        assert Campaign.get_by_id(campaign_id).status == "paused"


class TestEmail:
    def test_says_that_nothing_was_sent_where_nothing_was(self, browser: FlaskClient) -> None:
        email_id = make.an_email()

        said = text(page(browser, f"/emails/{email_id}"))

        assert "Nothing has been handed over to a server yet." in said
        assert "how are you" not in said
        assert "iframe" not in page(browser, f"/emails/{email_id}")

    def test_says_that_its_letter_was_deleted_because_of_its_age(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.SENT)
        make.everything_older(timedelta(days=90, minutes=1))
        retention.delete_letters(90)

        assert "The content is no longer kept: deleted on " in text(page(browser, f"/emails/{email_id}"))
        assert "90 days after it was handed over" in text(page(browser, f"/emails/{email_id}"))
        assert "90 dni po przekazaniu serwerowi" in text(page(browser, f"/emails/{email_id}?lang=pl"))
        page(browser, f"/emails/{email_id}/html", 404)

    def test_does_not_call_sent_what_was_refused(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.FAILED)

        said = text(page(browser, f"/emails/{email_id}"))

        assert "Content that the server did not accept" in said
        assert "Sent content" not in said

    def test_shows_bytes_that_are_no_message_as_they_are(self, browser: FlaskClient) -> None:
        email_id = make.an_email()
        moves.hand_over(make.claimed(email_id).held, b"Content-Type: text/plain; charset=klingon\r\n\r\n\xff<b>qapla")

        assert "&lt;b&gt;qapla" in page(browser, f"/emails/{email_id}")

    def test_a_letters_html_comes_with_a_policy_that_lets_it_do_nothing(self, browser: FlaskClient) -> None:
        email_id = make.an_email()
        moves.hand_over(make.claimed(email_id).held, b"Content-Type: text/html\r\n\r\n<p>Dear Anna</p>")

        answer = browser.get(f"/emails/{email_id}/html")

        policy = answer.headers["Content-Security-Policy"]
        assert "sandbox" in policy
        assert "default-src 'none'" in policy
        assert answer.mimetype == "text/html"
        assert answer.text.strip() == "<p>Dear Anna</p>"

    @pytest.mark.parametrize(("after", "is_late"), [(59, False), (61, True)])
    def test_is_late_where_today_says_so_by_its_start(self, browser: FlaskClient, after: int, is_late: bool) -> None:
        email_id, _ = make.in_status(Status.SENT)
        started = make.row(email_id).scheduled_at + timedelta(seconds=after)
        Q = CampaignEmailQueue
        Q.update(claimed_at=started).where(Q.id == email_id).execute()
        EmailHistory.update(at=started).where(EmailHistory.move == "claim").execute()
        EmailHistory.update(at=started + timedelta(minutes=2)).where(EmailHistory.move == "hand_over").execute()

        assert ('class="lateness late"' in page(browser, f"/emails/{email_id}")) is is_late
        assert ('class="mark sent late"' in page(browser, "/")) is is_late

    def test_is_settled_in_one_of_two_ways_only(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        browser.get("/unknown")

        form = {"csrf_token": token_of(browser), "verdict": "perhaps", "reason": "I guess"}
        answer = browser.post(f"/emails/{email_id}/settle", data=form)

        assert answer.status_code == 409
        assert "I guess" in answer.text
        assert make.row(email_id).status == Status.UNKNOWN


def test_the_rule_that_read_a_message_is_told_in_polish(browser: FlaskClient) -> None:
    email_id, _ = make.in_status(Status.SENT)
    make.came_back(email_id, "human", rule="none of the other rules")

    assert "rozstrzygnęło: żadna z pozostałych reguł" in text(page(browser, "/incoming?lang=pl"))


def test_a_message_that_suppressed_its_lead_and_its_sender_tells_both(browser: FlaskClient) -> None:
    email_id, _ = make.in_status(Status.SENT)
    make.came_back(email_id, "unsubscribe", sender="jan@klient.example")

    told = text(page(browser, "/incoming"))

    lead = CampaignLead.get_by_id(make.row(email_id).campaign_lead_id).address
    assert f"suppressed {lead} · suppressed jan@klient.example" in told


class TestJudging:
    @pytest.fixture
    def message_id(self, db: None) -> int:
        email_id, _ = make.in_status(Status.SENT)
        return make.came_back(email_id, "unclear", excerpt="<script>alert(1)</script> może \u202etxt")

    def judge(self, browser: FlaskClient, id: int, verdict: str, **form: str) -> tuple[int, str]:
        """The status and where the answer leads."""
        form = {"verdict": verdict, "csrf_token": token_of(browser), **form}
        answer = browser.post(f"/incoming/{id}/judge", data=form)
        return answer.status_code, answer.headers.get("Location", "")

    def test_takes_one_click_and_leads_back(self, browser: FlaskClient, message_id: int) -> None:
        assert self.judge(browser, message_id, "bounce:address", back="/emails/1") == (303, "/emails/1")

        row = Incoming.get_by_id(message_id)
        assert (row.class_, row.kind, row.corrected_by) == ("bounce", "address", "web")
        assert [it.address for it in suppressions.every()] == [row.suppressed]
        assert "Nothing needs you." in text(page(browser, "/needs-you"))
        [corrected] = [it for it in changes.of_address(row.suppressed or "") if it.verb == "correct"]
        assert str(corrected.why) == "a message was taken for unclear and is bounce: a person has read it"

    @pytest.mark.parametrize("verdict", ["unclear", "nonsense", "human:address", ""])
    def test_that_decides_nothing_is_refused_with_the_form_again(
        self, browser: FlaskClient, message_id: int, verdict: str
    ) -> None:
        html = browser.post(f"/incoming/{message_id}/judge", data={"verdict": verdict, "csrf_token": token_of(browser)})

        assert html.status_code == 409
        assert "choose what the message is" in text(html.text)
        assert Incoming.get_by_id(message_id).corrected_at is None

    def test_leads_to_no_other_site(self, browser: FlaskClient, message_id: int) -> None:
        assert self.judge(browser, message_id, "human", back="https://evil.example/")[1] == "/"

    def test_of_what_does_not_exist_is_not_found(self, browser: FlaskClient) -> None:
        assert self.judge(browser, 99, "human")[0] == 404

    def test_shows_a_strangers_words_as_they_are(self, browser: FlaskClient, message_id: int) -> None:
        for path in ("/needs-you", "/incoming", "/emails/1"):
            html = page(browser, path)
            assert "&lt;script&gt;alert(1)&lt;/script&gt; może ⟨U+202E⟩txt" in html


def test_each_problem_that_people_are_told_of_stands_on_the_page_of_what_needs_them() -> None:
    listed_apart = {notices.Kind.UNKNOWN, notices.Kind.UNCLEAR}

    assert words.NEEDS.keys() == set(notices.Kind) - listed_apart


class TestInvisibleCharacters:
    def test_are_shown_where_they_would_change_what_is_read(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        name = "invoice\u202egpj.exe \u200bzero \x1b[2J bell"
        Campaign.update(name=name).where(Campaign.id == campaign_id).execute()

        html = page(browser, "/campaigns")

        assert "invoice⟨U+202E⟩gpj.exe ⟨U+200B⟩zero ⟨U+001B⟩[2J bell" in html

    def test_leave_letters_of_any_script_alone(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        name = "Zażółć gęślą jaźń 👩‍💻 שלום می‌خواهم"
        Campaign.update(name=name).where(Campaign.id == campaign_id).execute()

        assert name in page(browser, "/campaigns")


def link(html: str, rel: str) -> str:
    [found] = re.findall(rf'rel="{rel}" href="([^"#]+)', html)
    return str(found).replace("&amp;", "&")


def csrf_token_of_any_form(browser: FlaskClient, path: str) -> str:
    return str(re.findall(r'name="csrf_token" value="([^"]+)"', page(browser, path))[0])


class TestWhatIsSaidInPolish:
    def test_is_also_why_a_mail_was_cancelled_with_the_words_of_whoever_did(self, browser: FlaskClient) -> None:
        email_id = make.an_email()
        moves.cancel(email_id, Reason(Code.SUPPRESSED, reason="suppressed by the owner"), "worker")
        others = make.an_email()
        paused = Reason(Code.CAMPAIGN_STATUS, status="paused")
        moves.release(make.claimed(others).held, Reason(Code.WITHDRAWN, because=paused))

        assert "adres wykluczony: suppressed by the owner" in text(page(browser, f"/emails/{email_id}?lang=pl"))
        assert "zatrzymana przed końcową kropką: stan kampanii: wstrzymana" in text(
            page(browser, f"/emails/{others}?lang=pl")
        )

    def test_are_the_numbers_in_the_reasons(self, browser: FlaskClient) -> None:
        email_id = make.an_email()
        moves.release(make.claimed(email_id).held, Reason(Code.MAILBOX_LIMIT, limit=30))

        assert "skrzynka wykorzystała dzienny limit 30" in text(page(browser, f"/emails/{email_id}?lang=pl"))

    def test_is_also_why_no_server_was_reached(self, browser: FlaskClient) -> None:
        email_id = make.an_email()
        tried = "192.0.2.1: Connection refused"
        why = Reason(Code.NO_CONNECTION, host="smtp.example", port=587, tried=tried)
        moves.release(make.claimed(email_id).held, Reason(Code.MAILBOX_FAULT, because=why))

        assert "brak połączenia z smtp.example, port 587 (192.0.2.1: Connection refused)" in text(
            page(browser, f"/emails/{email_id}?lang=pl")
        )

    def test_are_several_mails_in_the_plural(self, browser: FlaskClient) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 3)
        for email_id in ids[:2]:
            make.rested(campaign_id)
            moves.accept(make.handed_over(email_id).held, make.YES)

        shown = text(page(browser, f"/campaigns/{campaign_id}?lang=pl"))

        assert "wysłane 2" in shown
        assert "zaplanowana 1" in shown
        assert "nieudanych 0" in shown

    def test_is_one_fault_without_a_row_of_them(self, browser: FlaskClient) -> None:
        mailbox_id = make.a_mailbox()
        for faults in ("1 błąd ", "2 błędy z rzędu"):
            mailboxes.close(mailbox_id, "421 busy", lambda faults: timedelta(hours=1))
            assert faults in text(page(browser, "/mailboxes?lang=pl"))
            assert "1 błąd z rzędu" not in text(page(browser, "/mailboxes?lang=pl"))


class TestWhatAServerSaid:
    def test_is_told_apart_from_what_no_server_said(self, browser: FlaskClient) -> None:
        said, unsaid = make.an_email(), make.an_email()
        moves.reject(make.claimed(said).held, make.no(550, "no such user"))
        moves.release(
            make.claimed(unsaid).held, "no route to host", make.later(None, "no route to host", phase="connect")
        )

        assert "the server: 550 no such user" in text(page(browser, f"/emails/{said}"))
        assert "the server:" not in (other := text(page(browser, f"/emails/{unsaid}")))
        assert "no route to host" in other


class TestWhatSendsNothing:
    def test_a_mailbox_that_is_over_its_limit_does_not_look_healthy(self, browser: FlaskClient) -> None:
        mailboxes.record_warmup(make.a_mailbox(daily_limit=30), warsaw_day(make.now()), 41, "tests")

        assert "Sends no more today: 41 of its daily limit of 30 are used." in text(page(browser, "/mailboxes"))
        [answer] = browser.get("/api/mailboxes").json or []
        assert answer["sends_nothing"] == "sends no more today: 41 of its daily limit of 30 are used"

    def test_a_campaign_that_cannot_send_says_so_where_it_is_started(self, browser: FlaskClient) -> None:
        mailbox_id = make.a_mailbox()
        mailboxes.pause(mailbox_id, "tests")
        first, second = (make.a_campaign([mailbox_id], active=False) for _ in range(2))

        form = {"csrf_token": token_of(browser)}
        shown = browser.post(f"/campaigns/{first}/start", data=form, follow_redirects=True).text
        answer = browser.post(f"/api/campaigns/{second}/start", json={}).json or {}

        assert "Waiting: all its mailboxes are paused." in text(shown)
        assert answer["status"] == "active"
        assert answer["standing"]["sentence"] == "waiting: all its mailboxes are paused"
        assert answer["standing"]["sends"] is False
        for path in ("/", "/campaigns"):
            assert text(page(browser, path)).count("Waiting: all its mailboxes are paused.") == 2
            assert "standing going" not in page(browser, path)


class TestAReason:
    @pytest.mark.parametrize(("order", "status"), [("pause", "paused"), ("cancel", "cancelled")])
    def test_is_kept_with_the_order(self, browser: FlaskClient, order: str, status: str) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        form = {"csrf_token": token_of(browser), "reason": " the offer has changed "}

        assert browser.post(f"/campaigns/{campaign_id}/{order}", data=form).status_code == 303

        row, [latest, *_] = campaigns.get(campaign_id), changes.of_campaign(campaign_id)
        assert (row.status, latest.verb, latest.reason) == (status, order, "the offer has changed")
        assert "the offer has changed" in page(browser, f"/campaigns/{campaign_id}")

    def test_may_be_left_out(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        browser.post(f"/campaigns/{campaign_id}/pause", data={"csrf_token": token_of(browser), "reason": " "})

        assert changes.of_campaign(campaign_id)[0].reason is None

    def test_that_is_too_long_is_refused(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        form = {"csrf_token": token_of(browser), "reason": "x" * 1001}

        answer = browser.post(f"/campaigns/{campaign_id}/pause", data=form)

        assert answer.status_code == 409
        assert "the reason must have at most 1000 characters" in answer.text
        assert campaigns.get(campaign_id).status == "active"


def test_the_change_of_a_letter_is_shown_without_the_whole_of_it(browser: FlaskClient) -> None:
    first, second = make.a_mailbox("ola@sender.example"), make.a_mailbox("jan@sender.example")
    campaign_id = make.a_campaign([first], active=False)
    letter = campaigns.Letter("Hello", "Another text", None, checked_to=1)
    campaigns.edit(campaign_id, "ola", campaigns.Edit(letter=letter, mailbox_ids=[second]))

    said = text(page(browser, f"/campaigns/{campaign_id}"))

    assert "text of the letter: 29 characters → 12 characters" in said
    assert "mailboxes: ola@sender.example → jan@sender.example" in said


@pytest.mark.parametrize(("query", "delimiter"), [("", ","), ("?semicolons=1", ";")])
def test_a_campaigns_mails_are_exported_with_their_leads_columns_and_without_formulas(
    browser: FlaskClient, query: str, delimiter: str
) -> None:
    email_id = make.an_email()
    CampaignLead.update(fields={"email": "anna@leads.example", "company": "=1+1"}).execute()
    campaign_id = make.row(email_id).campaign_id

    answer = browser.get(f"/campaigns/{campaign_id}/emails.csv{query}")

    assert answer.data.startswith(b"\xef\xbb\xbfid" + delimiter.encode())
    assert answer.text.splitlines()[1].endswith(f"{delimiter}'=1+1{delimiter}anna@leads.example")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert f"/campaigns/{campaign_id}/emails.csv" in page(browser, f"/campaigns/{campaign_id}")


class TestThePreviewOfADraft:
    @pytest.fixture
    def draft(self) -> Campaign:
        row = Campaign.get_by_id(make.a_campaign([make.a_mailbox()], leads=3, active=False))
        CampaignStep.update(html="<p>Dear <b>{{ name }}</b></p><script>alert(1)</script>").execute()
        return row

    def leads(self, row: Campaign) -> list[str]:
        return [it.address for it in CampaignLead.select().where(CampaignLead.campaign == row.id)]

    def test_leads_from_lead_to_lead_by_their_letters(self, browser: FlaskClient, draft: Campaign) -> None:
        first, second, third = self.leads(draft)

        page = browser.get(f"/campaigns/{draft.id}").text
        next_page = browser.get(f"/campaigns/{draft.id}?letter={second}").text

        assert f"Dear Lead {first}, how are you?" in page
        assert f"letter={second}" in page
        assert "if the campaign is started now" in page
        assert f"Dear Lead {second}, how are you?" in next_page
        assert f"letter={first}" in next_page
        assert f"letter={third}" in next_page

    def test_shows_its_html_in_a_frame_that_can_do_nothing(self, browser: FlaskClient, draft: Campaign) -> None:
        shown = browser.get(f"/campaigns/{draft.id}").text
        [frame] = re.findall(r'<iframe class="letter" sandbox[^>]* src="([^"]+)"', shown)

        response = browser.get(frame.replace("&amp;", "&"))

        assert response.text.strip() == f"<p>Dear <b>Lead {self.leads(draft)[0]}</b></p>"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]

    def test_says_why_a_letter_cannot_be_composed(self, browser: FlaskClient, draft: Campaign) -> None:
        CampaignStep.update(text="{{ nickname }}").execute()

        assert "&#39;nickname&#39; is undefined" in browser.get(f"/campaigns/{draft.id}").text

    @pytest.mark.parametrize("typed", ["eve@leads.example", "eve"])
    def test_says_that_there_is_no_such_lead(self, browser: FlaskClient, draft: Campaign, typed: str) -> None:
        assert "The campaign has no such lead." in browser.get(f"/campaigns/{draft.id}?letter={typed}").text

    def test_says_of_a_suppressed_lead_that_it_gets_none(self, browser: FlaskClient, draft: Campaign) -> None:
        suppressions.add(self.leads(draft)[0], "she asked us to", "tests")

        page = browser.get(f"/campaigns/{draft.id}").text

        assert "It will not be sent." in page
        assert "she asked us to" in page

    def test_stands_on_a_running_campaigns_page_when_it_is_asked_for(
        self, browser: FlaskClient, draft: Campaign
    ) -> None:
        campaigns.start(draft.id, "tests")

        page = browser.get(f"/campaigns/{draft.id}").text
        assert 'id="letter"' not in page
        assert f'href="/campaigns/{draft.id}?step=1#letter"' in page
        shown = browser.get(f"/campaigns/{draft.id}?step=1").text
        assert f"Dear Lead {self.leads(draft)[0]}, how are you?" in shown
        assert ", by the forecast" in shown
        campaigns.cancel(draft.id, "tests")
        assert 'id="letter"' not in browser.get(f"/campaigns/{draft.id}?step=1").text


class TestThePreviewOfAFollowUp:
    @pytest.fixture
    def draft(self) -> Campaign:
        row = make.a_campaign([make.a_mailbox()], leads=2, active=False, follow_ups=["3 working days"])
        later = CampaignStep.update(html="<p>Still there, <b>{{ name }}</b>?</p>")
        later.where(CampaignStep.position == 2).execute()
        return Campaign.get_by_id(row)

    def test_is_chosen_beside_the_lead_and_kept_from_lead_to_lead(self, browser: FlaskClient, draft: Campaign) -> None:
        first, second = [it.address for it in CampaignLead.select().order_by(CampaignLead.position)]
        assert '<option value="2">2. in the same thread</option>' in browser.get(f"/campaigns/{draft.id}").text

        page = browser.get(f"/campaigns/{draft.id}?letter={first}&step=2").text

        assert f"<bdi>Re: Hello Lead {first}</bdi>" in page
        assert "<dt>In-Reply-To</dt><dd><bdi>&lt;" in page
        assert f"Still there, Lead {first}?" in page
        assert page.count('<option value="2" selected>') == 2
        assert f"letter={second}&amp;step=2#letter" in page
        [frame] = re.findall(r'<iframe class="letter" sandbox[^>]* src="([^"]+)"', page)
        html = browser.get(frame.replace("&amp;", "&")).text
        assert html.strip() == f"<p>Still there, <b>Lead {first}</b>?</p>"

    def test_has_its_time_or_says_what_is_known_of_it(self, browser: FlaskClient, draft: Campaign) -> None:
        path = f"/campaigns/{draft.id}?step=2"
        assert "if the campaign is started now, if nobody answers" in browser.get(path).text
        assert "jeśli nikt nie odpowie" in browser.get(f"{path}&lang=pl").text
        Mailbox.update(daily_limit=0).execute()

        assert "it goes after 3 working days, counted from letter 1" in browser.get(f"{path}&lang=en").text
        assert "wyjdzie po 3 dniach roboczych od wysłania wiadomości 1" in browser.get(f"{path}&lang=pl").text

    def test_of_a_running_campaign_is_what_was_sent(self, browser: FlaskClient) -> None:
        email_id, _ = make.in_status(Status.SENT)
        campaign_id = make.row(email_id).campaign_id

        page = browser.get(f"/campaigns/{campaign_id}?step=1").text

        assert "<dt>Sent</dt>" in page
        assert "<bdi>hello</bdi>" in page

    def test_that_cannot_be_composed_names_lead_letter_and_field(self, browser: FlaskClient, draft: Campaign) -> None:
        CampaignStep.update(text="{{ nickname }}").where(CampaignStep.position == 2).execute()

        page = browser.get(f"/campaigns/{draft.id}?step=2").text

        assert f"Letter 2 to {CampaignLead.get().address} cannot be composed" in page
        assert "&#39;nickname&#39; is undefined" in page

    @pytest.mark.parametrize("typed", ["3", "0", "two", "-1", "99999999999999999999"])
    def test_that_there_is_not_names_those_that_there_are(
        self, browser: FlaskClient, draft: Campaign, typed: str
    ) -> None:
        answer = browser.get(f"/campaigns/{draft.id}?step={typed}")

        assert answer.status_code == 200
        assert "its letters: 1, 2" in answer.text
        assert "jej wiadomości: 1, 2" in browser.get(f"/campaigns/{draft.id}?step={typed}&lang=pl").text
        assert browser.get(f"/campaigns/{draft.id}/letter/html?step={typed}").status_code == 404
