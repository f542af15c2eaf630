"""A backup from before an upgrade is restored by the commands of docs/operations.md over what the upgrade left."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

import config
from models.store import database, embedded, migrate
from tests import version_before

OPERATIONS = (config.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def documented(*programs: str) -> str:
    """The lines with these programs for an installation without docker whose database is not the embedded one."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", OPERATIONS, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return "\n".join(line for line in lines if line.startswith(programs) and " postgres" not in line)


def run(commands: str, url: str, folder: Path) -> None:
    """Run them with the test's database and owner in place of `punktual`."""
    name = urlsplit(url).path.removeprefix("/")
    commands = commands.replace("--owner punktual", "--owner postgres")
    commands = re.sub(r" punktual( |$)", rf" {name}\1", commands, flags=re.MULTILINE)
    environment = {
        **os.environ,
        "PATH": f"{embedded._programs()}:{os.environ['PATH']}",
        "PGHOST": parse_qs(urlsplit(url).query)["host"][0],
        "PGUSER": "postgres",
        "PUNKTUAL_DATABASE_URL": url,
    }
    done = subprocess.run(["bash", "-ec", commands], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def counts() -> list[tuple[object, ...]]:
    return database.fetch("SELECT status, count(*) FROM campaign_email_queue GROUP BY 1 ORDER BY 1")


@pytest.mark.parametrize("last", ["0172_notice_of_missing_records", "0180_lead_search"])
def test_a_backup_from_before_an_upgrade_is_restored_and_migrated(postgres: str, tmp_path: Path, last: str) -> None:
    with version_before.installed(postgres):
        url = config.settings().database.url.get_secret_value()
        version_before.filled()
        version_before.up_to(last)
        before = counts()
        run(documented("pg_dump "), url, tmp_path)
        migrate.migrate()
        database.close()

        run(documented("dropdb ", "createdb ", "pg_restore "), url, tmp_path)

        database.open_database("tests")
        assert counts() == before
        assert migrate.missing()
        migrate.migrate()
        assert migrate.missing() == []
