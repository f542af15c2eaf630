"""What is caught stays with the user who tried it out."""

import smtplib
import stat
from pathlib import Path

from ops.catcher import Catcher, read_caught


def test_a_caught_mail_and_its_folder_are_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)

    with Catcher(folder) as running, smtplib.SMTP("127.0.0.1", running.port) as server:
        server.sendmail("ola@sender.example", ["lead@leads.example"], "Message-ID: <1@sender.example>\r\n\r\nhello\r\n")

    [mail] = folder.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, mail)] == [0o700, 0o600]
    assert [caught.recipient for caught in read_caught(folder)] == ["lead@leads.example"]
