"""One structured line per event: a static name, and fields beside it. Ids, never addresses or bodies.

Dramatiq's, periodiq's, waitress's and our own lines come out in one form, warnings and what nobody caught included.
"""

import copy
import io
import logging
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

import structlog

import clock
import config
from ops.terminal import escape_controls

get = structlog.get_logger
bind = structlog.contextvars.bind_contextvars
unbind = structlog.contextvars.clear_contextvars


# What reads like an address, wherever it was said: in a server's words, or in an exception's.
# Bounded as addresses are (RFC 5321 section 4.5.3.1): a long text without an @ would cost the square of its length.
_ADDRESS = re.compile(r"[^\s<>()\[\]{}\"',;:=/@]{1,64}@[^\s<>()\[\]{}\"',;:=/]{1,255}")


def _without_addresses(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: _ADDRESS.sub("***", value) if isinstance(value, str) else value for key, value in event.items()}


def _on_one_line(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What a server or an owner wrote must not begin a line that reads like one of ours."""
    return {key: escape_controls(value) if isinstance(value, str) else value for key, value in event.items()}


def _with_repeats(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if repeated := getattr(event["_record"], "repeated", 0):
        event["repeated"] = repeated
    return event


class Handler(logging.StreamHandler[TextIO]):
    """Writes a warning once a minute, and then how often it came again: each thread tries every second what is away.

    Where nothing can be written, as on a full disk, nothing is: no process ends for its log.
    """

    def __init__(self, stream: TextIO, seconds: Callable[[], float] = clock.boottime) -> None:
        super().__init__(stream)
        self._seconds = seconds
        self._held: dict[object, _Held] = {}
        self._look_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock."""
        now = self._seconds()
        if now >= self._look_at:
            self._look_at = now + 1
            self._tell_what_was_held(now)
        key = _key(record)
        if key is None:
            super().emit(record)
        elif key in self._held:
            self._held[key].repeated += 1
        else:
            self._held[key] = _Held(record, now + _ONCE_IN_SECONDS)
            super().emit(record)

    def _tell_what_was_held(self, now: float) -> None:
        for key, held in [(key, held) for key, held in self._held.items() if held.until <= now]:
            del self._held[key]
            if held.repeated:
                super().emit(held.told())

    def handleError(self, record: logging.LogRecord) -> None:  # the standard library's name
        """Told where? The log is what cannot be written."""


_ONCE_IN_SECONDS = 60.0
_VARIES = {"timestamp", "message"}


@dataclass
class _Held:
    first: logging.LogRecord
    until: float
    repeated: int = 0

    def told(self) -> logging.LogRecord:
        """The same line without its traceback, with how often it was held back."""
        again = copy.copy(self.first)
        again.exc_info, again.repeated = None, self.repeated
        if isinstance(again.msg, dict):
            again.msg = again.msg | {"timestamp": clock.now().isoformat()}
            again.msg.pop("exc_info", None)
        return again


def _key(record: logging.LogRecord) -> object | None:
    """What two lines have in common that say the same. None: each is told."""
    if record.levelno < logging.WARNING:
        return None
    if isinstance(record.msg, dict):  # ours: all that it says, for it may name a mail
        if record.levelno >= logging.CRITICAL:
            return None
        return record.name, repr(sorted((name, repr(it)) for name, it in record.msg.items() if name not in _VARIES))
    failure = record.exc_info[0] if record.exc_info else None
    # Dramatiq's loggers bear the name of a thread's queue.
    return record.name.partition("(")[0], record.msg, failure


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    _without_addresses,
    _on_one_line,
]


def configure() -> None:
    settings = config.settings().log
    as_text = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = Handler(sys.stderr)
    handler.setFormatter(_formatter(as_text))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    logging.captureWarnings(True)
    sys.excepthook, threading.excepthook = _uncaught, _uncaught_in_thread
    # Peewee would tell each statement with its values: addresses and letters.
    for chatty in ("dramatiq", "periodiq", "waitress", "imapclient", "peewee", "apprise"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # What it tells, with stacks, comes to whoever uses it as an exception too: every other tick of periodiq finds the
    # connection gone that was idle for a minute, and Dramatiq opens another.
    logging.getLogger("pika").setLevel(logging.CRITICAL)


def _formatter(as_text: bool) -> logging.Formatter:
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback)]
        if as_text
        else [structlog.processors.format_exc_info, _without_addresses, structlog.processors.JSONRenderer()]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[_with_repeats, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _traceback(lines: TextIO, failure: structlog.typing.ExcInfo) -> None:
    """Without local variables, which structlog shows by default: there may be a password among them."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, failure)
    lines.write(escape_controls(_ADDRESS.sub("***", plain.getvalue()), keep="\n"))


def _uncaught(kind: type[BaseException], failure: BaseException, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, failure, where)
    else:
        get().critical("uncaught_exception", exc_info=(kind, failure, where))


def _uncaught_in_thread(it: threading.ExceptHookArgs) -> None:
    if it.exc_value is not None:
        _uncaught(it.exc_type, it.exc_value, it.exc_traceback)
