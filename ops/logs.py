"""One structured line per event: a static name, and fields beside it. Ids, never addresses or bodies.

Dramatiq's, periodiq's, waitress's and our own lines come out in one form, warnings and what nobody caught included.
"""

import io
import logging
import re
import sys
import threading
from types import TracebackType
from typing import TextIO

import structlog

import config
from ops.terminal import harmless

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
    return {key: harmless(value) if isinstance(value, str) else value for key, value in event.items()}


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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(as_text))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    logging.captureWarnings(True)
    sys.excepthook, threading.excepthook = _uncaught, _uncaught_in_thread
    # Peewee would tell each statement with its values: addresses and letters.
    for chatty in ("pika", "dramatiq", "periodiq", "waitress", "imapclient", "peewee", "apprise"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def _formatter(as_text: bool) -> logging.Formatter:
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback)]
        if as_text
        else [structlog.processors.format_exc_info, _without_addresses, structlog.processors.JSONRenderer()]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _traceback(lines: TextIO, failure: structlog.typing.ExcInfo) -> None:
    """Without local variables, which structlog shows by default: there may be a password among them."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, failure)
    lines.write(harmless(_ADDRESS.sub("***", plain.getvalue()), keep="\n"))


def _uncaught(kind: type[BaseException], failure: BaseException, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, failure, where)
    else:
        get().critical("uncaught_exception", exc_info=(kind, failure, where))


def _uncaught_in_thread(it: threading.ExceptHookArgs) -> None:
    if it.exc_value is not None:
        _uncaught(it.exc_type, it.exc_value, it.exc_traceback)
