"""Notifiers: services that deliver notices to the people in charge, by Apprise. Their URLs contain secrets.

Restricts Apprise: it must verify certificates, and must not follow redirects, use files, or log, since its messages
contain parts of those URLs.
"""

import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import unquote

import config

if TYPE_CHECKING:
    from apprise import NotifyBase

_BETWEEN = re.compile(r"\s+|,\s*(?=[a-z0-9]+://)", re.IGNORECASE)
_SHORTEST_SECRET = 4

_APPRISE = logging.getLogger("apprise")


@dataclass(frozen=True)
class Notifier:
    key: str  # identifies it without revealing its URL
    name: str
    url: str = field(repr=False)
    service: "NotifyBase" = field(repr=False)

    def tell(self, title: str, body: str) -> str | None:
        """Why the notice may not have been delivered; None: it was.

        Runs in a daemon thread that is abandoned after the timeout: services have no total timeout, and Apprise's own
        threads would keep the process from ending.
        """
        seconds = config.settings().notices.answer_timeout_seconds
        answer: SimpleQueue[str | None] = SimpleQueue()
        threading.Thread(target=lambda: answer.put(self._send(title, body)), daemon=True).start()
        try:
            return answer.get(timeout=seconds)
        except Empty:
            return f"no answer within {seconds:g} s"

    def _send(self, title: str, body: str) -> str | None:
        with _warnings() as words:
            try:
                if self.service.notify(title=title, body=body, notify_type="warning", body_format="text"):
                    return None
            except Exception as failure:  # noqa: BLE001  # one of a hundred plugins by other people
                return type(failure).__name__
        return _without_secrets(" ".join(words), self.url) or "it was not taken"


def configured() -> list[Notifier]:
    """The notifiers in PUNKTUAL_NOTICES_URLS. Raises SettingsInvalid, without any part of a URL."""
    _keep_urls_out_of_the_log()
    urls = config.settings().notices.urls
    found = _BETWEEN.split(urls.get_secret_value().strip()) if urls else []
    return [_notifier(number, url) for number, url in enumerate(filter(None, found), start=1)]


@cache
def _keep_urls_out_of_the_log() -> None:
    # It logs each request's path, which is often the secret.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    _APPRISE.setLevel(logging.WARNING)
    _APPRISE.propagate = False
    _APPRISE.addHandler(logging.NullHandler())


def _notifier(number: int, url: str) -> Notifier:
    service = _service(url)
    if service is None:
        raise _refusal(number, "is not one that Apprise supports (https://appriseit.com/services/)")
    if not service.verify_certificate:
        raise _refusal(number, "turns off the check of certificates")
    if service.password and _is_in_clear(service) and not config.is_loopback(service.host):
        raise _refusal(number, "would send its password unencrypted")
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    return Notifier(key, f"{number}: {service.service_name}", url, service)


def _refusal(number: int, reason: str) -> config.SettingsInvalid:
    return config.SettingsInvalid(f"PUNKTUAL_NOTICES_URLS: URL {number} {reason}")


def _service(url: str) -> "NotifyBase | None":
    # Imported here because it is slow, and only needed if there are notifiers.
    from apprise import Apprise, AppriseAsset, PersistentStoreMode

    asset = AppriseAsset(
        app_id="Punktual",
        storage_mode=PersistentStoreMode.MEMORY,
        http_redirects=False,
        allow_templates=False,
        pgp_autogen=False,
        pem_autogen=False,
    )
    return Apprise.instantiate(url, asset=asset)


def _is_in_clear(service: "NotifyBase") -> bool:
    """Whether the password is sent unencrypted. For e-mail this is a mode that Apprise may choose by provider."""
    if mode := getattr(service, "secure_mode", None):
        return bool(mode == "insecure")
    return bool(service.schema == service.protocol)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects Apprise's warnings in this thread."""
    words: list[str] = []
    handler = logging.Handler(logging.WARNING)
    here = threading.get_ident()
    handler.emit = lambda record: words.append(record.getMessage()) if record.thread == here else None  # type: ignore[method-assign]
    _APPRISE.addHandler(handler)
    try:
        yield words
    finally:
        _APPRISE.removeHandler(handler)


def _without_secrets(text: str, url: str) -> str:
    """Remove words that contain any part of the URL."""
    parts = re.split(r"[/:@?&=,]", unquote(url.partition("://")[2]))
    secrets = [part for part in parts if len(part) >= _SHORTEST_SECRET]
    return " ".join("***" if any(secret in word for secret in secrets) else word for word in text.split())
