"""Outcomes on the disk while the database is away."""

import os
import resource
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock
from uuid import uuid4

import pytest

import config
from actors import reconcile
from actors.disk import journal
from actors.process import boot
from actors.record import merge_journal
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Reply, Scope, Withdrawn
from models.email.claims import Attempt, Held
from models.states import Status
from models.views import history
from tests import factories as make

REPLY = Reply(250, "2.0.0", "zażółć")


@pytest.fixture
def file() -> Iterator[Path]:
    path = config.settings().var / "journal" / "outcomes.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    yield path
    path.unlink(missing_ok=True)


def attempt() -> Attempt:
    return Attempt(Held(1, uuid4(), "host:1"), 2, 3, 0)


def merged() -> list[tuple[Attempt, Outcome]]:
    found: list[tuple[Attempt, Outcome]] = []
    journal.merge(lambda attempt, outcome: found.append((attempt, outcome)))
    return found


class TestWhatIsAppended:
    @pytest.mark.parametrize(
        "outcome",
        [
            Accepted(REPLY),
            Refused(Scope.CONTENT, Phase.DOT, Reply(554, None, "no")),
            Deferred(Scope.MAILBOX, Phase.DOT, Reply(421, None, "later")),
            Withdrawn("the hand-over could not be recorded"),
        ],
    )
    def test_comes_back_as_it_was_and_only_once(self, file: Path, outcome: Outcome) -> None:
        it = attempt()

        journal.append(it, outcome)

        assert merged() == [(it, outcome)]
        assert merged() == []

    def test_stays_where_merging_fails(self, file: Path) -> None:
        journal.append(attempt(), Accepted(REPLY))

        def fail(*_: object) -> None:
            raise ConnectionError("the database is still away")

        with pytest.raises(ConnectionError):
            journal.merge(fail)

        assert len(merged()) == 1

    def test_is_for_this_user_alone(self, file: Path) -> None:
        journal.append(attempt(), Accepted(REPLY))

        assert file.stat().st_mode & 0o777 == 0o600


class TestAJournalThatCannotBeTrusted:
    def test_of_refused_outcomes_stops_no_tick(self, db: None, file: Path) -> None:
        email_id = make.an_email()
        make.claimed(email_id)
        make.age(email_id, timedelta(hours=2))
        file.with_name("refused.jsonl").write_bytes(b'{"cut off')
        try:
            reconcile.reconcile()
        finally:
            file.with_name("refused.jsonl").unlink()

        assert make.row(email_id).status == Status.PENDING

    def test_does_not_end_the_thread_that_works_it_off(
        self, db: None, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal.append(attempt(), Accepted(REPLY))
        monkeypatch.setattr(boot, "work_off_journal", Mock(side_effect=RuntimeError("a bug")))

        boot._try_to_work_off()

    def test_cut_off_in_its_last_line_it_stops_and_says_where(self, file: Path) -> None:
        journal.append(attempt(), Accepted(REPLY))
        file.write_bytes(file.read_bytes() + b'{"email_id": 4')

        with pytest.raises(journal.JournalUnusable, match="the last line is cut off"):
            merged()

    @pytest.mark.parametrize("line", [b"garbage", b"{}", b"[]", b'{"email_id": 1, "token": "x"}', b"\xff"])
    def test_with_a_line_that_is_no_outcome_it_stops_and_says_which(self, file: Path, line: bytes) -> None:
        journal.append(attempt(), Accepted(REPLY))
        file.write_bytes(file.read_bytes() + line + b"\n")

        with pytest.raises(journal.JournalUnusable, match=r"line 2 is not (an outcome|JSON)"):
            merged()

    def test_full_it_refuses_the_next_outcome_and_keeps_those_before(self, file: Path) -> None:
        first = attempt()
        journal.append(first, Accepted(REPLY))
        limit = file.stat().st_size + 10

        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            try:
                journal.append(attempt(), Accepted(REPLY))
            except OSError:
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert [it for it, _ in merged()] == [first]


@pytest.mark.usefixtures("db")
class TestMergingIntoTheDatabase:
    def test_a_late_acceptance_ends_an_unknown_and_twice_is_as_once(self, file: Path) -> None:
        claim = make.handed_over(make.an_email())
        it = Attempt(claim.held, claim.campaign_id, claim.mailbox_id, claim.attempts)
        for _ in range(2):
            journal.append(it, Accepted(REPLY))

        merge_journal()

        email_id = claim.held.email_id
        assert make.row(email_id).status == Status.SENT
        assert [line.move for line in history.of_email(email_id)].count("accept") == 1
        assert file.stat().st_size == 0
