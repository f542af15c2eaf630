"""The OpenAPI document, and that every answer is as it says, whatever is asked."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.conftest import TOKEN, Served
from tests.web.rows import something_of_everything

BEARER = f"Authorization: Bearer {TOKEN}"
SETTINGS = Path(__file__).parent / "schemathesis.toml"


@pytest.mark.timeout(3600)
def test_whatever_is_asked_of_it_every_answer_is_as_its_document_says(serve: Callable[..., Served]) -> None:
    something_of_everything()
    served = serve(PUNKTUAL_WEB_TOKEN=TOKEN)

    command = ["--config-file", str(SETTINGS), "run", f"{served.url}/api/openapi.json", "--header", BEARER]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *command], cwd=SETTINGS.parent, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr + served.log.read_text()
