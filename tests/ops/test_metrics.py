"""What is counted, and where."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

import config
from ops import metrics

DECLARED = [it for it in vars(metrics).values() if isinstance(it, MetricWrapperBase)]
# Labels whose values are few and known beforehand: an address or an id would make a series of its own for ever.
BOUNDED = {"step"}


@pytest.mark.parametrize("metric", DECLARED, ids=lambda it: it._name)
def test_a_metrics_name_says_whose_it_is_and_its_labels_are_bounded(metric: MetricWrapperBase) -> None:
    [described] = metric.describe()

    assert described.name.startswith("punktual_")
    assert described.documentation.endswith(".")
    assert described.type == "counter" or described.name.endswith(("_seconds", "_ratio", "_bytes"))
    assert set(metric._labelnames) <= BOUNDED


def test_no_metric_is_declared_elsewhere() -> None:
    files = [path for path in config.ROOT.glob("*/**/*.py") if path.relative_to(config.ROOT).parts[0] in OURS]

    declaring = {path for path in files if "from prometheus_client import Counter" in path.read_text()}

    assert declaring == {config.ROOT / "ops" / "metrics.py"}


OURS = {"actors", "admin", "mail", "models", "ops", "scheduling", "web"}
HOLDER = """
import sys
from ops import metrics_folder
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

        assert [path.name for path in (tmp_path / "metrics").iterdir()] == [kept.name]
        assert not left_behind.exists()

    def test_is_made_also_beside_what_nobody_knows(self, tmp_path: Path) -> None:
        (tmp_path / "metrics").mkdir()
        (tmp_path / "metrics" / "a-file").write_text("left by somebody")

        with started(tmp_path) as process:
            assert folder_of(process).is_dir()
            process.communicate()


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
