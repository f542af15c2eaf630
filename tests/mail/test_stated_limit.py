"""What a refusal says about how many e-mails a server takes in which time."""

from datetime import timedelta

import pytest

from mail.reply import reply
from mail.stated_limit import StatedLimit, stated_limit

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "most", "span"),
    [
        ("5.7.1 <DATA>: Data command rejected: limit of 400 rcpts per 24 hours for client a@x.example", 400, DAY),
        ("5.7.1 User has exceeded its 24-hour sending limit. Messages to 25 recipients out of 25 allowed", 25, DAY),
        ("5.4.5 Daily user sending quota exceeded.", None, DAY),
        ("spam mail rejected: exceeded hour limit", None, HOUR),
        ("Godzinny limit wiadomosci wysylanych przez konto zostal przekroczony", None, HOUR),
        ("5.7.1 Domain example.pl has exceeded the max emails per hour (200/200 (100%)) allowed", 200, HOUR),
        ("Too many messages: only 1,000 messages per day are allowed", 1000, DAY),
        ("4.7.0 Sending rate exceeded: maximum 30 messages per minute", 30, MINUTE),
        ("Przekroczono dzienny limit wysyłki: 500 wiadomości na dobę", 500, DAY),
        ("User has exceeded outgoing email quota", None, DAY),
    ],
)
def test_a_limit_is_read_with_its_number_and_its_time(text: str, most: int | None, span: timedelta) -> None:
    assert stated_limit(reply(550, text)) == StatedLimit(most, span)


@pytest.mark.parametrize(
    "text",
    [
        "5.1.1 no such user",
        "5.7.1 sender address rejected: not owned by user",
        "4.3.2 Concurrent connections; sender thread limit exceeded",
        "5.3.4 Message size exceeds fixed limit",
        "5.2.2 <anna@leads.example> Quota exceeded (mailbox for user is full)",
        "4.7.1 greylisted, try again later",
    ],
)
def test_another_refusal_states_none(text: str) -> None:
    assert stated_limit(reply(550, text)) is None
