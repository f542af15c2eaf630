"""Browsers and programs that ask the application, without a socket or at the real process."""

import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer

import config
from tests.conftest import Override
from tests.forking import Forked
from tests.scraping import free_port
from tests.waiting import BOUND, until
from web.app import create_app
from web.guard import access

PASSWORD = "zażółć gęślą jaźń"
TOKEN = "a-token-of-more-than-twenty-signs"
# As costly as a test can bear, not as one for use.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
# The same in each process that tests: it names a test.
HASH = CHEAP.hash(PASSWORD, salt=b"sixteen bytes of")

Browser = Callable[[], FlaskClient]


_MADE: list[tuple[config.Settings, APIFlask]] = []


def the_app() -> APIFlask:
    """The application by the settings of now, with no attempts counted yet.

    Made once for equal settings: each new one compiles its templates and routes, which takes longer than most tests.
    """
    settings = config.settings()
    app = next((app for before, app in _MADE if before == settings), None)
    if app is None:
        app = create_app()
        _MADE.append((settings, app))
    access.limiter.reset()
    return app


@pytest.fixture
def browser(db: None) -> Iterator[FlaskClient]:
    """A browser on this machine, where no password is needed."""
    with the_app().test_client() as client:
        yield client


@pytest.fixture
def protected(db: None, settings: Override) -> Browser:
    """Makes browsers of one application that requires a password or a token."""
    settings(WEB_PASSWORD_HASH=HASH, WEB_TOKEN=TOKEN)
    return the_app().test_client


def csrf_token(client: FlaskClient, path: str = "/login", **options: Any) -> str:
    [found] = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path, **options).text)
    return str(found)


def token_of(client: FlaskClient) -> str:
    """The CSRF token of a page's forms."""
    with client.session_transaction() as session:
        raw = session.setdefault("csrf_token", "raw")
    secret = client.application.secret_key
    assert secret is not None
    return str(URLSafeTimedSerializer(secret, salt="wtf-csrf-token").dumps(raw))


def log_in(client: FlaskClient, password: str = PASSWORD, path: str = "/login", **options: Any) -> int:
    """The status of the answer."""
    form = {"csrf_token": csrf_token(client), "password": password}
    return client.post(path, data=form, **options).status_code


class Served:
    """The real process on a socket of its own."""

    def __init__(self, log: Path, *arguments: str, **environment: str) -> None:
        self.port = free_port()
        self.log, out = log, log.with_name(f"web-{self.port}.out")
        out.touch()
        log.touch()
        environment = {**os.environ, "PUNKTUAL_WEB_PORT": str(self.port), **environment}
        self.process = Forked(("web", *arguments), environment, out=out, err=log)
        until(lambda: "\n" in out.read_text() or self.process.poll() is not None, "the pages")
        self.said = out.read_text().strip()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """The status and the body."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=BOUND) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def end(self) -> None:
        print(f"exit status before its end: {self.process.poll()}", self.log.read_text()[-20_000:], sep="\n")
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(BOUND)


@pytest.fixture
def serve(db: None, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start the real process, with more in its environment."""
    running: list[Served] = []

    def start(*arguments: str, **environment: str) -> Served:
        running.append(Served(tmp_path / "web.log", *arguments, **environment))
        return running[-1]

    yield start
    for each in running:
        each.end()
