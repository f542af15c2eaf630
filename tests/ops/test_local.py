"""What this machine is asked to install, and what it is told where nothing may be installed."""

import os
import subprocess
import sys
from pathlib import Path

import config


def test_where_it_may_not_install_one_sentence_names_all_that_is_missing(tmp_path: Path) -> None:
    without_apt = {**os.environ, "PATH": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "ops.local", "install"],
        cwd=config.ROOT,
        env=without_apt,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    [sentence] = done.stderr.splitlines()
    assert "Prometheus, Chromium, gcc" in sentence
    assert sentence.endswith("prometheus chromium gcc libc6-dev)")
