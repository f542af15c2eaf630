"""The pages as a person meets them: a browser before the real process, beside campaigns that really send."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from models.email import moves
from models.owner import campaigns, settlement
from models.states import Status
from models.store.tables import Campaign, CampaignEmailQueue, CampaignStep
from models.views import history, overview
from tests import factories as make
from tests.browser import Person, chromium, looking
from tests.pipeline.conftest import Punktual
from tests.smtp_server import SmtpServer
from tests.waiting import until
from tests.web.conftest import Served
from tests.web.rows import something_of_everything

Look = Callable[..., Person]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    running = chromium(playwright)
    yield running
    running.close()


@pytest.fixture
def served(db: None, tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path / "web.log")
    yield running
    running.end()


@pytest.fixture
def look(browser: Browser, served: Served) -> Iterator[Look]:
    """Sit down before the pages. In the end no script of a stranger's ran, and no other host was asked."""
    with ExitStack() as people:

        def sit_down(path: str = "/", **options: Any) -> Person:
            person = people.enter_context(looking(browser, served.url, **options))
            person.page.goto(path)
            return person

        yield sit_down


def stays(page: Page) -> Callable[[], bool]:
    """Whether it is still the document that it is now: nothing was loaded anew."""
    page.evaluate("document.body.dataset.before = 'yes'")
    return lambda: bool(page.evaluate("document.body.dataset.before === 'yes'"))


class TestToday:
    def test_marks_move_from_planned_to_sent_without_a_reload(self, punktual: Punktual, look: Look) -> None:
        make.a_campaign([punktual.mailbox()], leads=6, delay=1.0)
        page = look().page
        not_reloaded = stays(page)

        punktual.run("worker")
        punktual.run("timekeeper")
        punktual.listening("deliver", "deliver.DQ", "tick")
        punktual.tick()

        expect(page.locator(".mark.pending")).not_to_have_count(0)
        expect(page.locator(".mark.sent")).to_have_count(6)
        expect(page.locator(".totals .sent dd")).to_have_text("6")
        expect(page.locator(".notice")).to_have_count(0)
        assert not_reloaded()

    def test_a_pause_said_elsewhere_shows_without_a_reload(self, look: Look) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], leads=2)
        page = look().page
        not_reloaded = stays(page)
        expect(page.locator(".connection")).to_have_text("live")

        campaigns.pause(campaign_id, "somebody else")

        expect(page.locator(f"#campaign-{campaign_id} .badge.paused")).to_be_visible()
        assert not_reloaded()

    def test_a_mark_is_reached_and_opened_with_the_keyboard(self, look: Look) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=3)
        _, second, _ = make.planned(
            campaign_id, mailbox_id, *(make.now() + timedelta(seconds=each) for each in (1, 2, 3))
        )
        page = look().page
        expect(page.locator(".mark")).to_have_count(3)

        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('.mark')"):
                break
        page.keyboard.press("ArrowRight")
        expect(page.locator(".readout")).to_contain_text("planned")
        page.keyboard.press("Enter")

        page.wait_for_url(f"**/emails/{second}")

    def test_the_first_stop_of_the_tab_key_leads_past_the_navigation(self, look: Look) -> None:
        page = look().page

        page.keyboard.press("Tab")
        page.keyboard.press("Enter")

        expect(page.locator("#main")).to_be_focused()

    def test_a_mark_says_in_words_when_what_and_to_whom(self, look: Look) -> None:
        email_id = make.in_status(Status.SENT)[0]
        line = overview.email(email_id)

        page = look().page

        expect(
            page.get_by_role("link", name=re.compile(rf"\d\d:\d\d:\d\d sent, {re.escape(line.lead)}"))
        ).to_be_visible()


class TestOrders:
    def test_a_campaign_is_started_paused_and_resumed_with_buttons(self, look: Look) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()], active=False)
        page = look(f"/campaigns/{campaign_id}").page

        for button, status in (("Start", "active"), ("Pause", "paused"), ("Resume", "active")):
            if button == "Pause":
                page.get_by_text("Pause…").click()
                page.get_by_label("Why (optional)").first.fill("the offer has changed")
            page.get_by_role("button", name=button, exact=True).click()
            expect(page.locator("h1 .badge")).to_have_text(status)
            assert Campaign.get_by_id(campaign_id).status == status
        expect(page.locator(".history")).to_contain_text("by web")
        expect(page.locator(".history")).to_contain_text("the offer has changed")

    def test_a_cancel_asks_before_it_is_carried_out(self, look: Look) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        make.planned(campaign_id, mailbox_id, make.now() + timedelta(hours=1))
        page = look(f"/campaigns/{campaign_id}").page

        page.get_by_text("Cancel…").click()
        expect(page.locator("#cancel .popover")).to_contain_text("1 planned e-mail will not be sent")
        assert Campaign.get_by_id(campaign_id).status == "active"
        page.get_by_role("button", name="Cancel campaign").click()

        expect(page.locator("h1 .badge")).to_have_text("cancelled")
        assert CampaignEmailQueue.get().status == Status.CANCELLED

    def test_an_order_that_came_too_late_says_why(self, look: Look) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        person = look(f"/campaigns/{campaign_id}", java_script_enabled=False)
        campaigns.pause(campaign_id, "somebody else")

        person.page.get_by_text("Pause…").click()
        person.page.get_by_role("button", name="Pause", exact=True).click()

        expect(person.page.get_by_role("alert").filter(has_text="the campaign is now paused")).to_be_visible()

    def test_all_of_it_works_without_scripts(self, look: Look) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        page = look(f"/campaigns/{campaign_id}", java_script_enabled=False).page

        page.get_by_text("Pause…").click()
        page.get_by_role("button", name="Pause", exact=True).click()

        expect(page.locator("h1 .badge")).to_have_text("paused")


class TestDecisions:
    def test_it_was_sent_is_kept_with_its_reason(self, look: Look) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        page = look("/unknown").page
        expect(page.locator("nav .count")).to_have_text("1")

        page.get_by_label("How do you know?").fill("Anna has answered it")
        page.get_by_role("button", name="It was sent").click()

        page.wait_for_url(f"**/emails/{email_id}")
        expect(page.locator("h1 .badge")).to_have_text("sent")
        last = history.of_email(email_id)[-1]
        assert (last.move, last.reason, last.by) == ("settle", "Anna has answered it", "web")
        expect(page.locator("nav .count")).to_have_count(0)

    def test_a_mail_is_sent_again_only_once_no_answer_can_come(self, look: Look) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        page = look("/unknown").page
        again = page.get_by_role("button", name="Send it again")
        expect(again).to_be_disabled()

        make.age(email_id, timedelta(hours=1))
        expect(again).to_be_enabled()
        page.get_by_label("How do you know?").fill("not in the Sent folder, and Anna has nothing")
        again.click()

        page.wait_for_url(f"**/emails/{email_id}")
        assert make.row(email_id).status == Status.PENDING

    def test_a_refused_ruling_says_why_and_keeps_what_was_typed(self, look: Look) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        page = look("/unknown").page
        page.get_by_label("How do you know?").fill("I asked her")
        settlement.sent(email_id, "found in the Sent folder", "somebody else")
        expect(page.locator("nav .count")).to_have_count(0)

        page.get_by_role("button", name="It was sent").click()

        expect(page.get_by_role("alert").filter(has_text="only an unknown one can be settled")).to_be_visible()
        expect(page.locator("main")).to_contain_text("I asked her")
        assert history.of_email(email_id)[-1].by == "somebody else"

    def test_without_a_reason_nothing_is_ruled(self, look: Look) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        page = look(f"/emails/{email_id}").page

        page.get_by_label("How do you know?").fill("   ")
        page.get_by_role("button", name="It was sent").click()

        expect(page.get_by_role("alert").filter(has_text="a decision requires a reason")).to_be_visible()
        assert make.row(email_id).status == Status.UNKNOWN


class TestWhileAFormIsFilledIn:
    def test_news_leaves_text_focus_and_opened_details_alone(self, look: Look) -> None:
        email_id, _ = make.in_status(Status.UNKNOWN)
        page = look(f"/emails/{email_id}").page
        page.get_by_text("All headers").click()
        page.get_by_label("How do you know?").press_sequentially("half a sen")

        make.in_status(Status.UNKNOWN)
        emails_history_grows(email_id)

        expect(page.locator("nav .count")).to_have_text("2")
        expect(page.locator(".words").filter(has_text="other evidence")).to_be_visible()
        expect(page.get_by_label("How do you know?")).to_be_focused()
        page.keyboard.type("tence")
        expect(page.get_by_label("How do you know?")).to_have_value("half a sentence")
        expect(page.locator("#headers")).to_have_attribute("open", "")


def emails_history_grows(email_id: int) -> None:
    """A change in the middle of the page that is being looked at."""
    CampaignEmailQueue.update(error="other evidence").where(CampaignEmailQueue.id == email_id).execute()


class TestWhenTheServerGoesAway:
    def test_the_page_says_so_and_takes_up_again_by_itself(self, look: Look, served: Served, tmp_path: Path) -> None:
        person = look()
        connection = person.page.locator(".connection")
        expect(connection).to_have_text("live")

        served.end()
        expect(connection).to_have_text(re.compile(r"^connection lost, last update \d\d:\d\d:\d\d$"))
        back = Served(tmp_path / "web.log", PUNKTUAL_WEB_PORT=str(served.port))

        expect(connection).to_have_text("live")
        person.context.close()
        back.end()
        person.wrong = [each for each in person.wrong if "ERR_CONNECTION" not in each]


MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"


class TestUntrustedText:
    def test_stays_text_wherever_it_stands(self, look: Look) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=[f'"{MARKUP}"@leads.example'])
        Campaign.update(name=f"{MARKUP} & sons").where(Campaign.id == campaign_id).execute()
        CampaignStep.update(subject=MARKUP).where(CampaignStep.campaign == campaign_id).execute()
        [email_id] = make.planned(campaign_id, mailbox_id, make.now())
        claim = make.claimed(email_id)
        content = f"Subject: {MARKUP}\r\nContent-Type: text/plain\r\n\r\n{MARKUP}".encode()
        assert moves.hand_over(claim.held, content) is None
        moves.doubt(claim.held, f"554 {MARKUP}")
        page = look().page

        for path in ("/", f"/campaigns/{campaign_id}", "/campaigns", f"/emails/{email_id}", "/mailboxes", "/unknown"):
            page.goto(path)
            expect(page.locator("body")).to_contain_text("<script>alert(1)</script>")
            assert page.evaluate("[...document.scripts].map((each) => each.getAttribute('src'))") == ["/static/live.js"]
            assert page.locator("img").count() == 0

    def test_a_servers_words_stay_text(self, punktual: Punktual, look: Look) -> None:
        with SmtpServer(greeting=f"554 {MARKUP}") as rude:
            mailbox_id = make.a_mailbox(smtp_port=rude.port)
            campaign_id = make.a_campaign([mailbox_id])
            [email_id] = make.planned(campaign_id, mailbox_id, make.now())
            punktual.run("worker")
            punktual.listening()
            punktual.hint(make.Hint(email_id, make.row(email_id).scheduled_at))
            until(lambda: len(history.of_email(email_id)) > 2, "the server's answer")

        page = look("/mailboxes").page

        expect(page.locator(".mailbox")).to_contain_text(MARKUP)
        page.goto(f"/emails/{email_id}")
        expect(page.locator("#history + .history")).to_contain_text(MARKUP)
        assert page.locator("img").count() == 0

    def test_the_html_of_a_letter_can_neither_run_nor_load_anything(self, look: Look) -> None:
        email_id = make.an_email()
        claim = make.claimed(email_id)
        letter = (
            "<p>Dear Anna</p><script>parent.document.title = 'taken'; alert(1)</script>"
            "<img src='http://tracker.example/pixel.png'><link rel=stylesheet href='http://tracker.example/style.css'>"
            "<form action='http://tracker.example/'><button>Go</button></form>"
        )
        moves.hand_over(claim.held, f"Content-Type: text/html; charset=utf-8\r\n\r\n{letter}".encode())
        moves.accept(claim.held, make.YES)
        person = look()

        person.page.goto(f"/emails/{email_id}")
        frame = person.page.frame_locator("iframe")
        expect(frame.locator("p")).to_have_text("Dear Anna")

        assert frame.locator("button, form, script, link, img[src]").count() == 0
        assert "taken" not in person.page.title()
        # The browser says of each thing that it did not let it happen. That no request was made is asked of every test.
        person.wrong = [each for each in person.wrong if not each.startswith("console: ")]


class TestLanguage:
    def test_is_the_browsers_until_somebody_chooses(self, look: Look) -> None:
        page = look("/campaigns", locale="pl-PL").page
        expect(page.get_by_role("heading", level=1)).to_have_text("Kampanie")
        expect(page.locator("html")).to_have_attribute("lang", "pl")

        page.get_by_role("link", name="EN", exact=True).click()
        page.get_by_role("link", name="Mailboxes").click()

        expect(page.get_by_role("heading", level=1)).to_have_text("Mailboxes")

    def test_a_standing_is_said_in_polish_with_its_moment(self, look: Look) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id])
        make.planned(campaign_id, mailbox_id, make.now() + timedelta(minutes=5))

        page = look(locale="pl").page

        expect(page.locator(".standing")).to_have_text(re.compile(r"^Wysyłanie; następna wiadomość: .*\d\d:\d\d"))


@pytest.mark.parametrize("locale", ["en-GB", "pl-PL"])
def test_nothing_is_wider_than_a_phone(look: Look, locale: str) -> None:
    found = something_of_everything()
    campaign_id = make.row(found[Status.UNKNOWN]).campaign_id
    Campaign.update(name="Ein" + "langername" * 12).where(Campaign.id == campaign_id).execute()
    paths = ["/", "/?show=hour", "/campaigns", f"/campaigns/{campaign_id}", "/mailboxes", "/unknown", "/nothing-here"]
    paths += [f"/emails/{email_id}" for email_id in found.values()] + [f"/find?address={'a' * 60}@leads.example"]
    page = look(locale=locale, viewport={"width": 360, "height": 740}).page

    for path in paths:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
