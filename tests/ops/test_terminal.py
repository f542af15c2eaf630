"""Text that strangers wrote, where a person reads it."""

import pytest

from ops.terminal import escape_controls


@pytest.mark.parametrize(
    ("evil", "shown"),
    [
        ("\x1b[31mred", "\\u001b[31mred"),
        ("\x9b2J", "\\u009b2J"),
        ("a\r\nb\x07\x7f", "a\\u000d\\u000ab\\u0007\\u007f"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("a\u2028b\u2066c", "a\\u2028b\\u2066c"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_control_character_is_shown_and_not_obeyed(evil: str, shown: str) -> None:
    assert escape_controls(evil) == shown


def test_letters_of_all_languages_and_what_is_kept_on_purpose_stay() -> None:
    text = "Zażółć gęślą jaźń שלום 你好 👩‍💻\n\tend"

    assert escape_controls(text, keep="\n\t") == text
