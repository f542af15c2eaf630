"""`make test-mail`: which Pythons are found."""

import sys
from pathlib import Path

import pytest

from tests import pythons


def test_one_that_runs_says_which_it_is() -> None:
    assert pythons.version_of(Path(sys.executable)) == sys.version_info[:2]


def test_a_name_that_leads_to_none_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, missing = tmp_path / "python3.98", tmp_path / "python3.99"
    broken.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    broken.chmod(0o755)
    missing.symlink_to(tmp_path / "nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    assert sorted(pythons.candidates()) == [broken, missing]
    assert pythons.found() == {}


def test_the_oldest_is_the_one_that_the_project_asks_for() -> None:
    assert pythons.oldest() == (3, 11)
