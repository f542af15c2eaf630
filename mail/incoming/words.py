"""Text prepared for comparison: lower case, without diacritics, white space collapsed."""

import re
import unicodedata

_OTHER = str.maketrans({"ł": "l", "Ł": "L", "’": "'", "‘": "'", "„": '"', "”": '"', "“": '"', "–": "-", "—": "-"})
_SPACE = re.compile(r"[\s\u00ad\u200b-\u200f\u2060\ufeff]+")


def plain(text: str) -> str:
    """ "Proszę  NIE pisać" -> "prosze nie pisac"."""
    letters = unicodedata.normalize("NFKD", text.translate(_OTHER))
    return _SPACE.sub(" ", "".join(each for each in letters if not unicodedata.combining(each))).strip().lower()
