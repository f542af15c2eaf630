"""A person who fills forms in."""

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.conftest import token_of


class Owner:
    def __init__(self, browser: FlaskClient) -> None:
        self.browser = browser

    def sees(self, path: str) -> str:
        answer = self.browser.get(path)
        assert answer.status_code == 200, answer.text
        return text(answer.text)

    def sends(self, path: str, files: Any = None, **fields: Any) -> TestResponse:
        """files: field -> content and name. A list of values: several boxes ticked."""
        data: dict[str, Any] = {"csrf_token": token_of(self.browser), **fields}
        for name, (content, called) in (files or {}).items():
            data[name] = (io.BytesIO(content), called)
        return self.browser.post(path, data=data, content_type="multipart/form-data" if files else None)

    def may(self, path: str, files: Any = None, **fields: Any) -> str:
        """Send a form that is right; returns where it leads."""
        answer = self.sends(path, files, **fields)
        assert answer.status_code == 303, text(answer.text)
        return answer.headers["Location"]

    def may_not(self, path: str, files: Any = None, **fields: Any) -> str:
        """Send a form that is wrong; returns the page, on which it stands with what is wrong."""
        answer = self.sends(path, files, **fields)
        assert answer.status_code == 422, text(answer.text)
        return answer.text


def text(html: str) -> str:
    """As a person reads it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def wrong(html: str) -> dict[str, str]:
    """Field -> the sentence beside it."""
    found = re.findall(r'<p class="wrong" id="wrong-([\w-]*)">([^<]*)</p>', html)
    return {name: said.replace("&#39;", "'") for name, said in found}


def typed(html: str, name: str) -> str:
    """What stands in a field."""
    [found] = re.findall(rf'<input id="{name}" [^>]*value="([^"]*)"', html)
    return str(found)


@pytest.fixture
def owner(browser: FlaskClient) -> Owner:
    return Owner(browser)
