"""The dashboard, as far as it can be judged without Grafana."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from tests import watching

PANELS = {panel["title"]: panel for panel in watching.panels()}


def test_each_panel_has_an_id_and_a_title_of_its_own() -> None:
    every = watching.dashboard()["panels"]

    assert len({panel["id"] for panel in every}) == len(every)
    assert len({panel["title"] for panel in every}) == len(every)


def test_no_two_panels_lie_on_one_another() -> None:
    fields = [field for panel in watching.dashboard()["panels"] for field in covered(panel["gridPos"])]

    assert len(set(fields)) == len(fields)
    assert all(0 <= column < 24 for column, _ in fields)


def covered(at: dict[str, int]) -> list[tuple[int, int]]:
    return [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_it_asks_something_of_a_source_that_is_provisioned(panel: dict[str, Any]) -> None:
    file = watching.GRAFANA / "provisioning" / "datasources" / "prometheus.yml"
    provisioned = [source["uid"] for source in YAML(typ="safe").load(file.read_text())["datasources"]]

    assert panel["datasource"]["uid"] in provisioned
    assert panel["targets"]
    assert all(target["expr"] for target in panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_it_answers_in_the_order_in_which_people_ask() -> None:
    rows = [panel["title"] for panel in watching.dashboard()["panels"] if panel["type"] == "row"]

    assert rows == [
        "Is it sending, and if not, why?",
        "Planned, sent and free capacity",
        "How late are e-mails sent?",
        "Replies of mail servers",
        "Unknown and failed",
        "What came back",
        "Broker and workers",
    ]
