"""Structured logging: one line per event with a static name and fields. Ids, never addresses or bodies.

Lines of Dramatiq, periodiq and waitress, warnings and uncaught exceptions get the same format.
"""

import copy
import io
import logging
import re
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

import structlog

import clock
import config
from ops.terminal import escape_controls

get = structlog.get_logger
bind = structlog.contextvars.bind_contextvars
unbind = structlog.contextvars.clear_contextvars


# Anything that looks like an address, in a server's words or an exception's.
# Bounded by the RFC's limits (RFC 5321 section 4.5.3.1): a long text without an @ would take quadratic time.
_ADDRESS = re.compile(r"[^\s<>()\[\]{}\"',;:=/@]{1,64}@[^\s<>()\[\]{}\"',;:=/]{1,255}")


def _harmless(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Without addresses, and with line breaks escaped: text of a server or an owner cannot fake a log line."""
    return {key: _harmless_text(value) if isinstance(value, str) else value for key, value in event.items()}


def _harmless_text(value: str) -> str:
    return escape_controls(_ADDRESS.sub("***", value) if "@" in value else value)


def _with_repeats(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if repeated := getattr(event["_record"], "repeated", 0):
        event["repeated"] = repeated
    return event


class Handler(logging.StreamHandler[TextIO]):
    """Writes a repeated warning once a minute, with a count: each thread retries every second while a service is away.

    Write errors, as on a full disk, are ignored: no process ends because of its log.
    """

    def __init__(self, stream: TextIO, seconds: Callable[[], float] = clock.boottime) -> None:
        super().__init__(stream)
        self._seconds = seconds
        self._held: dict[object, _Repeated] = {}
        self._look_at = 0.0

    def write(self, line: str) -> None:
        """Write a line as it is."""
        # In half the time of emit(): a sent e-mail has three lines.
        with self.lock or nullcontext(), suppress(OSError, ValueError):
            self._write_repetitions(self._seconds())
            self.stream.write(f"{line}{self.terminator}")
            self.stream.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock."""
        now = self._seconds()
        self._write_repetitions(now)
        key = _key(record)
        if key is None:
            super().emit(record)
        elif key in self._held:
            self._held[key].repeated += 1
        else:
            self._held[key] = _Repeated(record, now + _ONCE_IN_SECONDS)
            super().emit(record)

    def _write_repetitions(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + 1
        for key, held in [(key, held) for key, held in self._held.items() if held.until <= now]:
            del self._held[key]
            if held.repeated:
                super().emit(held.summary())

    def handleError(self, record: logging.LogRecord) -> None:  # overrides the standard library's method
        """Ignore: the log itself cannot be written."""


_ONCE_IN_SECONDS = 60.0
_VARIES = {"timestamp", "message"}


@dataclass
class _Repeated:
    first: logging.LogRecord
    until: float
    repeated: int = 0

    def summary(self) -> logging.LogRecord:
        """The line without its traceback, with the number of suppressed repetitions."""
        again = copy.copy(self.first)
        again.exc_info, again.repeated = None, self.repeated
        if isinstance(again.msg, dict):
            again.msg = again.msg | {"timestamp": clock.now().isoformat()}
            again.msg.pop("exc_info", None)
        return again


def _key(record: logging.LogRecord) -> object | None:
    """Lines with the same key are repetitions. None: write every line."""
    if record.levelno < logging.WARNING:
        return None
    if isinstance(record.msg, dict):  # one of ours: all fields, since they may name an e-mail
        if record.levelno >= logging.CRITICAL:
            return None
        return record.name, repr(sorted((name, repr(it)) for name, it in record.msg.items() if name not in _VARIES))
    failure = record.exc_info[0] if record.exc_info else None
    # Dramatiq's logger names contain the thread's queue in parentheses.
    return record.name.partition("(")[0], record.msg, failure


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _harmless,
]


def configure() -> None:
    settings = config.settings().log
    renderers = _renderers(as_text=settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty()))
    handler = Handler(sys.stderr)
    handler.setFormatter(_formatter(renderers))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    structlog.configure(
        processors=[*_SHARED, _Directly(handler, renderers), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(True)
    sys.excepthook, threading.excepthook = _uncaught, _uncaught_in_thread
    # Peewee would log each statement with its values: addresses and letters.
    for chatty in ("dramatiq", "periodiq", "waitress", "imapclient", "peewee", "apprise"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # Its errors, logged with stacks, also reach its users as exceptions. Every other tick of periodiq finds its idle
    # connection closed, and Dramatiq opens another.
    logging.getLogger("pika").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class _Directly:
    """Writes our own lines that are never held back, without the standard library's records and formatters."""

    handler: Handler
    renderers: Sequence[structlog.typing.Processor]

    def __call__(self, logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if method not in ("debug", "info"):
            return event
        line: Any = event
        for render in self.renderers:
            line = render(logger, method, line)
        self.handler.write(line)
        raise structlog.DropEvent


def _renderers(*, as_text: bool) -> list[structlog.typing.Processor]:
    return (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback)]
        if as_text
        else [_traceback_in_json, structlog.processors.JSONRenderer()]
    )


def _formatter(renderers: Sequence[structlog.typing.Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[_with_repeats, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )


def _traceback_in_json(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event = structlog.processors.format_exc_info(logger, method, event)
    if "exception" in event:
        event["exception"] = _ADDRESS.sub("***", event["exception"])
    return event


def _traceback(lines: TextIO, failure: structlog.typing.ExcInfo) -> None:
    """Without local variables, which structlog shows by default: they may contain a password."""
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
