"""What a refusal says about how many e-mails a server takes in which time."""

from datetime import timedelta

import pytest

from mail.reply import reply
from mail.stated_limit import StatedLimit, stated_limit

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


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
        ("5.7.0 Sending limit exceeded: 2 messages per second", 2, SECOND),
        ("4.7.1 sending rate limit: 14 messages/second", 14, SECOND),
        ("4.7.1 User rate limit exceeded: 20 mails in 60 seconds", 20, MINUTE),
        ("4.7.1 Sending rate limit exceeded: 60/3600s", 60, HOUR),
        ("Sending limit: 100 e-mails / 10 minutes", 100, 10 * MINUTE),
        ("sending limit 100/10min", 100, 10 * MINUTE),
        ("4.5.3 Your account has exceeded its 30 minute sending limit of 25 messages", 25, 30 * MINUTE),
        ("4.2.1 outgoing limit of 50 messages in 5 minutes exceeded", 50, 5 * MINUTE),
        ("Przekroczono limit wysyłki: 50 wiadomości w ciągu 15 minut", 50, 15 * MINUTE),
        ("sending limit 500 per 12 hours", 500, 12 * HOUR),
        ("Sending limit exceeded: 12 hours, 500 messages", 500, 12 * HOUR),
        ("Limit wysyłki 300 wiadomości na 12 godzin", 300, 12 * HOUR),
        ("5.7.1 sending limit of 1440 minutes reached", None, DAY),
        ("You can only send 1500 messages per week, sending limit exceeded", 1500, 7 * DAY),
        ("Tygodniowy limit wysyłki 700 wiadomości został wyczerpany", 700, 7 * DAY),
        ("monthly sending limit of 3000 e-mails exceeded", 3000, 31 * DAY),
        ("Miesięczny limit wysyłki: 3000 wiadomości", 3000, 31 * DAY),
        ("sending limit: 500 messages per day and 50 per hour", 500, DAY),
        ("Daily sending quota exceeded, try again in 30 minutes", None, DAY),
        ("sending limit: 300 daily", 300, DAY),
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
        # In an unknown time.
        "Throttling failure: Maximum sending rate exceeded.",
        "4.7.28 Gmail has detected an unusual rate of mail originating from your IP address",
        "4.7.1 Sending rate of 14 messages exceeded",
        "Sending limit exceeded, wait 30 minutes",
        "Sending limit exceeded, try again in an hour",
        "Outgoing limit exceeded: your account is blocked for 24 hours",
        "sending limit of 500 messages in 90 days exceeded",
    ],
)
def test_another_refusal_states_none(text: str) -> None:
    assert stated_limit(reply(550, text)) is None
