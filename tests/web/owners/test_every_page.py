"""Each page answers in both languages, whatever is in the rows."""

import pytest
from flask.testing import FlaskClient

from models.owner import campaigns, mailboxes
from models.people import lead_uploads, suppressions
from models.store import database
from tests import factories as make
from tests.constraints import without_checks
from tests.web.rows import something_of_everything


def paths() -> list[str]:
    found = ["/campaigns/new", "/mailboxes/new", "/suppressions", "/suppressions.csv"]
    for row in campaigns.every():
        found += [f"/campaigns/{row.id}/{name}" for name in ("edit", "leads", "calendar", "copy", "report")]
    return found + [f"/mailboxes/{row.id}" for row in mailboxes.every()]


def answers(browser: FlaskClient) -> None:
    for path in paths():
        for language in ("en", "pl"):
            answer = browser.get(f"{path}?lang={language}")
            assert answer.status_code in (200, 303), f"{path}: {answer.text}"


def test_with_something_of_everything(browser: FlaskClient) -> None:
    something_of_everything()
    suppressions.add("@klos.example", "a competitor", "tests")
    for row in campaigns.every():
        lead_uploads.put(row.id, "leads.csv", b"email,name\na@b.example,A\nnobody,B\n", "tests")

    answers(browser)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("campaign", "delay_seconds = 'NaN'"),
        ("campaign", "weekdays = '{8}'"),
        ("campaign", "window_end_minute = 3000"),
        ("mailbox", "gap_seconds = 1e300"),
    ],
)
def test_with_a_row_that_nothing_can_be_planned_with(browser: FlaskClient, table: str, change: str) -> None:
    with without_checks("campaign", "mailbox"):
        make.an_email(leads=2)
        make.a_campaign([make.a_mailbox()], active=False)
        database.execute(f"UPDATE {table} SET {change} WHERE id = 1")

        answers(browser)
