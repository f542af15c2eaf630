"""Whole pages, and what programs ask for, over a million e-mails: by the plans of Postgres, never by the clock."""

from collections.abc import Callable

import pytest

from tests.million import BIG, Million, Plan
from tests.web.conftest import the_app
from web import outlook

IT = Million()
PAGES = [
    *("/", "/?show=hour", "/campaigns", f"/campaigns/{IT.running}", f"/campaigns/{IT.running}?status=failed"),
    *("/emails/400000", "/mailboxes", "/unknown", "/find?address=lead77@leads.example", "/metrics", "/health/ready"),
    *("/api/today", "/api/campaigns", f"/api/campaigns/{IT.running}", f"/api/campaigns/{IT.running}/emails"),
    *(f"/api/campaigns/{IT.running}/changes", "/api/emails/400000", "/api/emails/400000/history", "/api/mailboxes"),
    *("/api/unknown", "/api/counts", "/find?address=ead2999", f"/campaigns/{IT.running}?lead=ead2999"),
]
# However great a campaign is, its page counts a month of its days: here of 8,000 mails each.
A_DAY, A_MONTH = 50_000, 300_000


@pytest.mark.timeout(600)  # the first of these fills the database
@pytest.mark.parametrize("path", PAGES)
def test_a_whole_page_is_answered_from_indexes(
    million: Million, plans_of: Callable[[Callable[[], object]], list[Plan]], path: str
) -> None:
    client = the_app().test_client()
    outlook.played.cache_clear()
    answers: list[int] = []

    found = plans_of(lambda: answers.append(client.get(path).status_code))

    # Without a broker, and with a tick that never came, the process is alive and not ready.
    assert answers == [503 if path == "/health/ready" else 200]
    assert found
    assert [it.sql for it in found if it.read_from_end_to_end & set(BIG)] == []
    of_days = path.startswith("/campaigns/")
    assert sum(it.rows_examined for it in found) <= (A_MONTH if of_days else A_DAY)
