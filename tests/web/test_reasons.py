"""Every reason there is, in every place that shows one, in both languages: the English stands in no Polish page."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from models.owner import arming, campaigns, mailboxes
from models.planning import plans
from models.store import database, reason_columns
from models.store.tables import (
    Attempt,
    CampaignEmailQueue,
    Change,
    EmailHistory,
    Mailbox,
)
from reasons import Code, Reason, Value
from tests import factories as make
from tests.web.test_language import polish, texts
from tests.web.test_pages import link, page, text

PLACEHOLDER = re.compile(r"%\((\w+)\)[.\d]*([sdf])")
MOMENT = datetime(2026, 11, 17, 12, tzinfo=UTC)
NESTED = Reason(Code.TOOK_TOO_LONG)


def value(name: str, kind: str) -> Value:
    """Words of nobody that are in no language, but for what is translated within a reason."""
    words: dict[str, Value] = {"status": "paused", "part": "subject", "because": NESTED, "until": MOMENT}
    numbers: dict[str, Value] = {"d": 7, "f": 7.5}
    return words.get(name, numbers.get(kind, "żźć"))


def sample(code: Code) -> Reason:
    return Reason(code, **{name: value(name, kind) for name, kind in PLACEHOLDER.findall(code.template)})


STORED = [sample(code) for code in Code if "until" not in sample(code).values]


def fixed(template: str) -> list[str]:
    """What stands in it whatever is filled in."""
    return [part.strip(" :;,()") for part in PLACEHOLDER.split(template)[::3]]


def english() -> Iterator[str]:
    """What no Polish page may have, of reasons: what of them does not stand in the Polish of any as well."""
    whole = " ".join(each for entry in polish() if entry.id for each in texts(entry))
    for code in Code:
        yield from (part for part in fixed(code.template) if len(part) > 5 and part not in whole)


ENGLISH = sorted(set(english()))


def shown(reason: Reason, language: str) -> str:
    """How a page has it, without what is filled in by the hour."""
    if language == "en":
        return str(escape(str(reason)))
    return str(escape(reason.text(lambda it: translated().get(it, it))))


@cache
def translated() -> dict[str, str]:
    return {entry.id: texts(entry)[0] for entry in polish() if isinstance(entry.id, str)}


def check(html: str, language: str, *reasons: Reason) -> None:
    seen = text(html)
    for reason in reasons:
        assert re.sub(r"\s+", " ", shown(reason, language)) in seen
    if language == "pl":
        assert [part for part in ENGLISH if str(escape(part)) in seen] == []


def columns(reason: Reason, column: str) -> dict[str, Any]:
    return reason_columns.written(reason, column)


class TestEachCode:
    def test_has_its_english_and_another_text_in_polish(self) -> None:
        assert [code for code in Code if not code.template] == []
        alike = {code for code in Code if shown(sample(code), "pl") == shown(sample(code), "en")}
        assert alike <= {Code.ANSWER}

    def test_comes_back_from_its_columns_as_it_was(self) -> None:
        for reason in STORED:
            it = columns(reason, "reason")
            assert reason_columns.read(it["reason"], it["reason_code"], it["reason_values"]) == reason
            assert reason_columns.current(it["reason"], it["reason_code"], it["reason_values"]) == reason

    def test_of_another_time_is_one_that_the_planner_gives(self) -> None:
        assert [Code(it).template for it in plans.REASONS]


class TestACodeThatCannotBeRead:
    @pytest.mark.parametrize(
        ("code", "values"),
        [
            (None, None),
            ("of_a_later_version", {"because": "x"}),
            ("gave_up", {}),
            ("gave_up", {"attempts": "many", "days": 1, "because": "x"}),
            ("waiting", {"because": {"code": "of_a_later_version", "values": {}}}),
            ("waiting", {"because": {}}),
            ("timed_out", None),
        ],
    )
    def test_is_told_by_its_text(self, code: str | None, values: dict[str, Any] | None) -> None:
        assert reason_columns.current("its sentence", code, values) == "its sentence"
        if code != "timed_out":
            assert reason_columns.read("its sentence", code, values) == "its sentence"

    def test_without_its_text_is_none(self) -> None:
        assert reason_columns.current(None, "timed_out", {}) is None


def columns_of_none(column: str) -> dict[str, Any]:
    return reason_columns.written(None, column)


POLISH = pytest.mark.parametrize("language", ["pl"])
LANGUAGES = pytest.mark.parametrize("language", ["en", "pl"])


@pytest.mark.usefixtures("db")
class TestOfEveryCode:
    @LANGUAGES
    def test_a_mail_shows_it_in_its_history_its_error_and_its_attempts(
        self, browser: FlaskClient, language: str
    ) -> None:
        email_id = make.an_email()
        claim = make.handed_over(email_id)
        assert claim.held
        for reason in STORED:
            token = uuid4()
            told = {"email": email_id, "mailbox": claim.mailbox_id, "claim_token": token}
            row = {"move": "release", "from_status": "sending", "to_status": "pending", "by": "tests"}
            EmailHistory.insert(**told, **row, **columns(reason, "reason"), at=make.now()).execute()
        for reason in STORED:
            token = uuid4()
            told = {"email": email_id, "mailbox": claim.mailbox_id, "claim_token": token}
            row = {"move": "retry", "from_status": "sending", "to_status": "pending", "by": "tests"}
            EmailHistory.insert(**told, **row).execute()
            attempt = {"outcome": "deferred", "phase": "connect", "scope": "mailbox", "reply": str(reason)}
            coded = {name: it for name, it in columns(reason, "reason").items() if name != "reason"}
            Attempt.insert(**told, **attempt, **coded, started_at=make.now()).execute()

        html = page(browser, f"/emails/{email_id}?lang={language}")

        check(html, language, *STORED)
        assert all(text(html).count(re.sub(r"\s+", " ", shown(it, language))) >= 2 for it in STORED)

    @LANGUAGES
    def test_lists_show_it_as_the_error_of_a_mail(self, browser: FlaskClient, language: str) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=len(STORED), active=False)
        ids = make.planned(campaign_id, mailbox_id, *[make.now()] * len(STORED))
        for email_id, reason in zip(ids, STORED, strict=True):
            failed = CampaignEmailQueue.update(status="failed", **columns(reason, "error"))
            failed.where(CampaignEmailQueue.id == email_id).execute()

        path = f"/campaigns/{campaign_id}?lang={language}"
        for first in range(0, len(ids), 50):
            html = page(browser, path)
            path = "".join(link(html, "next") if first + 50 < len(ids) else ())
            path += "" if "lang=" in path else f"&lang={language}"
            check(html, language, *STORED[first : first + 50])
        for email_id in ids[::10]:
            check(page(browser, f"/emails/{email_id}?lang={language}"), language, STORED[ids.index(email_id)])

    @LANGUAGES
    def test_the_mails_of_unknown_outcome_show_it(self, browser: FlaskClient, language: str) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=50, active=False)
        ids = make.planned(campaign_id, mailbox_id, *[make.now()] * 50)
        for part in (STORED[:50], STORED[-50:]):
            for email_id, reason in zip(ids, part, strict=True):
                unknown = {"status": "unknown", "claim_token": uuid4(), "handed_over_at": make.now()}
                query = CampaignEmailQueue.update(**unknown, **columns(reason, "error"))
                query.where(CampaignEmailQueue.id == email_id).execute()

            check(page(browser, f"/unknown?lang={language}"), language, *part)

    @POLISH
    def test_a_mailbox_shows_it_as_why_it_is_closed_and_among_its_errors(
        self, browser: FlaskClient, language: str
    ) -> None:
        ids = [make.a_mailbox() for _ in STORED]
        for mailbox_id, reason in zip(ids, STORED, strict=True):
            mailboxes.close(mailbox_id, reason, lambda faults: timedelta(hours=1))

        check(page(browser, f"/mailboxes?lang={language}"), language, *STORED)

        Mailbox.update(columns_of_none("closed_reason")).execute()
        email_id = make.an_email()
        for mailbox_id, reason in zip(ids, STORED, strict=True):
            told = {"email": email_id, "mailbox": mailbox_id, "claim_token": uuid4()}
            row = {"move": "retry", "from_status": "sending", "to_status": "pending", "by": "tests"}
            EmailHistory.insert(**told, **row, **columns(reason, "reason")).execute()
            Attempt.insert(**told, outcome="deferred", phase="dot", scope="mailbox", started_at=make.now()).execute()

        check(page(browser, f"/mailboxes?lang={language}"), language, *STORED)

    @POLISH
    def test_a_campaign_shows_it_as_why_it_is_paused(self, browser: FlaskClient, language: str) -> None:
        mailbox_id = make.a_mailbox()
        for reason in STORED:
            campaigns.pause(make.a_campaign([mailbox_id]), "protection", reason)

        check(page(browser, f"/?lang={language}"), language, *STORED)
        assert Change.select().where(Change.reason_code.is_null(False)).count() == len(STORED)

    @LANGUAGES
    def test_the_changes_of_a_campaign_show_it(self, browser: FlaskClient, language: str) -> None:
        campaign_id = make.a_campaign([make.a_mailbox()])
        for first in range(0, len(STORED), 50):
            for reason in STORED[first : first + 50]:
                told = {"by": "tests", "verb": "pause", "values": {}, **columns(reason, "reason")}
                Change.insert(campaign=campaign_id, **told).execute()

            check(page(browser, f"/campaigns/{campaign_id}?lang={language}"), language, *STORED[first : first + 50])

    @POLISH
    def test_every_page_shows_it_as_why_nothing_may_be_sent(self, browser: FlaskClient, language: str) -> None:
        make.a_campaign([make.a_mailbox()])
        for reason in STORED:
            database.execute("UPDATE installation SET disarmed_reason = NULL")
            arming.disarm(reason, "tests")

            check(page(browser, f"/find?lang={language}"), language, reason)

    @LANGUAGES
    def test_the_line_of_today_shows_it_as_why_mails_moved(self, browser: FlaskClient, language: str) -> None:
        mailbox_id = make.a_mailbox()
        campaign_id = make.a_campaign([mailbox_id], leads=len(plans.REASONS))
        now = make.now()
        ids = make.planned(campaign_id, mailbox_id, *[now] * len(plans.REASONS))
        for email_id, reason in zip(ids, plans.REASONS, strict=True):
            query = "UPDATE email_history SET scheduled_from = scheduled_to - interval '1 minute', reason_code = %s"
            database.execute(f"{query}, reason = %s WHERE email_id = %s", (reason, reason, email_id))

        check(page(browser, f"/?lang={language}"), language, *(Reason(Code(it)) for it in plans.REASONS))
