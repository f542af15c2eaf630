"""The examination of all rows, and what it leaves for those who watch."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from actors.examine import examine
from models.health import findings, invariants
from models.states import Status
from models.store import database
from models.store.tables import EmailContent
from tests import factories as make
from tests import servers
from tests.waiting import BOUND, until

pytestmark = pytest.mark.usefixtures("db")
SLUGS = [rule.slug for rule in invariants.RULES]


def forget_what_was_sent() -> int:
    email_id, _ = make.in_status(Status.SENT)
    EmailContent.delete().execute()
    return email_id


def examine_beside(*arguments: float) -> list[str]:
    try:
        return findings.check_all(*arguments)
    finally:
        database.close()


def somebody_waits() -> bool:
    return servers.lock_waits() > 0


def checked_at() -> dict[str, datetime]:
    return {slug: it.checked_at for slug, it in findings.every().items()}


def test_each_rule_has_a_name_of_its_own() -> None:
    assert len(set(SLUGS)) == len(SLUGS)


class TestAnExamination:
    def test_keeps_what_it_found_of_each_rule_and_when(self) -> None:
        email_id = forget_what_was_sent()
        before = make.now()

        asked = findings.check_all()

        found = findings.every()
        assert asked == SLUGS
        assert found.keys() == set(SLUGS)
        assert all(it.checked_at >= before for it in found.values())
        assert {slug: it.example for slug, it in found.items() if it.violations} == {
            "sent_has_its_content": str(email_id)
        }

    def test_counts_more_than_it_names(self) -> None:
        for _ in range(7):
            forget_what_was_sent()

        findings.check_all()

        found = findings.every()["sent_has_its_content"]
        assert (found.violations, found.example) == (7, "1, 2, 3, 4, 5 and 2 more")

    def test_replaces_what_the_one_before_it_found(self) -> None:
        email_id = forget_what_was_sent()
        findings.check_all()
        EmailContent.insert(email=email_id, claim_token=make.row(email_id).claim_token, content=b"").execute()

        findings.check_all()

        found = findings.every()["sent_has_its_content"]
        assert (found.violations, found.example) == (0, None)

    def test_is_left_to_another_that_is_under_way(self) -> None:
        with ThreadPoolExecutor(1) as pool, database.database.atomic():
            database.execute("LOCK TABLE campaign_email_queue IN ACCESS EXCLUSIVE MODE")
            first = pool.submit(examine_beside)
            until(somebody_waits, "the first one to be in the middle of it")

            assert findings.check_all() == []

        assert first.result(BOUND) == SLUGS

    @pytest.mark.slow
    def test_keeps_the_old_finding_of_a_rule_that_takes_too_long(self) -> None:
        make.in_status(Status.SENT)
        findings.check_all()
        before = checked_at()

        with ThreadPoolExecutor(1) as pool, database.database.atomic():
            database.execute("LOCK TABLE email_content IN ACCESS EXCLUSIVE MODE")
            asked = pool.submit(examine_beside, 3).result(BOUND)

        after = checked_at()
        assert {slug for slug in SLUGS if after[slug] == before[slug]} == {"sent_has_its_content"}
        assert set(SLUGS) - set(asked) == {"sent_has_its_content"}

    def test_is_asked_for_every_quarter_of_an_hour_on_a_queue_that_no_mail_waits_in(self) -> None:
        assert examine.cron == "*/15 * * * *"
        assert examine.queue == "upkeep"
