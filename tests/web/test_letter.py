"""Reading what was handed over, whatever it is."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
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


def test_the_frame_of_its_html_is_about_as_high_as_that_needs() -> None:
    short, long = (letter.ShownLetter([], None, f"<p>{'Good morning. ' * count}</p>") for count in (1, 90))

    assert letter.read(SENT).height == short.height == 90
    assert 90 < long.height < letter.ShownLetter([], None, "<p>Line</p>" * 500).height == 480


# What a browser follows, fetches or reads ahead by itself, or when somebody clicks.
CONNECTING = [
    '<link rel="preconnect" href="//evil.example">',
    '<link rel="dns-prefetch" href="//evil.example">',
    '<link rel="stylesheet" href="//evil.example/x.css">',
    '<meta http-equiv="refresh" content="0;url=//evil.example">',
    '<base href="//evil.example">',
    '<form action="//evil.example"><button>Yes</button></form>',
    '<a href="https://evil.example" ping="//evil.example">here</a>',
    '<img src="//evil.example/x.png" srcset="//evil.example/y.png 2x">',
    '<img src="x.png">',
    '<p style="background:url(//evil.example)">x</p>',
    '<p style="font:12px url(//evil.example)">x</p>',
    "<style>@import '//evil.example';</style>",
    '<body background="//evil.example"><table background="//evil.example"><tr><td>x</table>',
    '<iframe src="//evil.example"></iframe><object data="//evil.example"></object><embed src="//evil.example">',
    '<video src="//evil.example" poster="//evil.example"></video><audio src="//evil.example"></audio>',
    '<svg><image href="//evil.example"/><use href="//evil.example"/></svg>',
    '<math href="//evil.example"><mtext><table><mglyph><style><img src="//evil.example">',
    '<blockquote cite="//evil.example">x</blockquote><area href="//evil.example"><q cite="//evil.example">y</q>',
    '<script src="//evil.example"></script><noscript><img src="//evil.example"></noscript>',
    '<template><img src="//evil.example"></template><input type="image" src="//evil.example">',
]


class TestWhatIsShownOfHtml:
    def test_is_text_and_how_it_looks(self) -> None:
        html = (
            '<html><head><title>T</title></head><body><h1 style="color:red;font-size:20px" align="center">Dzień</h1>'
            '<table border="1"><tbody><tr><td bgcolor="#eee">dobry</td></tr></tbody></table><a href="//x">tu</a>'
            '<img src="data:image/png;base64,AA" alt="a"></body></html>'
        )

        assert letter.without_connections(html) == (
            '<h1 style="color:red;font-size:20px" align="center">Dzień</h1>'
            '<table border="1"><tbody><tr><td bgcolor="#eee">dobry</td></tr></tbody></table><a>tu</a>'
            '<img src="data:image/png;base64,AA" alt="a">'
        )

    @pytest.mark.parametrize("html", CONNECTING)
    @pytest.mark.parametrize("around", ["{}", "<p>x{}", "<table>{}", "<!--{}-->", "<b>{}</b>"])
    def test_makes_no_browser_connect(self, html: str, around: str) -> None:
        assert connecting(letter.without_connections(around.format(html))) == []

    @given(st.lists(st.sampled_from([*CONNECTING, "<!--", "-->", "<table>", "</p>", "<select>", "<plaintext>", "'\""])))
    def test_makes_no_browser_connect_however_it_is_broken(self, parts: list[str]) -> None:
        assert connecting(letter.without_connections("".join(parts))) == []


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in letter._TAGS:
            self.found.append(tag)
        self.found += [f"{name}={value}" for name, value in attributes if "evil" in (value or "") or name == "href"]
        self.found += [f"{name}={value}" for name, value in attributes if name == "src" and value[:5] != "data:"]  # type: ignore[index]


def connecting(html: str) -> list[str]:
    """What is left of it, as a parser that is not the one under test reads it."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found
