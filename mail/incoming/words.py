"""Text prepared for comparison: lower case, without diacritics, white space collapsed."""

import re
import unicodedata

_LETTERS = {"ł": "l", "Ł": "L", "ß": "ss"}
_OTHER = str.maketrans({**_LETTERS, "’": "'", "‘": "'", "„": '"', "”": '"', "“": '"', "–": "-", "—": "-"})
_SPACE = re.compile(r"[\s\u00ad\u200b-\u200f\u2060\ufeff]+")


def plain(text: str) -> str:
    """ "Proszę  NIE pisać" -> "prosze nie pisac"."""
    # Each by itself: the time to sort the marks above one letter grows with the square of their number.
    letters = "".join(unicodedata.normalize("NFKD", each) for each in text.translate(_OTHER))
    return _SPACE.sub(" ", "".join(each for each in letters if not unicodedata.combining(each))).strip().lower()
