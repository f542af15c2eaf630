"""A real IMAP server on loopback: a Dovecot of the tests' own, below a temporary folder.

Every user of the right password has a mailbox, with a folder marked as the one of sent mails unless told otherwise.
"""

import grp
import imaplib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Self

from imapclient import IMAPClient

import clock
from ops.local import find_dovecot
from tests.certificates import Certificate
from tests.faked import SHIFT
from tests.login_server import LoginServer
from tests.scraping import free_port
from tests.waiting import BOUND, until

# Dovecot serves no mail of root's and takes other users for its own parts: Debian's, or this very user.
_MAIL_OWNER, _LOGIN_USER, _INNER_USER = "nobody", "dovenull", "dovecot"

# LD_PRELOAD and shift: Dovecot keeps a faked time only if it is told to.
CONFIG = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/dovecot.log
instance_name = {home}
import_environment = TZ LD_PRELOAD {shift}
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{home}/certificate.pem
ssl_key = <{home}/key.pem
disable_plaintext_auth = no
auth_failure_delay = 0
auth_username_chars =
default_login_user = {login_user}
default_internal_user = {inner_user}
default_internal_group = {inner_group}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{home}/mail/%u
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
}}
namespace inbox {{
  inbox = yes
  mailbox "{sent}" {{
    auto = create
    {special_use}
  }}
}}
{oauth}
service imap-login {{
  {chroot}
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  {chroot}
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""

# Tokens are shown to a login server, and passwords are of no use.
OAUTH = """
auth_mechanisms = {mechanisms}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {home}/oauth2.conf
}}
"""
INTROSPECTION = """
introspection_mode = auth
introspection_url = {url}/introspect
username_attribute = email
tls_ca_cert_file = {home}/login_server.pem
"""


class Dovecot:
    host = "localhost"
    password = "s3cret-imap-word"

    def __init__(
        self,
        *,
        sent: str = "Sent",
        marked: bool = True,
        password: str = password,
        login_server: LoginServer | None = None,
        mechanisms: str = "plain xoauth2 oauthbearer",
    ) -> None:
        """login_server: whose tokens it accepts besides the password, by these mechanisms."""
        self.password = password
        self.login_server, self.mechanisms = login_server, mechanisms
        self.certificate = Certificate(self.host)
        self.port, self.tls_port = free_port(), free_port()
        self.sent = sent
        self.home = Path(tempfile.mkdtemp(prefix="punktual-dovecot-"))
        self._write(marked)

    def __enter__(self) -> Self:
        dovecot = find_dovecot()
        assert dovecot, "Dovecot is not installed: `python -m ops.local install`"
        command = [dovecot, "-F", "-c", str(self.home / "dovecot.conf")]
        with (self.home / "output.log").open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        until(self._answers, f"Dovecot below {self.home} to answer")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(BOUND)
        shutil.rmtree(self.home)

    def file(self, user: str, content: bytes, folder: str | None = None) -> None:
        """Put a message into the user's Sent folder, as a provider does with what it was given to send."""
        with self.logged_in(user) as client:
            if folder is not None:
                client.create_folder(folder)
            client.append(folder or self.sent, content, msg_time=clock.now())

    def receive(self, user: str, content: bytes, folder: str = "INBOX", at: datetime | None = None) -> None:
        """Put a message into the user's inbox, or another folder, as one that came at that time."""
        with self.logged_in(user) as client:
            if not client.folder_exists(folder):
                client.create_folder(folder)
            client.append(folder, content, msg_time=at or clock.now())

    def renumber(self, user: str, folder: str = "INBOX") -> None:
        """Give all messages of a folder other UIDs, under another UIDVALIDITY, as after a server was restored."""
        maildir = self.home / "mail" / user / ("" if folder == "INBOX" else f".{folder}")
        uids = maildir / "dovecot-uidlist"
        first, *rest = uids.read_text().splitlines()
        older = re.sub(r"\bV(\d+)", lambda found: f"V{int(found[1]) + 1}", first)
        numbered = [re.sub(r"^(\d+)", lambda found: str(int(found[1]) + 100), line) for line in rest]
        next_uid = re.sub(r"\bN(\d+)", lambda found: f"N{int(found[1]) + 100}", older)
        uids.write_text("\n".join([next_uid, *numbered]) + "\n")
        for index in maildir.glob("dovecot.index*"):
            index.unlink()

    def state(self, user: str, folder: str = "INBOX") -> dict[int, tuple[bytes, ...]]:
        """UID -> flags of each message in a folder."""
        with self.logged_in(user) as client:
            client.select_folder(folder, readonly=True)
            found: dict[int, tuple[bytes, ...]] = dict(client.get_flags(client.search()))
            return found

    def flags(self, user: str) -> list[tuple[bytes, ...]]:
        """Of each message in the user's Sent folder."""
        with self.logged_in(user) as client:
            client.select_folder(self.sent, readonly=True)
            return list(client.get_flags(client.search()).values())

    def logged_in(self, user: str) -> IMAPClient:
        client = IMAPClient(self.host, self.port, ssl=False, timeout=BOUND)
        client.login(user, self.password)
        return client

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.home / "output.log").read_text()
        try:
            imaplib.IMAP4(self.host, self.port, timeout=5).logout()
        except (OSError, imaplib.IMAP4.error):
            return False
        return True

    def _write(self, marked: bool) -> None:
        as_root = os.geteuid() == 0
        owner = pwd.getpwnam(_MAIL_OWNER) if as_root else pwd.getpwuid(os.geteuid())
        inner = pwd.getpwnam(_INNER_USER) if as_root else owner
        self.home.chmod(0o755)
        (self.home / "certificate.pem").write_bytes(self.certificate.public)
        (self.home / "key.pem").write_bytes(self.certificate.secret)
        mail = self.home / "mail"
        mail.mkdir()
        os.chown(mail, owner.pw_uid, owner.pw_gid)
        if self.login_server:
            (self.home / "login_server.pem").write_bytes(self.login_server.certificate.public)
            asked = INTROSPECTION.format(url=self.login_server.url, home=self.home)
            (self.home / "oauth2.conf").write_text(asked, encoding="utf-8")
        text = CONFIG.format(
            oauth=OAUTH.format(home=self.home, mechanisms=self.mechanisms) if self.login_server else "",
            home=self.home,
            shift=SHIFT,
            login_user=_LOGIN_USER if as_root else owner.pw_name,
            inner_user=inner.pw_name,
            inner_group=_group(inner.pw_gid),
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            password=self.password,
            sent=self.sent,
            special_use=r"special_use = \Sent" if marked else "",
            chroot="" if as_root else "chroot =",
            port=self.port,
            tls_port=self.tls_port,
        )
        (self.home / "dovecot.conf").write_text(text, encoding="utf-8")


def _group(gid: int) -> str:
    return grp.getgrgid(gid).gr_name
