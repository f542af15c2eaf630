"""The language of the pages, Polish or English, and their formats of times and numbers. Times are Warsaw's."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

from apiflask import APIFlask
from babel import Locale, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Response, request
from flask_babel import Babel, Domain, get_locale, gettext
from markupsafe import Markup

import clock
from scheduling.window import WARSAW, warsaw_day

LANGUAGES = ("en", "pl")
CATALOGUES = Path(__file__).parent / "translations"
_COOKIE = "language"
_A_YEAR = timedelta(days=365)


class _Catalogues(Domain):  # type: ignore[misc]  # it has no types
    """Reads the catalogues from .po files, so that nothing needs to be compiled."""

    def get_translations(self) -> NullTranslations:
        return _catalogue(language())


class _Babel(Babel):  # type: ignore[misc]
    domain_instance = _Catalogues()


def init(app: APIFlask) -> None:
    _Babel(app, locale_selector=_chosen)
    app.after_request(_remember)
    app.jinja_env.globals.update(language=language, languages=LANGUAGES, in_language=in_language)
    app.jinja_env.filters.update(
        day=day,
        moment=moment,
        minute=minute,
        second=second,
        instant=instant,
        duration=duration,
        number=number,
        word=word,
        in_words=in_words,
        sentence=sentence,
        warsaw_date=warsaw_day,
    )


def language() -> str:
    return str(get_locale() or LANGUAGES[0])


def in_language(name: str) -> str:
    """URL of the current page in another language."""
    if request.method != "GET":
        return f"/?lang={name}"
    return f"{request.path}?{urlencode({**request.args.to_dict(), 'lang': name})}"


def _chosen() -> str:
    for wish in (request.args.get("lang"), request.cookies.get(_COOKIE)):
        if wish in LANGUAGES:
            return wish
    return request.accept_languages.best_match(LANGUAGES, LANGUAGES[0])


def _remember(response: Response) -> Response:
    # The unsubscribe page has its language in its path, and sets no cookie.
    if (wish := request.args.get("lang")) in LANGUAGES and request.blueprint != "unsubscribe":
        response.set_cookie(
            _COOKIE, wish, max_age=_A_YEAR, httponly=True, samesite="Lax", secure=request.is_secure, path="/"
        )
    return response


@cache
def _catalogue(name: str) -> NullTranslations:
    path = CATALOGUES / name / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=name))
    compiled.seek(0)
    return Translations(compiled)


def word(text: object) -> str:
    """Translate one of our words from a row; other text is returned unchanged."""
    return gettext(str(text)) if text else ""


def sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def in_words(at: datetime) -> str:
    """A time for sentences; without the date if it is today."""
    return second(at) if warsaw_day(at) == warsaw_day(clock.now()) else _formatted(at, "EEE d MMM HH:mm")


def moment(at: datetime | None) -> Markup:
    """A <time> element for tables, with the full instant in its attributes."""
    if at is None:
        return Markup("–")
    whole = gettext("%(at)s, Warsaw time", at=_formatted(at, "EEEE, d MMMM y, HH:mm:ss.SSS"))
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), whole, in_words(at))


def day(at: date, pattern: str = "EEEE, d MMMM y") -> str:
    return dates.format_date(at, pattern, locale=_locale())


def minute(at: datetime) -> str:
    return f"{at.astimezone(WARSAW):%H:%M}"


def second(at: datetime) -> str:
    return f"{at.astimezone(WARSAW):%H:%M:%S}"


def instant(at: datetime) -> str:
    """A time in UTC, to the minute, for the URLs of pages."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def duration(length: timedelta) -> str:
    """The two largest units; tenths below ten seconds. The sign is dropped: the text around it says before or after."""
    seconds = abs(length.total_seconds())
    if seconds < 9.95:
        return f"{numbers.format_decimal(round(seconds, 1), locale=_locale())} s"
    whole, parts = round(seconds), []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        parts.append((count, name))
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count)


def duration_of_seconds(seconds: float) -> str:
    # A row may contain any number.
    return duration(timedelta(seconds=seconds)) if abs(seconds) < 1e10 else f"{seconds:g} s"


def number(value: float) -> str:
    return numbers.format_decimal(value, locale=_locale())


def _formatted(at: datetime, pattern: str) -> str:
    return dates.format_datetime(at, pattern, tzinfo=WARSAW, locale=_locale())


def _locale() -> Locale:
    return get_locale() or Locale.parse(LANGUAGES[0])
