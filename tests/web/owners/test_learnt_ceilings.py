"""A ceiling that a provider's refusal teaches is proposed, and holds once the owner has taken it over."""

import pytest

from mail.reply import reply
from models.email import moves
from models.owner import mailboxes
from tests import factories as make
from tests.admin.test_commands import done
from tests.web.owners.conftest import Owner, typed

DAILY, HOURLY = "5.7.1 limit of 40 rcpts per 24 hours reached", "Hourly limit exceeded"


def refused(mailbox_id: int, words: str, *, sent: int = 0) -> None:
    """After so many of its e-mails were accepted."""
    campaign_id, it = make.a_campaign([mailbox_id], leads=sent + 1, delay=0.001), reply(450, words)
    *before, last = make.planned(campaign_id, mailbox_id, *[make.now()] * (sent + 1))
    for email_id in before:
        moves.accept(make.handed_over(email_id).held, make.YES)
        make.rested(campaign_id)
    answer = make.later(it.code, it.text, enhanced=it.enhanced, scope="mailbox")
    moves.retry(make.claimed(last).held, make.now(), answer)


def test_a_stated_one_is_put_into_the_form_of_the_limits(owner: Owner) -> None:
    mailbox_id = make.a_mailbox("ola@sender.example", daily_limit=100)
    refused(mailbox_id, DAILY)
    path = f"/mailboxes/{mailbox_id}"

    told, polish = owner.sees(path), owner.sees(f"{path}?lang=pl")
    page = owner.browser.get(f"{path}?take=1&lang=en").text

    assert "Its server refused more than 40 e-mails in 24 h" in told
    assert "więcej niż 40 wiadomości" in polish
    assert (typed(page, "daily_limit"), mailboxes.get(mailbox_id).daily_limit) == ("40", 100)
    assert "mailbox edit ola@sender.example --daily-limit 40" in done("mailbox", "show", "ola@sender.example")

    mailboxes.edit(mailbox_id, "ola", mailboxes.Edit(daily_limit=40))
    assert "refused more" not in owner.sees(path)


def test_without_a_number_what_was_sent_until_then_is_counted(owner: Owner) -> None:
    mailbox_id = make.a_mailbox(gap_seconds=1)
    refused(mailbox_id, HOURLY, sent=3)

    assert "refused more after 3 e-mails in 1 h" in owner.sees(f"/mailboxes/{mailbox_id}")
    assert typed(owner.browser.get(f"/mailboxes/{mailbox_id}?take=1").text, "gap") == "1200"


@pytest.mark.parametrize(
    ("words", "length", "field", "value"),
    [
        ("sending limit exceeded: 280 messages per week", "168 h", "daily_limit", "40"),
        ("sending limit exceeded: 10 messages in 30 seconds", "30 s", "gap", "3"),
    ],
)
def test_any_time_is_put_into_the_form_of_the_limits(
    owner: Owner, words: str, length: str, field: str, value: str
) -> None:
    mailbox_id = make.a_mailbox(daily_limit=100, gap_seconds=1)
    refused(mailbox_id, words)

    assert f"e-mails in {length}" in owner.sees(f"/mailboxes/{mailbox_id}")
    assert typed(owner.browser.get(f"/mailboxes/{mailbox_id}?take=1").text, field) == value


@pytest.mark.parametrize("words", ["5.7.1 limit of 400 rcpts per 24 hours reached", "5.1.8 bad sender", HOURLY])
def test_nothing_is_proposed_that_is_kept_already_or_teaches_nothing(owner: Owner, words: str) -> None:
    mailbox_id = make.a_mailbox(daily_limit=100)
    refused(mailbox_id, words)

    assert "refused more" not in owner.sees(f"/mailboxes/{mailbox_id}")
