"""What pages and API tell of sequences: a lead's conversation, a campaign's letters, and follow-ups on the timeline."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from models.email import moves
from models.store.tables import Campaign, CampaignEmailQueue
from tests import factories as make
from tests.models.test_steps import OF_THE_VERSION_BEFORE, without
from tests.models.views.test_conversations import LEAD, a_sequence, answered, follow, looked, send
from tests.web.test_pages import page, text

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def index(db: None) -> Iterator[None]:
    with without(OF_THE_VERSION_BEFORE):
        yield


def line(browser: FlaskClient, email_id: int, language: str = "en") -> str:
    """The conversation on the e-mail's page."""
    html = page(browser, f"/emails/{email_id}?lang={language}")
    return text(html.partition('<p class="conversation">')[2].partition("</p>")[0]).strip()


class TestAConversation:
    def test_is_a_line_of_what_was_sent_what_came_back_and_what_follows(self, browser: FlaskClient) -> None:
        _, mailbox_id, first = a_sequence()
        looked(mailbox_id, make.now())
        send(second := follow(first))
        follow(second, make.now() + HOUR)

        words = line(browser, first)

        assert [part.split(" ")[:3] for part in words.split(" → ")] == [
            ["letter", "1", "sent"],
            ["letter", "2", "sent"],
            ["next:", "letter", "3"],
        ]
        assert line(browser, second) == words

    def test_ends_with_the_answer_and_says_why(self, browser: FlaskClient) -> None:
        _, mailbox_id, first = a_sequence()
        follow(first)
        looked(mailbox_id, make.now(), answered(first, make.now() - HOUR))

        words, polish = line(browser, first), line(browser, first, "pl")

        assert words.split(" → ")[-1] == "ended: not written to any more: the lead replied"
        assert words.split(" → ")[1].startswith("reply")
        assert polish.startswith("wiadomość 1 wysłana")
        assert "koniec: " in polish

    def test_tells_of_an_answer_that_was_read_after_a_letter_had_left(self, browser: FlaskClient) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up, began = follow(first), make.now() - 10 * SECOND
        looked(mailbox_id, began)
        send(follow_up)
        answered(first, began + SECOND)

        assert "after letter 2 had left" in line(browser, first)

    def test_waits_for_a_lead_who_is_away(self, browser: FlaskClient) -> None:
        _, _, first = a_sequence()

        answered(first, make.now(), "automatic")

        assert "on hold until" in line(browser, first)
        assert "next: letter 2, after" in line(browser, first)

    def test_waits_for_a_persons_decision_about_an_unknown_letter(self, browser: FlaskClient) -> None:
        _, mailbox_id, first = a_sequence()
        looked(mailbox_id, make.now())

        moves.doubt(make.handed_over(follow(first)).held, "silence")

        assert "nothing follows until you decide whether letter 2 was sent" in line(browser, first)

    def test_stands_on_the_page_of_the_lead_for_each_campaign(self, browser: FlaskClient) -> None:
        campaign_id, mailbox_id, _ = a_sequence()
        make.a_campaign([mailbox_id], leads=[LEAD])

        html = page(browser, f"/find?address={LEAD}")

        assert html.count('<p class="conversation">') == 2
        assert f'<h3><a href="/campaigns/{campaign_id}">' in html
        assert "not planned yet" in html

    def test_is_not_shown_where_there_is_one_letter_and_no_answer(self, browser: FlaskClient) -> None:
        assert 'class="conversation"' not in page(browser, f"/emails/{make.an_email()}")

    def test_is_the_same_by_the_api(self, browser: FlaskClient) -> None:
        _, mailbox_id, first = a_sequence()
        follow_up, began = follow(first), make.now() - 10 * SECOND
        looked(mailbox_id, began)
        send(follow_up)
        answered(first, began + SECOND)

        it = browser.get(f"/api/emails/{first}/conversation").json or {}

        assert (it["lead"], it["steps"], it["next"], it["held"]) == (LEAD, 3, None, None)
        assert [(each["step"], each["status"]) for each in it["letters"]] == [(1, "sent"), (2, "sent")]
        assert [each["after"]["email_id"] for each in it["answers"]] == [follow_up]
        assert it["ended"] == "not written to any more: the lead replied"
        told = str(it["line"]).split(" → ")
        assert [part.split(" ")[0] for part in told] == ["letter", "reply", "letter", "ended:"]
        assert ", after letter 2 had left " in told[1]
        assert browser.get("/api/emails/999/conversation").status_code == 404


class TestTheLettersOfACampaign:
    def test_stand_on_its_page_with_what_became_of_them(self, browser: FlaskClient) -> None:
        campaign_id, _, first = a_sequence(steps=2)
        follow(first)
        answered(first, make.now())

        table = page(browser, f"/campaigns/{campaign_id}").partition('id="steps"')[2].partition("</table>")[0]

        rows = [text(row).split() for row in table.partition("<tbody")[2].split("</tr>")[:-1]]
        assert [row[-6:] for row in rows] == [["1", "1", "0", "0", "0", "0"], ["0", "0", "0", "0", "0", "0"]]
        assert "after 1 hour" in text(table)
        assert "po 1 godzinie" in text(page(browser, f"/campaigns/{campaign_id}?lang=pl"))

    def test_are_no_table_where_there_is_one(self, browser: FlaskClient) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])

        assert 'id="steps"' not in page(browser, f"/campaigns/{campaign_id}")

    def test_are_the_same_by_the_api(self, browser: FlaskClient) -> None:
        campaign_id, _, first = a_sequence(steps=2)
        answered(first, make.now())

        first_step, second_step = browser.get(f"/api/campaigns/{campaign_id}/steps").json or []

        assert (first_step["counts"]["sent"], first_step["responses"]["replied"], first_step["wait"]) == (1, 1, None)
        assert (second_step["step"], second_step["subject"], second_step["wait"]) == (2, None, "1 hour")
        assert browser.get("/api/campaigns/999/steps").status_code == 404


class TestTheTimeline:
    def test_marks_follow_ups_and_explains_the_mark(self, browser: FlaskClient) -> None:
        _, _, first = a_sequence()
        assert 'class="follow-up"' not in page(browser, "/")
        follow_up = follow(first)

        html = page(browser, "/")

        assert f'<a id="mark-{follow_up}" class="mark pending follow-up"' in html
        assert "planned, letter 2," in html
        assert '<li class="follow-up">' in html
        [campaign] = (browser.get("/api/today").json or {})["lines"]
        assert [mark["step"] for mark in campaign["marks"]] == [2]

    def test_tells_an_emails_step_by_the_api_too(self, browser: FlaskClient) -> None:
        _, _, first = a_sequence()
        follow_up = follow(first)

        assert [(browser.get(f"/api/emails/{id}").json or {})["step"] for id in (first, follow_up)] == [1, 2]


def test_the_metrics_count_what_is_held(browser: FlaskClient) -> None:
    campaign_id, mailbox_id, first = a_sequence()
    follow_up = follow(first)
    at = make.now() - timedelta(minutes=10)
    CampaignEmailQueue.update(scheduled_at=at).where(CampaignEmailQueue.id == follow_up).execute()

    held = f'punktual_follow_ups_held{{campaign="{campaign_id}"}}'
    assert f"{held} 1.0" in page(browser, "/metrics")
    looked(mailbox_id, make.now())
    assert f"{held} 0.0" in page(browser, "/metrics")
    Campaign.update(status="paused").execute()
    assert held not in page(browser, "/metrics")
