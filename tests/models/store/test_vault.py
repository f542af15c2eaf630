"""The secret keys: the first one encrypts and signs, and what those before it made stays readable."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from models.store import vault
from models.store.vault import KeyInvalid
from tests.conftest import Override

OLD, NEW, FOREIGN = (Fernet.generate_key().decode() for _ in range(3))


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n"])
class TestAKeyThatReplacesAnother:
    def test_reads_what_the_other_encrypted_and_encrypts_for_itself(self, settings: Override, between: str) -> None:
        settings(SECRET_KEY=OLD)
        before = vault.encrypt("s3cret")
        settings(SECRET_KEY=f"{NEW}{between}{OLD}")

        assert vault.decrypt(before) == "s3cret"
        after = vault.encrypt("s3cret")
        settings(SECRET_KEY=NEW)
        assert vault.decrypt(after) == "s3cret"
        with pytest.raises(KeyInvalid):
            vault.decrypt(before)

    def test_derives_its_own_keys_first(self, settings: Override, between: str) -> None:
        settings(SECRET_KEY=OLD)
        before = vault.derived_key("a purpose")
        settings(SECRET_KEY=f"{NEW}{between}{OLD}")

        assert vault.derived_keys("a purpose") == [vault.derived_key("a purpose"), before]
        assert vault.derived_key("another purpose") not in vault.derived_keys("a purpose")


def test_a_generated_one_whose_file_is_damaged_is_told(settings: Override, tmp_path: Path) -> None:
    settings(SECRET_KEY="", DATABASE_URL="embedded", DATA_DIR=str(tmp_path))
    (tmp_path / "secret.key").write_text("nonsense")

    with pytest.raises(KeyInvalid, match="PUNKTUAL_SECRET_KEY must be"):
        vault.derived_keys("a purpose")
    with pytest.raises(KeyInvalid, match="PUNKTUAL_SECRET_KEY must be"):
        vault.encrypt("s3cret")
