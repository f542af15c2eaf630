"""The embedded Postgres is this user's alone, whatever the path of its data and whoever else is on the machine."""

import os
import pickle
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg2
import pytest

from models.store import embedded
from models.store.embedded import EmbeddedPostgresFailed
from tests.waiting import until

NOBODY = 65534
HOMES = {"a short path": "var/postgres", "a path too long for a socket, and strange": f"{'x' * 120}/a b,%?ł$'/postgres"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user of the machine")


@pytest.fixture(scope="module", params=HOMES, ids=list(HOMES))
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    """The home and the URL of a server, below folders that nobody else may enter."""
    top = Path(tempfile.mkdtemp())
    home = top / HOMES[request.param]
    yield home, embedded.start(home)
    embedded.stop(home, "immediate")
    shutil.rmtree(top)


def asked(url: str, query: str = "SELECT current_user", role: str = "postgres") -> list[Any]:
    connection = psycopg2.connect(url, user=role)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())
    finally:
        connection.close()


def folder_of(url: str) -> Path:
    [folder] = parse_qs(urlsplit(url).query)["host"]
    return Path(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def asked_by_a_stranger(folder: Path) -> str:
    """What another user of this machine is told who asks the server for a superuser's session."""
    psql = embedded._programs() / "psql"
    command = [str(psql), "--no-psqlrc", f"--host={folder}", "--username=postgres", "--command=SELECT 'let in'"]
    done = subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True)
    return done.stdout + done.stderr


def as_a_stranger(work: Callable[[], Any]) -> Any:
    """What it returns, or the exception that it raises, in a process of another user."""
    embedded._package()  # what is imported later is perhaps not for their eyes
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            result = work()
        except (EmbeddedPostgresFailed, psycopg2.Error, OSError) as error:
            result = error
        os.write(writing, pickle.dumps(result))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return pickle.loads(told)


class TestTheServer:
    def test_lets_its_user_in(self, running: tuple[Path, str]) -> None:
        assert asked(running[1]) == [("postgres",)]

    def test_is_found_running_by_the_next_process(self, running: tuple[Path, str]) -> None:
        home, url = running
        [began] = asked(url, "SELECT pg_postmaster_start_time()")

        assert embedded.start(home) == url
        assert asked(url, "SELECT pg_postmaster_start_time()") == [began]

    def test_listens_in_its_own_closed_folder_only(self, running: tuple[Path, str]) -> None:
        home, url = running

        assert (home / ".s.PGSQL.5432").is_socket()
        assert folder_of(url).resolve() == home
        assert (mode(home), mode(home / ".s.PGSQL.5432"), mode(home.parent)) == (0o700, 0o700, 0o700)
        assert asked(url, "SHOW listen_addresses") == [("",)]

    def test_trusts_only_whom_the_kernel_vouches_for(self, running: tuple[Path, str]) -> None:
        rules = asked(running[1], "SELECT type, auth_method, error FROM pg_hba_file_rules")

        assert rules == [("local", "peer", None)]
        assert asked(running[1], "SELECT error FROM pg_ident_file_mappings WHERE error IS NOT NULL") == []

    @as_root
    def test_is_out_of_reach_for_another_user(self, running: tuple[Path, str]) -> None:
        assert "Permission denied" in asked_by_a_stranger(folder_of(running[1]))

    @as_root
    def test_refuses_another_user_even_where_all_folders_are_open(self, running: tuple[Path, str]) -> None:
        home, url = running
        above = {*home.parents, *folder_of(url).parents} - {*Path(tempfile.gettempdir(), "a folder").parents}
        folders = {folder: mode(folder) for folder in (home / ".s.PGSQL.5432", home, *above)}
        for folder in folders:
            folder.chmod(0o777)

        assert "Peer authentication failed" in asked_by_a_stranger(folder_of(url))

        for folder, before in folders.items():
            folder.chmod(before)


class TestAStart:
    def test_changes_no_folder_above_its_own(self, running: tuple[Path, str]) -> None:
        home, _ = running
        home.parent.chmod(0o710)
        home.parent.parent.chmod(0o701)

        embedded.start(home)

        assert (mode(home.parent), mode(home.parent.parent)) == (0o710, 0o701)
        home.parent.parent.chmod(0o700)

    def test_closes_its_folder_again(self, running: tuple[Path, str]) -> None:
        home, _ = running
        home.chmod(0o755)

        embedded.start(home)

        assert mode(home) == 0o700

    def test_after_a_crash_brings_it_back(self, running: tuple[Path, str]) -> None:
        home, url = running
        postmaster = int((home / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        until(lambda: not psutil.pid_exists(postmaster), "the server to be gone")

        assert embedded.start(home) == url
        assert asked(url) == [("postgres",)]

    def test_makes_the_short_name_again_that_somebody_removed(self, running: tuple[Path, str]) -> None:
        home, url = running
        if folder_of(url) != home:
            folder_of(url).unlink()

        embedded.start(home)

        assert asked(url) == [("postgres",)]

    @as_root
    def test_of_an_ordinary_user_minds_no_lock_and_no_name_that_another_user_took(self) -> None:
        top = Path(tempfile.mkdtemp())
        os.chown(top, NOBODY, NOBODY)
        for left in Path("/tmp").glob(f"punktual-{NOBODY}-*"):  # by a run that was interrupted
            shutil.rmtree(left)
        taken = Path(f"/tmp/punktual-{NOBODY}-0")
        taken.mkdir(mode=0o700)
        lock = Path(tempfile.gettempdir()) / ".lockfile"
        lock.touch(mode=0o600)
        home = top / ("x" * 120) / "postgres"

        def works() -> Any:
            url = embedded.start(home)
            try:
                return url, asked(url)
            finally:
                embedded.stop(home, "immediate")

        url, answer = as_a_stranger(works)

        assert answer == [("postgres",)]
        assert folder_of(url).parent == Path(f"/tmp/punktual-{NOBODY}-1")
        assert list(folder_of(url).parent.iterdir()) == []
        folder_of(url).parent.rmdir()
        taken.rmdir()
        shutil.rmtree(top)

    @as_root
    def test_with_the_data_of_another_user_is_refused_in_one_line(self) -> None:
        top = Path(tempfile.mkdtemp())
        top.chmod(0o755)
        (top / "postgres").mkdir(mode=0o755)

        refusal = as_a_stranger(lambda: embedded.start(top / "postgres"))

        assert isinstance(refusal, EmbeddedPostgresFailed)
        assert str(refusal).endswith("did not start: its folder belongs to another user")
        shutil.rmtree(top)

    def test_in_a_folder_of_something_else_is_refused_and_changes_nothing_in_it(self, tmp_path: Path) -> None:
        (tmp_path / "a letter").touch()

        with pytest.raises(EmbeddedPostgresFailed):
            embedded.start(tmp_path)

        assert [file.name for file in tmp_path.iterdir()] == ["a letter"]
        assert tmp_path.stat().st_uid == os.geteuid()


class TestAServerOfTheVersionBefore:
    """It trusted everybody, and had its socket in a folder open to all where its path was long."""

    @pytest.fixture
    def home(self) -> Iterator[Path]:
        top = Path(tempfile.mkdtemp())
        home = top / "var" / "postgres"
        home.mkdir(parents=True)
        top.chmod(0o755)
        embedded._take_over(home)
        embedded._run(home, "initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres")
        yield home
        embedded.stop(home, "immediate")
        shutil.rmtree(top)

    @pytest.fixture
    def shared(self) -> Iterator[Path]:
        folder = Path(tempfile.gettempdir()) / f"{os.getpid():010x}"
        folder.mkdir()
        folder.chmod(0o777)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    def test_is_closed_to_others_while_it_runs_and_goes_on_for_its_user(self, home: Path, shared: Path) -> None:
        embedded._run(home, "pg_ctl", "-w", "-l", "log", "-o", f'-h "" -k {shared}', "start")
        before = f"postgresql://postgres@/postgres?host={shared}"
        held = psycopg2.connect(before)

        url = embedded.start(home)

        with held.cursor() as cursor:
            cursor.execute("SELECT 1")
        held.close()
        assert folder_of(url) == shared
        assert mode(shared) == 0o700
        assert asked(before) == asked(url) == [("postgres",)]
        if os.geteuid() == 0:
            assert "Permission denied" in asked_by_a_stranger(shared)
            shared.chmod(0o777)
            assert "Peer authentication failed" in asked_by_a_stranger(shared)

    def test_starts_again_as_it_was_but_closed(self, home: Path, shared: Path) -> None:
        embedded._run(home, "pg_ctl", "-w", "-l", "log", "-o", f'-h "" -k {shared}', "start")
        asked(f"postgresql://postgres@/template1?host={shared}", "SELECT pg_switch_wal()")
        embedded.stop(home)

        url = embedded.start(home)

        assert folder_of(url) == home
        assert asked(url, "SELECT type, auth_method FROM pg_hba_file_rules") == [("local", "peer")]

    def test_is_refused_where_its_socket_is_where_it_never_put_it(self, home: Path) -> None:
        top = Path(tempfile.mkdtemp())
        top.chmod(0o777)
        embedded._run(home, "pg_ctl", "-w", "-l", "log", "-o", f'-h "" -k {top}', "start")

        with pytest.raises(EmbeddedPostgresFailed, match="which is not ours: stop it once"):
            embedded.start(home)

        assert mode(top) == 0o777
        embedded.stop(home, "immediate")
        shutil.rmtree(top)
