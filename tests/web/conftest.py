"""Browsers and programs that ask the application, without a socket."""

import re
from collections.abc import Callable, Iterator

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer

from tests.conftest import Override
from web.app import create_app

PASSWORD = "zażółć gęślą jaźń"
TOKEN = "a-token-of-more-than-twenty-signs"
# As costly as a test can bear, not as one for use.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HASH = CHEAP.hash(PASSWORD)

Browser = Callable[[], FlaskClient]


@pytest.fixture
def browser(db: None) -> Iterator[FlaskClient]:
    """On the machine itself, where nobody is asked for a password."""
    with create_app().test_client() as client:
        yield client


@pytest.fixture
def protected(db: None, settings: Override) -> Browser:
    """New browsers before one application that wants a password, or the token of programs."""
    settings(WEB_PASSWORD_HASH=HASH, WEB_TOKEN=TOKEN)
    app = create_app()
    return app.test_client


def csrf_token(client: FlaskClient, path: str = "/login") -> str:
    [found] = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    return str(found)


def token_of(client: FlaskClient) -> str:
    """What a page would have in its forms."""
    with client.session_transaction() as session:
        raw = session.setdefault("csrf_token", "raw")
    return str(URLSafeTimedSerializer(client.application.secret_key, salt="wtf-csrf-token").dumps(raw))


def log_in(client: FlaskClient, password: str = PASSWORD, path: str = "/login", **options: object) -> int:
    """The status of the answer."""
    form = {"csrf_token": csrf_token(client), "password": password}
    return client.post(path, data=form, **options).status_code
