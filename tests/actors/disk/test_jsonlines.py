"""Files of JSON lines that several processes of a machine write."""

import fcntl
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.disk import jsonlines

ONE, TWO = {"number": 1}, {"number": 2}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lines.jsonl"


class TestALineThatIsOnItsWayToTheDisk:
    def test_keeps_nobody_from_reading_and_writing(self, path: Path) -> None:
        with jsonlines.locked(path) as file:
            jsonlines.append_and_unlock(file, ONE)

            beside = os.open(path, os.O_RDWR | os.O_APPEND)
            fcntl.flock(beside, fcntl.LOCK_EX | fcntl.LOCK_NB)
            jsonlines.append(beside, TWO)
            assert jsonlines.read(path, beside) == [ONE, TWO]
            os.close(beside)


def test_the_end_of_a_file_takes_no_more_memory_than_there_is_to_read(path: Path) -> None:
    with jsonlines.locked(path) as file:
        jsonlines.append(file, ONE, TWO)

        assert jsonlines.read_end(path, file, 10**12) == [ONE, TWO]
        assert jsonlines.read_end(path, file, 1) == [TWO]


@pytest.mark.parametrize("append", [jsonlines.append, jsonlines.append_and_unlock])
def test_a_line_that_cannot_be_forced_to_the_disk_is_an_error(append: Callable[..., None]) -> None:
    ends = os.pipe()  # takes what is written, and refuses fsync
    with pytest.raises(OSError):  # noqa: PT011  # of whichever call
        append(ends[1], ONE)
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("append", [jsonlines.append, jsonlines.append_and_unlock])
def test_a_line_that_the_disk_has_no_room_for_leaves_nothing_behind(path: Path, append: Callable[..., None]) -> None:
    with jsonlines.locked(path) as file:
        jsonlines.append(file, ONE)

    child = os.fork()
    if child == 0:
        with jsonlines.locked(path) as file:
            most = os.fstat(file).st_size + 4
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            try:
                append(file, TWO)
            except OSError:
                os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    with jsonlines.locked(path) as file:
        assert jsonlines.read(path, file) == [ONE]
