"""The rules by which people are told: valid, tried out, explained, and about metrics that exist."""

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

import config
from ops.watch import metrics
from ops.watch.metrics import State
from tests import watching

RULES = {rule["alert"]: rule for rule in watching.rules()}
OPERATIONS = (config.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PASSWORD_FILE = "/run/secrets/metrics_password"


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=watching.PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class TestPrometheus:
    def test_takes_the_rules(self) -> None:
        promtool("check", "rules", "rules.yml")

    def test_finds_each_case_of_each_rule_as_expected(self) -> None:
        promtool("test", "rules", "rules_test.yml")

    def test_takes_the_settings(self, tmp_path: Path) -> None:
        for name in ("prometheus.yml", "rules.yml"):
            text = (watching.PROMETHEUS / name).read_text(encoding="utf-8")
            (tmp_path / name).write_text(text.replace(PASSWORD_FILE, str(tmp_path / "password")))
        (tmp_path / "password").write_text("s3cret")

        promtool("check", "config", str(tmp_path / "prometheus.yml"))


@pytest.mark.parametrize("name", RULES)
class TestEachRule:
    def test_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(self, name: str) -> None:
        cases = [case for group in watching.loaded("rules_test.yml")["tests"] for case in group["alert_rule_test"]]

        fired = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == name}

        assert fired == {True, False}

    def test_says_how_urgent_it_is_in_one_sentence_and_where_to_read_on(self, name: str) -> None:
        rule = RULES[name]

        assert rule["labels"]["severity"] in {"page", "warn", "info"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"

    def test_names_whatever_it_tells_apart(self, name: str) -> None:
        """Whoever is woken wants to know which campaign or mailbox."""
        for found in re.findall(r"by \(([\w, ]+)\)", RULES[name]["expr"]):
            for label in found.split(", "):
                assert f"$labels.{label}" in RULES[name]["annotations"]["summary"]


def test_each_rule_has_its_paragraph_as_urgent_as_it_is_and_each_paragraph_its_rule() -> None:
    _, _, alerts = OPERATIONS.partition("\n## Alerts\n")

    found = re.findall(r"^### (\w+)\n\n`(\w+)` [A-Z]", alerts, re.MULTILINE)

    assert sorted(found) == sorted((name, rule["labels"]["severity"]) for name, rule in RULES.items())
    assert len(found) == len(re.findall("^#", alerts, re.MULTILINE))


def test_no_rule_or_panel_asks_for_a_metric_of_ours_that_does_not_exist() -> None:
    wanted = {name for it in watching.asked() for name in it.metrics if name.startswith("punktual_")}

    assert wanted
    assert wanted <= set(_ours())


def _ours() -> set[str]:
    declared = vars(metrics).values()
    counted = {
        f"{family.name}{suffix}"
        for it in declared
        if isinstance(it, MetricWrapperBase)
        for family in it.describe()
        for suffix in {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}[family.type]
    }
    return counted | {it.name for it in declared if isinstance(it, State)}


def test_no_rule_asks_what_hour_it_is() -> None:
    """PromQL's answer is UTC, and wrong for half the year."""
    assert not [name for name, rule in RULES.items() if re.search(r"\b(hour|day_of_\w+|minute)\(", rule["expr"])]
