"""The password of the pages, and the command that makes its hash."""

import subprocess
import sys

import pytest

import config
from ops.passwords import PasswordInvalid, hashed, is_password
from tests.conftest import Override


def test_its_hash_opens_for_it_alone() -> None:
    stored = hashed("correct horse battery")

    assert is_password("correct horse battery", stored)
    assert not is_password("correct horse batterz", stored)
    assert not is_password("", stored)
    assert "correct" not in stored


def test_two_hashes_of_one_password_tell_nothing_of_that() -> None:
    assert hashed("correct horse battery") != hashed("correct horse battery")


def test_a_hash_that_is_none_opens_for_nobody() -> None:
    assert not is_password("correct horse battery", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA")


def test_a_short_one_is_refused() -> None:
    with pytest.raises(PasswordInvalid, match="at least 12"):
        hashed("a" * 11)


class TestCommand:
    def test_it_prints_what_the_settings_take(self, settings: Override) -> None:
        done = new_password("zażółć gęślą jaźń\n")

        assert done.returncode == 0
        [printed] = done.stdout.splitlines()
        settings(WEB_PASSWORD_HASH=printed)
        assert config.load().web.protected
        assert is_password("zażółć gęślą jaźń", printed)

    def test_a_short_one_ends_with_one_line(self) -> None:
        done = new_password("short\n")

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "punktual: the password needs at least 12 characters\n"


def new_password(typed: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "admin", "new-password"]
    return subprocess.run(command, cwd=config.ROOT, input=typed, capture_output=True, text=True)
