"""Reading what was handed over, whatever it is."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mail.message import Letter, build
from web import letter

SENT = build(
    Letter(
        sender_address="ola@sender.example",
        sender_name="Ola Żółć",
        recipient="anna@leads.example",
        subject="Zażółć gęślą jaźń",
        text="Dzień dobry\n",
        html="<p>Dzień <b>dobry</b></p>",
        message_id="<1@sender.example>",
    ),
    datetime(2026, 11, 17, tzinfo=UTC),
)


def test_a_letter_is_read_as_it_was_written() -> None:
    found = letter.read(SENT)

    assert ("Subject", "Zażółć gęślą jaźń") in found.headers
    assert found.text == "Dzień dobry\n"
    assert found.html is not None
    assert found.html.strip() == "<p>Dzień <b>dobry</b></p>"


@given(st.binary(max_size=300), st.integers(0, len(SENT)), st.integers(0, 40))
def test_damaged_bytes_are_shown_somehow(noise: bytes, place: int, lost: int) -> None:
    found = letter.read(SENT[:place] + noise + SENT[place + lost :])

    for shown in (found.text, found.html, *(value for _, value in found.headers)):
        (shown or "").encode()
