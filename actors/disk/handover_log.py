"""Logs hand-overs on this machine's disk, to detect a restored backup: a database that has gone back in time.

E-mails sent since the backup are pending again in it. So each hand-over is on this disk before its dot is written, and
nothing is claimed while the database lacks one of them, or the newest history row that this machine saw.
"""

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import clock
import config
from actors.disk import jsonlines
from actors.disk.identity import this_worker
from models.email import recovery
from models.email.recovery import HandOver
from models.owner import arming
from models.store import installation
from models.store.installation import HistoryPosition, Seen
from reasons import Code, Reason

# About 200,000 hand-overs; the previous file is kept too.
_LONGEST_BYTES = 64 * 1024 * 1024
_MARK_EVERY_SECONDS = 5


class Disarmed(Exception):
    """The database lacks what this machine has seen: claiming could send an e-mail twice."""


def check() -> None:
    """Raise Disarmed unless the database has everything that this machine has seen in it."""
    installation.identity(again=True)
    if reason := installation.disarmed_reason():
        raise Disarmed(str(reason))
    if not agrees():
        arming.disarm(Reason(Code.DATABASE_BEHIND, host=this_worker().host), by=str(this_worker()))
        raise Disarmed(str(installation.disarmed_reason()))
    if not _is_fresh(_mark_file()):
        _keep_mark(installation.latest())


def agrees() -> bool:
    """Whether the database has this machine's last hand-overs and the newest history row it has seen."""
    known = installation.knows(Seen(installation.identity(), _mark()))
    return known and not recovery.forgotten(_latest())


def seen() -> Seen:
    """What the database must have before this machine may claim. Raises LinesUnreadable, OSError.

    Threads log their hand-overs in another order than they commit them. So the last one is not enough where the
    database may have gone back between two of them, for which it needs new sessions: check() looks at several.
    """
    return Seen(installation.identity(), _mark(), _last())


def note(handed: HandOver, shown: HistoryPosition) -> None:
    """Log a hand-over; it is on the disk when this returns. Raises OSError if it cannot be written.

    shown: the newest row of email_history that was seen.
    """
    if not _is_fresh(_mark_file()):
        _keep_mark(shown)
    path = _file()
    with jsonlines.locked(path) as file:
        if os.fstat(file).st_size > _LONGEST_BYTES:
            path.replace(_before(path))
        # The database has the hand-over already: a line that stays although the disk failed does no harm.
        jsonlines.append_and_unlock(file, _plain(handed))


def forgotten() -> list[HandOver]:
    """This machine's hand-overs that the database lacks, in order."""
    path = _file()
    return recovery.forgotten([*_read(_before(path)), *_read(path)])


def accept_loss() -> None:
    """Accept the database as it is. Called once a person has decided about the missing hand-overs."""
    lost = {it.token for it in forgotten()}
    path = _file()
    with jsonlines.locked(path) as file:
        # Read under the same lock: an e-mail claimed before may be handed over right now.
        here = map(_hand_over, jsonlines.read(path, file))
        kept = [_plain(it) for it in [*_read(_before(path)), *here] if it.token not in lost]
        jsonlines.replace(path, *kept)
    _before(path).unlink(missing_ok=True)
    _keep_mark(installation.latest())


def _last() -> tuple[int, UUID] | None:
    path = _file()
    # After it was replaced there is no new one until the next hand-over.
    for each in (path, _before(path)):
        if last := _read_end(each, lines=1):
            return last[0].email_id, last[0].token
    return None


def _latest() -> list[HandOver]:
    """The last logged hand-overs: more than all threads of the machine may have logged out of order."""
    path, workers = _file(), config.settings().worker
    lines = 4 * workers.processes * workers.threads
    return [*_read_end(_before(path), lines), *_read_end(path, lines)]


def _read_end(path: Path, lines: int) -> list[HandOver]:
    if not path.exists():
        return []
    with jsonlines.locked(path) as file:
        return list(map(_hand_over, jsonlines.read_end(path, file, lines)))


def _read(path: Path) -> Iterator[HandOver]:
    if path.exists():
        with jsonlines.locked(path) as file:
            yield from map(_hand_over, jsonlines.read(path, file))


def _plain(it: HandOver) -> dict[str, object]:
    """The hand-over's line for the log, without None values: the previous version rejects unknown fields."""
    plain = vars(it) | {"token": str(it.token), "at": it.at.isoformat()}
    return {name: value for name, value in plain.items() if value is not None}


def _hand_over(it: Any) -> HandOver:
    return HandOver(**it | {"token": UUID(it["token"]), "at": datetime.fromisoformat(it["at"])})


def _mark() -> HistoryPosition | None:
    try:
        lines = _mark_file().read_text(encoding="utf-8").splitlines()
        return HistoryPosition(int(lines[0]), int(lines[1]), lines[2])
    except (FileNotFoundError, IndexError, ValueError):  # the last two if it is damaged
        return None


def _keep_mark(mark: HistoryPosition | None) -> None:
    """Write down the newest row of email_history that was seen; None removes the file.

    Losing the file in a crash does no harm: the logged hand-overs are enough.
    """
    path = _mark_file()
    config.private_folder(path.parent)
    if mark:
        # Threads of several processes may write it at once: each has its own draft, and the last one wins.
        draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        with draft.open("w", encoding="utf-8") as file:
            file.write("\n".join(map(str, mark)))
            file.flush()
            # Part of a mark would look like a row that the database lacks.
            os.fsync(file.fileno())
        draft.replace(path)
    else:
        path.unlink(missing_ok=True)


def _is_fresh(path: Path) -> bool:
    try:
        return os.stat(path).st_mtime > clock.now().timestamp() - _MARK_EVERY_SECONDS
    except FileNotFoundError:
        return False


def _mark_file() -> Path:
    return jsonlines.path_of(f"seen-{installation.identity()}")


def _file() -> Path:
    return jsonlines.path_of(f"handed-over-{installation.identity()}.jsonl")


def _before(path: Path) -> Path:
    return path.with_suffix(".before.jsonl")
