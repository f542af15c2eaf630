"""What is counted, and where."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import config
from actors import tally, tick
from models.email import gates
from models.inbox import incoming
from models.planning import plans
from ops.watch import metrics, metrics_folder
from ops.watch.metrics import State

COUNTED = [it for it in vars(metrics).values() if isinstance(it, MetricWrapperBase)]
STATES = [it for it in vars(metrics).values() if isinstance(it, State)]
# Labels whose values are few and known beforehand, and ids of what an owner makes: never a lead's, never an address.
BOUNDED = {
    *(
        "step",
        "gate",
        "reason",
        "phase",
        "outcome",
        "scope",
        "code",
        "enhanced",
        "result",
        "class",
        "campaign",
        "mailbox",
    ),
}
UNITS = ("_seconds", "_emails", "_info")


@pytest.mark.parametrize("metric", COUNTED, ids=lambda it: it._name)
def test_what_is_counted_has_a_name_that_says_whose_it_is_and_labels_that_are_bounded(
    metric: MetricWrapperBase,
) -> None:
    [described] = metric.describe()

    assert described.name.startswith("punktual_")
    assert described.documentation.endswith(".")
    assert described.type == "counter" or (described.type, described.name[-8:]) == ("histogram", "_seconds")
    assert set(metric._labelnames) <= BOUNDED


@pytest.mark.parametrize("state", STATES, ids=lambda it: it.name)
def test_a_state_has_a_name_that_says_whose_it_is_and_labels_that_are_bounded(state: State) -> None:
    assert state.name.startswith("punktual_")
    assert state.help.endswith(".")
    assert set(state.labels) <= BOUNDED | {"status", "kind", "state", "rule", "name", "response"}


def test_no_metric_is_declared_elsewhere() -> None:
    files = [path for path in config.ROOT.glob("*/**/*.py") if path.relative_to(config.ROOT).parts[0] in OURS]

    declaring = {path for path in files if "from prometheus_client import Counter" in path.read_text()}

    assert declaring == {config.ROOT / "ops" / "watch" / "metrics.py"}


def shown(name: str) -> set[tuple[str, ...]]:
    """The label values that a metric has samples for."""
    families = [it for it in REGISTRY.collect() if it.name == name]
    return {tuple(sample.labels.values()) for it in families for sample in it.samples if "le" not in sample.labels}


class TestBeforeAnythingHappened:
    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("punktual_claims_refused", {(gate,) for gate in gates.NAMES}),
            ("punktual_replanned_emails", {(reason,) for reason in plans.REASONS}),
            ("punktual_outcomes", set(tally.NAMES)),
            ("punktual_smtp_phase_seconds", {(phase,) for phase in tally.PHASES}),
            ("punktual_mailbox_closures", {("compose",), *((phase,) for phase in tally.PHASES)}),
            ("punktual_notices", {("sent",), ("failed",)}),
            ("punktual_incoming", {(name,) for name in incoming.CLASSES}),
            ("punktual_inbox_looks", {("complete",), ("partial",), ("failed",)}),
            ("punktual_tick_step_failures", {(step.__name__,) for step in tick.STEPS}),
            ("punktual_tick_step_seconds", {(step.__name__,) for step in tick.STEPS}),
        ],
    )
    def test_all_that_can_be_counted_is_shown(self, name: str, values: set[tuple[Any, ...]]) -> None:
        assert values <= shown(name)

    def test_the_reasons_of_a_replan_are_those_that_the_gates_and_the_owners_give(self) -> None:
        given_by_gates = {"downtime", "window", "limit", "mailbox"}

        assert set(plans.REASONS) == given_by_gates | {"resumed", "edited", "holiday"}
        assert given_by_gates < set(gates.NAMES)


OURS = {"actors", "admin", "mail", "models", "ops", "scheduling", "web"}
HOLDER = """
import sys
from ops.watch import metrics_folder
print(metrics_folder.prepare("worker", 9191)["PROMETHEUS_MULTIPROC_DIR"], flush=True)
sys.stdin.read()
"""


class TestTheFolderOfAStart:
    def test_is_its_own_and_stays_for_as_long_as_it_runs(self, tmp_path: Path) -> None:
        with started(tmp_path) as first, started(tmp_path) as second:
            one, other = folder_of(first), folder_of(second)

            assert one != other
            assert one.is_dir()
            assert other.is_dir()
            for each in (first, second):
                each.communicate()

    def test_is_removed_by_a_later_one_even_if_it_was_killed(self, tmp_path: Path) -> None:
        with started(tmp_path) as first:
            left_behind = folder_of(first)
            first.kill()

        with started(tmp_path) as second:
            kept = folder_of(second)
            second.communicate()

        assert kept != left_behind
        assert not left_behind.exists()

    def test_is_made_also_beside_what_nobody_knows(self, tmp_path: Path) -> None:
        (tmp_path / "a-file").write_text("left by somebody")

        assert metrics_folder._new_folder(tmp_path, "worker").is_dir()

    def test_lies_in_memory(self, tmp_path: Path) -> None:
        assert metrics_folder.parent(tmp_path) == tmp_path / f"punktual-{os.getuid()}"
        assert metrics_folder.parent(tmp_path).stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("prepare", ["missing", "a file", "open to others", "leads elsewhere", "read-only"])
    def test_lies_on_the_disk_where_the_memorys_is_not_to_be_had(self, tmp_path: Path, prepare: str) -> None:
        memory, folder = tmp_path, tmp_path / f"punktual-{os.getuid()}"
        match prepare:
            case "missing":
                memory = tmp_path / "none"
            case "a file":
                folder.write_text("")
            case "open to others":
                folder.mkdir()
                folder.chmod(0o777)
            case "leads elsewhere":
                folder.symlink_to(tmp_path)
            case "read-only":
                memory = Path("/proc")

        assert metrics_folder.parent(memory) == config.settings().var / "metrics"


def started(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=config.ROOT,
        env={"PUNKTUAL_DATA_DIR": str(data_dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def folder_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout
    return Path(process.stdout.readline().strip())
