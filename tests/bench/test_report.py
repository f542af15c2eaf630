"""What of the results gets into docs/performance.md."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import chart, report
from bench.chart import Bar, Panel
from bench.results import NOT_MEASURED, Results, latest, read

ABOUT = {
    "question": "throughput",
    "command": "make bench QUESTION=throughput",
    "tiny": False,
    "at": "2026-03-02 08:00 UTC",
    "processor": "a processor, 2 cores",
    "memory": "4 GiB",
    "system": "Linux",
    "load before": "0.1",
    "commit": "abc",
    "versions": "Python 3.11",
}


def results(*lines: dict[str, object], **about: object) -> Results:
    return read("\n".join(json.dumps(line) for line in ({**ABOUT, **about}, *lines)))


def line(case: str, number: int = 0, /, **values: object) -> dict[str, object]:
    return {"case": case, "round": number, **values}


def of(found: Results) -> str:
    return report.page({"throughput": found}, None)


class TestTheTable:
    def test_has_the_median_and_the_range_of_all_rounds(self) -> None:
        found = results(*(line("product", n, rate=rate) for n, rate in enumerate((30.0, 10.0, 20.0))))

        assert "| product | 20 (10–30) |" in of(found)

    def test_names_machine_and_command(self) -> None:
        text = of(results(line("product", rate=1.0)))

        assert "`make bench QUESTION=throughput`, 2026-03-02 08:00 UTC, commit abc" in text
        assert "a processor, 2 cores" in text

    def test_says_why_a_case_was_not_measured(self) -> None:
        found = results(line("product", rate=1.0), line("bullmq-gated", **{NOT_MEASURED: "node is not installed"}))

        assert "| bullmq-gated | not measured: node is not installed |" in of(found)

    def test_lists_what_did_not_fit(self) -> None:
        found = results(line("product", rate=1.0, problems=["the receiver accepted 9 of 10"]))

        assert "- product: the receiver accepted 9 of 10" in of(found)

    def test_warns_of_tiny_sizes(self) -> None:
        assert "say nothing" in of(results(line("product", rate=1.0), tiny=True))


class TestATarget:
    @pytest.mark.parametrize(("rate", "reached"), [(90.0, "yes"), (70.0, "**no**")])
    def test_is_judged_by_the_median_of_the_rounds_ratios(self, rate: float, reached: str) -> None:
        rounds = [
            each
            for number, speed in enumerate((1.0, 0.1, 5.0))
            for each in (line("product", number, rate=rate * speed), line("celery-short", number, rate=100 * speed))
        ]

        row = next(row for row in of(results(*rounds)).splitlines() if "Celery without gates" in row)

        assert row.endswith(f"| at least 0.750 | {rate / 100:.3f} | {reached} |")

    def test_that_was_not_measured_says_so(self) -> None:
        rows = [row for row in of(results(line("product", rate=1.0))).splitlines() if row.endswith("| not measured |")]

        assert len(rows) == len(report.TARGETS)


class TestThePage:
    def test_is_replaced_between_the_marks_only(self) -> None:
        before = f"head\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\ntail\n"

        assert report.replaced(before, "new") == f"head\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\ntail\n"

    def test_without_marks_is_left_alone(self) -> None:
        with pytest.raises(ValueError, match="lacks"):
            report.replaced("head", "new")

    def test_that_is_committed_has_them(self) -> None:
        assert report.replaced(report.PAGE.read_text(encoding="utf-8"), "new")


class TestTheLatestResults:
    def write(self, folder: Path, name: str, commit: str, **about: object) -> None:
        text = "\n".join(json.dumps(it) for it in ({**ABOUT, "commit": commit, **about}, line("product")))
        (folder / name).write_text(text, encoding="utf-8")

    def test_are_of_the_last_complete_run_of_all_cases_that_was_not_tiny(self, tmp_path: Path) -> None:
        self.write(tmp_path, "throughput-20260301T080000.jsonl", "old")
        self.write(tmp_path, "throughput-20260302T080000.jsonl", "last")
        self.write(tmp_path, "throughput-20260303T080000.jsonl", "tiny", tiny=True)
        self.write(tmp_path, "throughput-20260304T080000.part", "broken off")
        self.write(tmp_path, "throughput-20260305T080000.jsonl", "one case", command="make bench OPTIONS=--only bare")

        found = latest(tmp_path, "throughput")

        assert found is not None
        assert found.about["commit"] == "last"

    def test_of_a_question_that_was_never_measured_are_none(self, tmp_path: Path) -> None:
        assert latest(tmp_path, "tick") is None


def test_the_chart_is_xml_with_a_bar_for_each_case() -> None:
    bars = [Bar("product & more", 50.0, True), Bar("bare", 100.0, False), Bar("none", 0.0, False)]

    root = ElementTree.fromstring(chart.draw([Panel("Mails < a second", bars)]))

    widths = [float(it.attrib["width"]) for it in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert widths == [225.0, 450.0, 1.0]
    texts = [it.text for it in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "product & more" in texts
